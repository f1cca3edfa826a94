package lint

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/rule"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/steps/hosting"
)

// proofs: the parts of a plan that no proof covers.
func proofs(f *facts) []Finding {
	if len(f.plan.Steps) == 0 {
		return nil
	}
	if len(f.proofs) == 0 {
		return []Finding{at(f.plan.Steps[len(f.plan.Steps)-1], "", "no-proof", "", "the plan proves nothing")}
	}
	var out []Finding
	leaves := 0
	for _, o := range f.objects {
		usages := fmt.Sprint(hosting.Dig(o.fields, "spec", "usages")) // of those for clients alone no server shows one
		if o.kind != "Certificate" || hosting.Dig(o.fields, "spec", "isCA") == true || strings.Contains(usages, "client auth") && !strings.Contains(usages, "server auth") {
			continue
		}
		leaves++
		if !f.rotated(o.id()) {
			out = append(out, o.finding("metadata", "rotation-unproved", "", "no step proves that Certificate %s is replaced", o.id()))
		}
	}
	for _, p := range f.proofs {
		if leaves == 0 && p.host != "" && !f.rotated("") {
			return append(out, at(p.step, "", "rotation-unproved", "", "step %s shows one certificate, and no step that it is replaced", p.step.ID))
		}
	}
	return out
}

// rotated reports whether a step renews the Certificate namespace/name, or one that is
// not known yet; without an id, whether one renews any.
func (f *facts) rotated(id string) bool {
	return slices.ContainsFunc(f.proofs, func(p proof) bool {
		return p.rotation && (id == "" || p.rotates == "" || p.rotates == id)
	})
}

// requested reports whether a proof requests one of the hosts, or one that is not known
// yet.
func (f *facts) requested(hosts []string) bool {
	return slices.ContainsFunc(f.proofs, func(p proof) bool {
		return slices.ContainsFunc(hosts, func(h string) bool { return covered(h, p.host) }) ||
			p.host == "" && (p.rotation || p.step.Kind.Name == "curlTLS")
	})
}

// covered reports whether a host is meant by a name, which may begin with "*.".
func covered(name, host string) bool {
	if parent, ok := strings.CutPrefix(name, "*"); ok {
		label, rest, _ := strings.Cut(host, ".")
		return label != "" && "."+rest == parent
	}
	return strings.EqualFold(name, host)
}

// lyingConditions: conditions that may be True while the issuer or the gateway does not
// work, where no step proves that it does.
func lyingConditions(f *facts) []Finding {
	var out []Finding
	for _, a := range f.applied {
		for i, c := range a.spec.Wait.Conditions {
			field := fmt.Sprintf("wait.conditions[%d]", i)
			switch {
			case c.Type == "Ready" && (c.Kind == "Issuer" || c.Kind == "ClusterIssuer"):
				if !f.renewsFrom(c.Kind, c.Name) {
					out = append(out, at(a.step, field, "stale-ready", "", "%s %s is taken as working by its Ready condition, and no step renews a certificate from it", c.Kind, c.Name))
				}
			case c.Type == "Accepted" && strings.HasPrefix(c.Kind, "Apisix"), c.Kind == "Gateway" && (c.Type == "Accepted" || c.Type == "Programmed"):
				if hosts, known := f.hostsOfKind(c.Kind, c.Name); known && !f.requested(hosts) {
					out = append(out, at(a.step, field, "early-accepted", "", "%s %s is taken as served by its %s condition, and no step requests its hosts", c.Kind, c.Name, c.Type))
				}
			}
		}
	}
	return out
}

// renewsFrom reports whether a step renews a Certificate of an issuer. A Certificate that
// is not in the plan may be of any.
func (f *facts) renewsFrom(kind, name string) bool {
	return slices.ContainsFunc(f.proofs, func(p proof) bool {
		if !p.rotation {
			return false
		}
		i := slices.IndexFunc(f.objects, func(o object) bool { return o.kind == "Certificate" && o.id() == p.rotates })
		if i < 0 {
			return true
		}
		issuer, ok := f.issuerOf(f.objects[i])
		return !ok || issuer.kind == kind && issuer.name == name
	})
}

// hostsOfKind returns the hosts of the objects of a kind and a name, if the plan has one.
func (f *facts) hostsOfKind(kind, name string) (hosts []string, known bool) {
	for _, o := range f.objects {
		if o.kind == kind && o.name == name {
			hosts, known = append(hosts, f.hostsOf(o)...), true
		}
	}
	return hosts, known
}

// unverified: keys that would switch the verification of TLS off. No kind has one, so
// they are found as they are written.
func unverified(f *facts) []Finding {
	var out []Finding
	for _, s := range f.plan.Steps {
		if s.Kind == nil || s.Closes != "" || s.Kind.Name == "helmInstall" || s.Kind.Name == "applyManifest" {
			continue // their values and manifests belong to others
		}
		_, with := source.Lookup(s.Node, "with")
		for _, key := range insecureKeys(with, 3) {
			out = append(out, Finding{Rule: "unverified-tls", Step: s.ID, Place: s.Place(key),
				Message: fmt.Sprintf("%s: nothing is verified any more", key.Value)})
		}
	}
	return out
}

// insecureKeys returns the keys of a mapping, down to a depth, that ask for no
// verification.
func insecureKeys(n *yaml.Node, depth int) []*yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode || depth == 0 {
		return nil
	}
	var out []*yaml.Node
	for key, value := range source.Pairs(n) {
		if key.Value == "headers" {
			continue // Upgrade-Insecure-Requests is one
		}
		off := rule.TLSSwitch(key.Value)
		if off == "true" && value.Value != "false" || off == "false" && value.Value == "false" {
			out = append(out, key)
		}
		out = append(out, insecureKeys(value, depth-1)...)
	}
	return out
}
