package hosting_test

import (
	"testing"

	"github.com/ztplan/ztplan/steps/hosting"
)

// A Secret that nothing makes is found where Certificates make others, and nowhere that a
// Secret may be made without its name being known.
func TestUnmade(t *testing.T) {
	type fields = map[string]any
	object := func(apiVersion, kind, namespace, name string, spec fields) hosting.Object {
		return hosting.Object{Kind: kind, Namespace: namespace, Name: name, Fields: fields{"apiVersion": apiVersion, "spec": spec}}
	}
	certificate := func(namespace, secret string) hosting.Object {
		return object("cert-manager.io/v1", "Certificate", namespace, "web", fields{"secretName": secret})
	}
	gateway := object("gateway.networking.k8s.io/v1", "Gateway", "edge", "web", fields{"listeners": []any{
		fields{"name": "web", "tls": fields{"certificateRefs": []any{fields{"name": "pay-tls", "namespace": "web"}}}},
	}})
	for name, c := range map[string]struct {
		others []hosting.Object
		want   int
	}{
		"made":                              {[]hosting.Object{certificate("web", "pay-tls")}, 0},
		"misspelt":                          {[]hosting.Object{certificate("web", "pay-tsl")}, 1},
		"one of two":                        {[]hosting.Object{certificate("web", "shop-tls"), certificate("web", "pay-tls")}, 0},
		"made in another namespace":         {[]hosting.Object{certificate("edge", "pay-tls")}, 0},
		"a Certificate of unknown Secret":   {[]hosting.Object{certificate("web", "shop-tls"), certificate("web", "")}, 0},
		"a Certificate of no namespace yet": {[]hosting.Object{certificate("web", "shop-tls"), certificate("", "pay-tls")}, 0},
		"a Secret":                          {[]hosting.Object{certificate("web", "shop-tls"), object("v1", "Secret", "web", "pay-tls", nil)}, 0},
		"an ExternalSecret": {[]hosting.Object{certificate("web", "shop-tls"),
			object("external-secrets.io/v1", "ExternalSecret", "web", "pay", fields{"target": fields{"name": "pay-tls"}})}, 0},
		"another Secret": {[]hosting.Object{certificate("web", "shop-tls"), object("v1", "Secret", "web", "clients-ca", nil)}, 1},
		"another party":  {nil, 0},
	} {
		if got, _ := gateway.Unmade(append(c.others, gateway)); len(got) != c.want {
			t.Errorf("%s: unmade %q", name, got)
		}
	}
	shimmed := gateway
	shimmed.Fields = fields{"apiVersion": "gateway.networking.k8s.io/v1", "spec": gateway.Fields["spec"],
		"metadata": fields{"annotations": fields{"cert-manager.io/cluster-issuer": "vault"}}}
	if got, _ := shimmed.Unmade([]hosting.Object{certificate("web", "shop-tls")}); len(got) > 0 {
		t.Errorf("unmade %q of a Gateway for which cert-manager makes Certificates", got)
	}
}
