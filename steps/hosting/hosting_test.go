package hosting_test

import (
	"testing"

	"github.com/ztplan/ztplan/steps/hosting"
)

// A grant counts if it is in the namespace of the Secret, and names the Gateway's kind and
// namespace, and the Secret.
func TestUngranted(t *testing.T) {
	type fields = map[string]any
	gateway := hosting.Object{Kind: "Gateway", Namespace: "edge", Name: "web", Fields: fields{
		"apiVersion": "gateway.networking.k8s.io/v1",
		"spec":       fields{"listeners": []any{fields{"name": "web", "tls": fields{"certificateRefs": []any{fields{"name": "web-tls", "namespace": "web"}}}}}},
	}}
	grant := func(namespace string, from, to fields) hosting.Object {
		return hosting.Object{Kind: "ReferenceGrant", Namespace: namespace, Name: "web", Fields: fields{
			"apiVersion": "gateway.networking.k8s.io/v1beta1", "spec": fields{"from": []any{from}, "to": []any{to}},
		}}
	}
	from, to := fields{"kind": "Gateway", "namespace": "edge"}, fields{"kind": "Secret", "name": "web-tls"}
	for name, c := range map[string]struct {
		grant hosting.Object
		want  int
	}{
		"granted":                {grant("web", from, to), 0},
		"all Secrets":            {grant("web", from, fields{"kind": "Secret"}), 0},
		"in another namespace":   {grant("edge", from, to), 1},
		"from another namespace": {grant("web", fields{"kind": "Gateway", "namespace": "other"}, to), 1},
		"from another kind":      {grant("web", fields{"kind": "HTTPRoute", "namespace": "edge"}, to), 1},
		"to another kind":        {grant("web", from, fields{"kind": "Service"}), 1},
		"to another Secret":      {grant("web", from, fields{"kind": "Secret", "name": "other-tls"}), 1},
	} {
		if got := gateway.Ungranted([]hosting.Object{gateway, c.grant}); len(got) != c.want {
			t.Errorf("%s: ungranted %q", name, got)
		}
	}
}
