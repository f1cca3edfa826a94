package lint

import (
	"slices"

	"github.com/ztplan/ztplan/steps/hosting"
)

// undeniedClients: servers that ask for client certificates, and no step shows that they
// refuse the others. A server that asks and accepts any looks the same to its clients.
func undeniedClients(f *facts) (out []Finding) {
	for _, p := range f.proofs {
		if p.client && !p.denies && !f.denied(p.host) {
			out = append(out, at(p.step, "client", "clients-undenied", "", "step %s presents a client certificate, and no step proves that others are refused", p.step.ID))
		}
	}
	for _, o := range f.objects {
		asks, skips := o.hosting().Clients()
		if skips != "" {
			where := ""
			if o.kind == "ApisixTls" {
				where = " where the path fits"
			}
			out = append(out, o.finding(skips, "skipped-mtls", "", "%s %s lets clients without a certificate in%s", o.kind, o.id(), where))
		}
		if asks != "" && !f.denied(f.hostsOf(o)...) {
			out = append(out, o.finding(asks, "clients-undenied", "", "%s %s asks for client certificates, and no step proves that others are refused", o.kind, o.id()))
		}
	}
	return out
}

// denied reports whether a step proves that a host, or one not known yet, refuses clients.
func (f *facts) denied(hosts ...string) bool {
	return slices.ContainsFunc(f.proofs, func(p proof) bool {
		return p.denies && (p.host == "" || slices.ContainsFunc(hosts, func(h string) bool { return covered(h, p.host) }))
	})
}

// hosting is the object for package hosting.
func (o object) hosting() hosting.Object {
	return hosting.Object{Kind: o.kind, Namespace: o.space, Name: o.name, Fields: o.fields}
}

// hostings are the objects of the plan for package hosting.
func (f *facts) hostings() []hosting.Object {
	all := make([]hosting.Object, len(f.objects))
	for i, o := range f.objects {
		all[i] = o.hosting()
	}
	return all
}

// hostsOf returns the hosts that an object serves.
func (f *facts) hostsOf(o object) []string { return o.hosting().Hosts(f.hostings()) }
