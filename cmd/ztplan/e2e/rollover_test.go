package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

// rollover puts new intermediates into the place of the plan's on a finished
// world: killed at a hop, run again, and as a whole. Whatever is left behind,
// the plan converges and an intermediate of its name signs; in the end it is the
// only one that does.
func (w *world) rollover(t *testing.T, device string) {
	w.writeProof("ca.pem", w.rootCertificate())
	hops := []string{"others issued anew"} // interruptedRollover is cut off before it
	if full() {
		hops = []string{"new intermediate made", "old and new one sign", "new one signs for all", "secret written", "all on the wire", "others issued anew", "old one retired"}
	}
	for _, hop := range hops {
		w.sub(t, strings.ReplaceAll(hop, " ", "-"), func(t *testing.T) {
			var o *outcome
			w.until("a run was killed before it was through", func() bool {
				o = w.proveIntermediate(func(e engine.Event, p *os.Process) {
					if e.Step == "rotation" && strings.Contains(e.Message, hop) {
						_ = p.Kill()
					}
				})
				return o.code != 0
			})
			must(t, "a run that is killed", o, -1)
			next := w.run()
			must(t, "the plan afterwards", next, 0)
			if strings.Contains(next.stderr, "is being changed by") {
				t.Errorf("it waits for the lock that a killed run of another plan had on Vault:\n%s", next.stderr)
			}
			must(t, "status", w.check(), 0)
			w.issuers(t, false)
		})
	}
	if full() {
		w.sub(t, "two-at-once", w.twoAtOnce)
	}
	w.sub(t, "interrupted", w.interruptedRollover)
	whole := func(t *testing.T) {
		report := filepath.Join(w.home, "report")
		var o *outcome
		got := w.record(device, func() { o = w.proveIntermediate(nil, "--report", report) })
		must(t, "the proof", o, 0)
		w.oneForOne(t, o, got)
		t.Logf("%.1fs", o.wall.Seconds())
		if b, err := w.bare(context.Background(), "verify", filepath.Join(report, "evidence.json")).CombinedOutput(); err != nil {
			t.Errorf("the evidence does not verify: %v\n%s", err, b)
		}
		must(t, "the plan afterwards", w.run(), 0)
		w.issuers(t, true)
	}
	w.sub(t, "whole", whole)
	if full() {
		// The first one went on with the remains of those before it.
		w.sub(t, "from-the-beginning", whole)
	}
}

// issuers checks that the issuer with the plan's name signs for everybody, and that
// no key was lost; in the end, that nobody else signs or waits for a name.
func (w *world) issuers(t *testing.T, end bool) {
	t.Helper()
	byDefault, _ := w.read("pki_int/config/issuers")["default"].(string)
	held, signs, nameless := 0, 0, 0
	for _, id := range w.list("pki_int/issuers") {
		i := w.read("pki_int/issuer/" + id)
		name, _ := i["issuer_name"].(string)
		usage, _ := i["usage"].(string)
		may := strings.Contains(usage, "issuing-certificates")
		if name == "intermediate-lab" && (!may || id != byDefault) {
			t.Errorf("%s may %s, and the default is %s", name, usage, byDefault)
		}
		if key, _ := i["key_id"].(string); key == "" {
			continue
		}
		held++
		if may {
			signs++
		}
		if name == "" {
			nameless++
		}
	}
	if keys := len(w.list("pki_int/keys")); keys != held {
		t.Errorf("%d keys and %d issuers with one", keys, held)
	}
	if nameless > 1 || end && (nameless > 0 || signs != 1) {
		t.Errorf("%d intermediates have no name, and %d may sign", nameless, signs)
	}
}

// proveIntermediate has a new intermediate take the place of the plan's, with a
// certificate that is measured and two others, let in by the plan's login.
func (w *world) proveIntermediate(each func(engine.Event, *os.Process), more ...string) *outcome {
	w.t.Helper()
	w.writeProof("rollover.yaml", `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: rollover}
connections:
  vault: {login: {role: ztplan, serviceAccount: {namespace: vault, name: ztplan}}}
steps:
  - id: others
    uses: applyManifest
    with:
      manifests:
        - {apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: shop-1, namespace: default},
           spec: {secretName: shop-1, dnsNames: [shop-1.example.local], issuerRef: {name: vault-issuer, kind: ClusterIssuer}, duration: 2h, privateKey: {rotationPolicy: Always}}}
        - {apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: shop-2, namespace: default},
           spec: {secretName: shop-2, dnsNames: [shop-2.example.local], issuerRef: {name: vault-issuer, kind: ClusterIssuer}, duration: 2h, privateKey: {rotationPolicy: Always}}}
      wait: {conditions: [{kind: Certificate, name: shop-1, type: Ready}, {kind: Certificate, name: shop-2, type: Ready}]}
  - id: rotation
    uses: assertRotation
    needs: [others]
    timeout: 2m
    with:
      certificate: {namespace: ingress-apisix, name: hello-cert}
      url: "https://hello.example.local"
      service: {namespace: ingress-apisix, name: apisix-gateway, port: 443}
      trustFile: ca.pem
      trigger: intermediate
      intermediate:
        mount: pki_int
        issuerName: intermediate-lab
        parent: {mount: pki, issuer: root-lab}
        role: example-dot-local
        certificates: [{namespace: default, name: shop-1}, {namespace: default, name: shop-2}]
`)
	return w.do(each, append([]string{"run", "proof/rollover.yaml"}, more...)...)
}
