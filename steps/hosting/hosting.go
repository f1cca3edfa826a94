// Package hosting reads from manifests which hosts the objects of gateways serve, with
// which Secrets, and whether clients must have certificates: of an ApisixTls, an Ingress and
// a Gateway with its routes.
package hosting

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An Object is a manifest.
type Object struct {
	Kind, Namespace, Name string
	Fields                map[string]any
}

// ID names the object within its kind.
func (o Object) ID() string { return o.Namespace + "/" + o.Name }

// A Certificate is one that an object gives hosts of a gateway: that of an ApisixTls,
// of an entry of an Ingress's spec.tls, or of a listener of a Gateway.
type Certificate struct {
	Listener string   // of a Gateway
	Gateway  Gateway  // that serves it; those of one gateway compete for a host
	Hosts    []string // none if it is for the names in the certificate
	Secret   string   // namespace/name
}

// A Gateway identifies the server of a certificate by the object that stands for it.
type Gateway struct {
	Kind string // KindClass, KindProxy or KindGateway
	Name string // of a class "" is the default one; of others namespace/name, of a Gateway with the port
}

const (
	KindClass   = "IngressClass"
	KindProxy   = "GatewayProxy" // of APISIX, which chooses a certificate by the host alone
	KindGateway = "Gateway"      // of another implementation: a port of it
)

// Certificates returns the certificates that the object gives hosts. A listener without a
// hostname has none: it is for the names in its certificate.
func (o Object) Certificates() (out []Certificate) {
	switch {
	case o.isOf("ApisixTls", "apisix.apache.org/"):
		return []Certificate{{
			Gateway: Gateway{KindClass, o.Text("spec", "ingressClassName")}, Hosts: texts(Dig(o.Fields, "spec", "hosts")),
			Secret: o.Text("spec", "secret", "namespace") + "/" + o.Text("spec", "secret", "name"),
		}}
	case o.isOf("Ingress", "networking.k8s.io/"):
		class := cmp.Or(o.Text("spec", "ingressClassName"), o.Text("metadata", "annotations", "kubernetes.io/ingress.class"))
		for _, entry := range items(o.Fields, "spec", "tls") {
			secret, _ := entry["secretName"].(string)
			hosts := texts(entry["hosts"])
			if len(hosts) == 0 {
				hosts = o.ruleHosts()
			}
			if secret != "" {
				out = append(out, Certificate{Gateway: Gateway{KindClass, class}, Hosts: hosts, Secret: o.Namespace + "/" + secret})
			}
		}
	case o.isOf("Gateway", "gateway.networking.k8s.io/"):
		for _, l := range o.listeners() {
			gateway := Gateway{KindGateway, fmt.Sprintf("%s port %v", o.ID(), l["port"])}
			if o.Text("spec", "infrastructure", "parametersRef", "kind") == KindProxy {
				gateway = Gateway{KindProxy, o.Namespace + "/" + o.Text("spec", "infrastructure", "parametersRef", "name")}
			}
			hostname, _ := l["hostname"].(string)
			listener, _ := l["name"].(string)
			for _, ref := range items(l, "tls", "certificateRefs") {
				if kind, _ := ref["kind"].(string); kind != "" && kind != "Secret" {
					continue
				}
				name, _ := ref["name"].(string)
				namespace, _ := ref["namespace"].(string)
				out = append(out, Certificate{Listener: listener, Gateway: gateway, Hosts: texts([]any{hostname}), Secret: cmp.Or(namespace, o.Namespace) + "/" + name})
			}
		}
	}
	return out
}

// isOf reports whether the object is of a kind of an API group, "apisix.apache.org/".
func (o Object) isOf(kind, group string) bool {
	return o.Kind == kind && strings.HasPrefix(o.Text("apiVersion"), group)
}

// listeners are those of a Gateway that end TLS.
func (o Object) listeners() (out []map[string]any) {
	for _, l := range items(o.Fields, "spec", "listeners") {
		if mode, _ := Dig(l, "tls", "mode").(string); l["tls"] != nil && mode != "Passthrough" {
			out = append(out, l)
		}
	}
	return out
}

// ruleHosts are the hosts of an Ingress's rules.
func (o Object) ruleHosts() (out []string) {
	for _, r := range items(o.Fields, "spec", "rules") {
		out = append(out, texts([]any{r["host"]})...)
	}
	return out
}

// Hosts returns the hosts that an object serves, for a Gateway with those of the routes
// among all that name it.
func (o Object) Hosts(all []Object) (hosts []string) {
	for _, c := range o.Certificates() {
		hosts = append(hosts, c.Hosts...)
	}
	switch {
	case o.isOf("ApisixRoute", "apisix.apache.org/"):
		for _, r := range items(o.Fields, "spec", "http") {
			hosts = append(hosts, texts(Dig(r, "match", "hosts"))...)
		}
	case o.isOf("Ingress", "networking.k8s.io/"):
		hosts = append(hosts, o.ruleHosts()...)
	case o.isOf("Gateway", "gateway.networking.k8s.io/"):
		for _, route := range all {
			for _, ref := range items(route.Fields, "spec", "parentRefs") {
				namespace, _ := ref["namespace"].(string)
				if route.isOf("HTTPRoute", "gateway.networking.k8s.io/") && ref["name"] == o.Name && cmp.Or(namespace, route.Namespace) == o.Namespace {
					hosts = append(hosts, texts(Dig(route.Fields, "spec", "hostnames"))...)
				}
			}
		}
	}
	return hosts
}

// Ungranted returns the Secrets of other namespaces, namespace/name, that the listeners of a
// Gateway name and that no ReferenceGrant among all lets it use.
func (o Object) Ungranted(all []Object) (secrets []string) {
	if !o.isOf("Gateway", "gateway.networking.k8s.io/") {
		return nil
	}
	for _, c := range o.Certificates() {
		namespace, name, _ := strings.Cut(c.Secret, "/")
		if namespace != o.Namespace && !slices.Contains(secrets, c.Secret) &&
			!slices.ContainsFunc(all, func(g Object) bool { return g.Namespace == namespace && g.grants(o.Namespace, name) }) {
			secrets = append(secrets, c.Secret)
		}
	}
	return secrets
}

// grants reports whether the object is a ReferenceGrant that lets Gateways of a namespace
// use a Secret.
func (o Object) grants(from, secret string) bool {
	return o.isOf("ReferenceGrant", "gateway.networking.k8s.io/") &&
		slices.ContainsFunc(items(o.Fields, "spec", "from"), func(f map[string]any) bool { return f["kind"] == "Gateway" && f["namespace"] == from }) &&
		slices.ContainsFunc(items(o.Fields, "spec", "to"), func(t map[string]any) bool {
			return t["kind"] == "Secret" && (t["name"] == nil || t["name"] == secret)
		})
}

// items returns the mappings in a list.
func items(m map[string]any, path ...string) (out []map[string]any) {
	list, _ := Dig(m, path...).([]any)
	for _, v := range list {
		if item, ok := v.(map[string]any); ok {
			out = append(out, item)
		}
	}
	return out
}

// texts returns the texts in a list that are not empty.
func texts(v any) (out []string) {
	list, _ := v.([]any)
	for _, item := range list {
		if s, ok := item.(string); ok && s != "" {
			out = append(out, s)
		}
	}
	return out
}

// Text returns the text at a path of keys; "" if there is none.
func (o Object) Text(path ...string) string {
	s, _ := Dig(o.Fields, path...).(string)
	return s
}

// Dig returns the value at a path of keys; nil if there is none.
func Dig(m map[string]any, path ...string) any {
	var v any = m
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}
