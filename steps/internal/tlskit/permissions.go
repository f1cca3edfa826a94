package tlskit

import (
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
)

// Permissions are needed to dial a Service; another target needs none.
func (t Target) Permissions() []engine.Permission {
	switch {
	case t.Service == nil:
		return nil
	case t.Service.Via == ViaTunnel:
		return kubeaccess.Dial(t.Service.Namespace, t.Service.Name)
	}
	return kubeaccess.NodePort(t.Service.Namespace, t.Service.Name)
}

// Permissions are needed to read the Secret of a client certificate, and to follow it if
// watch is set.
func (c *ClientCertificate) Permissions(watch bool) []engine.Permission {
	if c == nil || c.Secret == nil {
		return nil
	}
	verbs := []string{"get"}
	if watch {
		verbs = append(verbs, "watch")
	}
	return []engine.Permission{{Verbs: verbs, Resource: "secrets", Namespace: c.Secret.Namespace, Name: c.Secret.Name, Reason: "presents the client certificate"}}
}

// Permissions are needed to read the trust from the cluster.
func (t TrustInput) Permissions() []engine.Permission { return t.TrustFrom.Permissions() }

// Permissions are needed to read the object. nil needs none.
func (t *TrustSource) Permissions() []engine.Permission {
	if t == nil {
		return nil
	}
	resource := "configmaps"
	if t.Secret != nil {
		resource = "secrets"
	}
	k, _ := t.object()
	return []engine.Permission{{Verbs: []string{"get"}, Resource: resource, Namespace: k.Namespace, Name: k.Name, Reason: "reads the CA certificates to trust"}}
}

// Namespaces lists those of the objects that the client certificate is read from.
func (c *ClientCertificate) Namespaces() []string {
	if c == nil || c.Secret == nil || c.Secret.Namespace == "" {
		return nil
	}
	return []string{c.Secret.Namespace}
}

// Namespaces lists those of the objects that the trust is read from.
func (t TrustInput) Namespaces() []string {
	if t.TrustFrom == nil {
		return nil
	}
	if k, _ := t.TrustFrom.object(); k.Namespace != "" {
		return []string{k.Namespace}
	}
	return nil
}
