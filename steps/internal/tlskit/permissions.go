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
