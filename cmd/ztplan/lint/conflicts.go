package lint

import (
	"strings"

	"github.com/ztplan/ztplan/steps/hosting"
)

// oneCertificatePerHost: two objects of one gateway that give the same host different
// Secrets. Two ApisixTls objects of one class are both Accepted, and APISIX serves the one
// that it inserted first, until it restarts; of two Ingresses the controller takes one, and
// two listeners of a Gateway are in conflict.
//
// Only equal names conflict: an exact name wins over a wildcard, and of two
// wildcards the longer one (APISIX's radixtree_sni router). Names are compared as
// that router does, in lower case and without a dot at the end. Objects of
// different classes are served by different gateways.
func oneCertificatePerHost(f *facts) []Finding {
	var out []Finding
	type servedHost struct {
		hosting.Gateway
		host string
	}
	first := map[servedHost]claim{}
	for _, o := range f.objects {
		for _, c := range o.hosting().Certificates() {
			mine := claim{o, c}
			for _, host := range c.Hosts {
				host = strings.TrimSuffix(strings.ToLower(host), ".")
				key := servedHost{c.Gateway, host}
				other, claimed := first[key]
				switch {
				case !claimed:
					first[key] = mine
				case other.Secret != mine.Secret && !other.is(mine):
					out = append(out, mine.against(other, host))
				}
			}
		}
	}
	return out
}

// A claim is a certificate of an object for a host.
type claim struct {
	object
	hosting.Certificate
}

// is reports whether both are of one object, and for a Gateway of one listener, which may
// have certificates of several kinds of keys.
func (c claim) is(other claim) bool {
	return c.kind == other.kind && c.id() == other.id() && c.Listener == other.Listener
}

func (c claim) against(other claim, host string) Finding {
	kind := ""
	if other.kind != c.kind {
		kind = other.kind + " "
	}
	return at(c.step, c.field, "host-conflict", "",
		"%s %s (secret %s) and %s%s (secret %s, step %s, %s) name the same host %s",
		c.kind, c.id(), c.Secret, kind, other.id(), other.Secret, other.step.ID, other.step.PositionOf(other.field), host)
}

// ungranted: listeners of a Gateway whose Secret is in another namespace, which the Gateway
// API allows with a ReferenceGrant there.
func ungranted(f *facts) (out []Finding) {
	all := f.hostings()
	for _, o := range f.objects {
		for _, secret := range o.hosting().Ungranted(all) {
			out = append(out, o.finding("spec.listeners", "reference-grant", "", "Gateway %s takes the certificate in Secret %s, and no ReferenceGrant of the plan lets it", o.id(), secret))
		}
	}
	return out
}

// unmade: an object of a gateway that takes a Secret which no Certificate makes.
func unmade(f *facts) (out []Finding) {
	all := f.hostings()
	for _, o := range f.objects {
		secrets, made := o.hosting().Unmade(all)
		for _, secret := range secrets {
			out = append(out, at(o.step, o.field, "secret-unmade", "", "%s %s takes the certificate in Secret %s, which nothing in the plan makes; Certificates there make %s",
				o.kind, o.id(), secret, strings.Join(made, ", ")))
		}
	}
	return out
}
