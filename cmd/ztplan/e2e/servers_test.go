package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// servers proves that the faults of servers other than the gateway with one certificate
// are found: on the worlds of plans/mounted-secret.yaml and plans/mutual-tls.yaml.
func (w *world) servers(t *testing.T) {
	w.clientsCA()
	w.sub(t, "mounted", w.mounted)
	w.sub(t, "clients", w.strangers)
	w.sub(t, "gateways", w.gateways)
}

// billing has the certificate of the mounted Secret rotate.
func (w *world) billing(more string) *outcome {
	w.t.Helper()
	w.writeProof("billing.yaml", fmt.Sprintf(`apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: billing}
steps:
  - id: rotation
    uses: assertRotation
    timeout: 2m
    with:
      certificate: {namespace: billing, name: billing}
      url: https://billing.example.local
      service: {namespace: billing, name: billing, port: 443, via: tunnel}
      trustFrom: {secret: {namespace: ingress-apisix, name: clients-ca}}
      probe: {longLived: false}
      %s
`, more))
	return w.do(nil, "run", "proof/billing.yaml")
}

// mounted shows a server that never reads its certificate again, and a kubelet that brings
// the files late.
func (w *world) mounted(t *testing.T) {
	deploy := func(more ...string) {
		t.Helper()
		must(t, "the server", w.do(nil, append([]string{"run", "plans/mounted-secret.yaml", "--skip", "rotation"}, more...)...), 0)
	}
	deploy("--var", "command=nginx; sleep infinity")
	o := w.billing("maxSwitch: 1s\n      maxLate: 2s")
	must(t, "a server that never reads again", o, 1)
	expectViolation(t, o, `^the switch takes at most 1s$`, `the new certificate never reached the wire`)
	if hint := o.hint(); !strings.Contains(hint, "a server that reads a mounted Secret must read it again") {
		t.Errorf("hint %q", hint)
	}

	if !full() { // a server that is late is in make test behind a Gateway
		return
	}
	w.merge("Deployment/billing/billing", `{"spec": {"template": {"metadata": {"annotations": {"ztlab.ztplan.dev/sync-period": "5s"}}}}}`)
	deploy()
	o = w.billing("maxSwitch: 3s\n      maxLate: 20s")
	must(t, "a kubelet that is late", o, 1)
	expectViolation(t, o, `^the switch takes at most 3s$`, `the last server was late`)
	must(t, "a limit that allows for it", w.billing("maxSwitch: 20s\n      maxLate: 30s"), 0)
	w.merge("Deployment/billing/billing", `{"spec": {"template": {"metadata": {"annotations": null}}}}`)
}

// strangers shows gateways that let clients in without the right certificate, and one that
// refuses them by a status.
func (w *world) strangers(t *testing.T) {
	for _, c := range []struct {
		name, patch string
		answers     int // the status for a client without a certificate, another one than before
		exit        int
		broken      string
		says        string
	}{
		{"without verification", `null`, 200, 1, `^no client certificate is refused$`, "the server does not even ask for a client certificate"},
		{"with an exception for others", `{"skip_mtls_uri_regex": ["^/open"]}`, 400, 0, "", ""},
		{"with an exception for all", `{"skip_mtls_uri_regex": [".*"]}`, 200, 1, `^a foreign client certificate is refused$`, "does not insist on a right one"},
	} {
		w.sub(t, strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			must(t, "the host", w.do(nil, "run", "plans/mutual-tls.yaml", "--only", "client"), 0)
			w.merge("ApisixTls/partners/orders", `{"spec": {"client": `+c.patch+`}}`)
			o := w.strange(c.answers)
			must(t, c.name, o, c.exit)
			if c.broken != "" {
				expectViolation(t, o, c.broken, c.says)
			}
		})
	}
}

// strange proves that strangers are refused, once one of them is answered with a status.
func (w *world) strange(status int) *outcome {
	w.t.Helper()
	w.writeProof("strangers.yaml", fmt.Sprintf(`apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: strangers}
steps:
  - id: changed
    uses: curlTLS
    with:
      url: https://orders.partners.example.local
      service: {namespace: ingress-apisix, name: apisix-gateway, port: 443}
      trustFrom: {secret: {namespace: ingress-apisix, name: clients-ca}}
      expect: {status: %d}
  - id: strangers
    uses: assertDenied
    needs: [changed]
    with:
      dial:
        url: https://orders.partners.example.local
        service: {namespace: ingress-apisix, name: apisix-gateway, port: 443}
        trustFrom: {secret: {namespace: ingress-apisix, name: clients-ca}}
        client: {secret: {namespace: partners, name: client-tls}}
`, status))
	return w.do(nil, "run", "proof/strangers.yaml")
}
