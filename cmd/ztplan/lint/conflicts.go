package lint

import "strings"

// oneCertificatePerHost: two ApisixTls objects of one ingress class that name the
// same host with different Secrets are both Accepted, and APISIX serves the one
// that it inserted first, until it restarts.
//
// Only equal names conflict: an exact name wins over a wildcard, and of two
// wildcards the longer one (APISIX's radixtree_sni router). Names are compared as
// that router does, in lower case and without a dot at the end. Objects of
// different classes are served by different gateways.
func oneCertificatePerHost(f *facts) []Finding {
	type claim struct {
		object
		secret string
	}
	var out []Finding
	first := map[string]claim{} // by class and host
	for _, o := range f.objects {
		if o.kind != "ApisixTls" || !strings.HasPrefix(o.text("apiVersion"), "apisix.apache.org/") {
			continue
		}
		mine := claim{o, o.text("spec", "secret", "namespace") + "/" + o.text("spec", "secret", "name")}
		hosts, _ := dig(o.fields, "spec", "hosts").([]any)
		for _, h := range hosts {
			host, _ := h.(string)
			host = strings.TrimSuffix(strings.ToLower(host), ".")
			key := o.text("spec", "ingressClassName") + " " + host
			other, claimed := first[key]
			switch {
			case host == "":
			case !claimed:
				first[key] = mine
			case other.secret != mine.secret && (other.space != o.space || other.name != o.name):
				out = append(out, at(o.step, o.field, "host-conflict", "",
					"ApisixTls %s (secret %s) and %s (secret %s, step %s, %s) name the same host %s",
					o.id(), mine.secret, other.id(), other.secret, other.step.ID, other.step.PositionOf(other.field), host))
			}
		}
	}
	return out
}
