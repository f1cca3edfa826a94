package vaultkit

import (
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
)

// Permissions are needed to reach Vault: none if it has an address.
func (s Server) Permissions() []engine.Permission {
	if s.InCluster() == "" {
		return nil
	}
	return kubeaccess.Dial(s.Service.Namespace, s.Service.Name)
}

// permissions are needed to log in; nil needs none.
func (l *Login) permissions() []engine.Permission {
	if l == nil {
		return nil
	}
	a := l.ServiceAccount
	return []engine.Permission{kubeaccess.Token(a.Namespace, a.Name, "logs in to Vault as ServiceAccount "+a.String())}
}

// Permissions are needed to reach Vault and to log in.
func (c Connection) Permissions() []engine.Permission {
	return append(c.Server.Permissions(), c.Login.permissions()...)
}

// Permissions are needed to reach Vault and to log in.
func (e Entrance) Permissions() []engine.Permission {
	return append(e.Server.Permissions(), e.Login.permissions()...)
}
