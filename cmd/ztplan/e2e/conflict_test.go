package e2e

import (
	"strings"
	"testing"
)

// hostConflict gives the host of a finished world a second ApisixTls with another
// Secret, with the webhook that would deny it out of the way. Whichever of the two
// the gateway serves, the proof must not hold, and must name the other one.
func (w *world) hostConflict(t *testing.T) {
	const webhook, certificate, other = "ValidatingWebhookConfiguration/apisix-ingress-controller-webhook",
		"Certificate/default/other-cert", "ApisixTls/default/other-tls"
	w.remove(webhook)
	w.applyAs(harness, certificate, fields{
		"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
		"metadata": fields{"name": "other-cert", "namespace": "default"},
		"spec": fields{
			"secretName": "other-tls", "dnsNames": []any{"*.example.local"},
			"issuerRef":  fields{"name": "vault-issuer", "kind": "ClusterIssuer"},
			"privateKey": fields{"rotationPolicy": "Always"},
		},
	})
	tls := fields{
		"apiVersion": "apisix.apache.org/v2", "kind": "ApisixTls",
		"metadata": fields{"name": "other-tls", "namespace": "default"},
		"spec": fields{
			"ingressClassName": "apisix", "hosts": []any{"*.example.local"},
			"secret": fields{"name": "other-tls", "namespace": "default"},
		},
	}
	w.until("the webhook that was removed denies nothing any more", func() bool {
		err := w.apply(harness, other, tls)
		return err == nil || !strings.Contains(err.Error(), "denied")
	})
	w.applyAs(harness, other, tls)
	w.writeProof("ca.pem", w.rootCertificate())
	moments := []string{"as they came"}
	if full() {
		moments = append(moments, "after a restart")
	}
	for _, when := range moments {
		w.sub(t, when, func(t *testing.T) {
			if when == "after a restart" {
				w.lab("restart", "gateway")
				w.look()
			}
			o := w.prove("settle: 5s, " + impatient)
			must(t, "the proof", o, 1)
			expectViolation(t, o, `^one ApisixTls decides what hello\.example\.local shows$`,
				`which of them is served may change with a restart`)
			if got := o.state("rotation"); got != "fail" {
				t.Errorf("the step ended with %s", got)
			}
		})
	}
	w.remove(other)
	w.remove(certificate)
	must(t, "the run that brings the webhook back", w.run(), 0)
	must(t, "without the conflict", w.prove(""), 0)
}
