package login

import (
	"cmp"
	"fmt"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// A Spec replaces a token that an operator has to keep: the run asks the cluster
// for a short-lived token of a ServiceAccount and logs in to Vault's Kubernetes auth
// method with it. A k8sAuth step makes the method, the
// role and the ServiceAccount; until then, token is used.
type Spec struct {
	// Mount is the path of the auth method, without "auth/" before it. The
	// default is kubernetes.
	Mount string `yaml:"mount"`
	// Role of the auth method. Its tokens should be of type batch: Vault stores
	// nothing of those, so that a run which changes nothing writes nothing.
	Role string `yaml:"role" check:"required"`
	// ServiceAccount that logs in. The user in the kubeconfig must be allowed to
	// create tokens for it.
	ServiceAccount Account `yaml:"serviceAccount"`
	// Audience that the ServiceAccount's token is made for, and that the role
	// wants. The default is "vault://" and the name of the ServiceAccount.
	Audience string `yaml:"audience"`
}

// An Account names a ServiceAccount.
type Account struct {
	// Namespace of the ServiceAccount.
	Namespace string `yaml:"namespace" check:"required"`
	// Name of the ServiceAccount.
	Name string `yaml:"name" check:"required"`
}

// String returns the namespace and the name.
func (a Account) String() string { return a.Namespace + "/" + a.Name }

func (l *Spec) validate(p *engine.Problems, field string) {
	if l == nil {
		return
	}
	vaultkit.ValidatePath(p, field+".mount", l.At())
	vaultkit.ValidateName(p, field+".role", "a role", l.Role)
}

// At is the path of the auth method, with the default filled in.
func (l *Spec) At() string {
	return cmp.Or(l.Mount, "kubernetes")
}

// For is the audience, with the default filled in.
func (l *Spec) For() string {
	return cmp.Or(l.Audience, "vault://"+l.ServiceAccount.Name)
}

// Who returns the role that l logs in to, and the ServiceAccount.
func (l *Spec) Who() (role, namespace, account string) {
	return l.Role, l.ServiceAccount.Namespace, l.ServiceAccount.Name
}

// Makes reports whether a role of an auth method is the one that l logs in to.
func (l *Spec) Makes(mount, role string) bool { return l != nil && l.At() == mount && l.Role == role }

// String names the login in messages.
func (l *Spec) String() string { return fmt.Sprintf("the login (role %s of auth/%s)", l.Role, l.At()) }

// path is the path of the login.
func (l *Spec) path() string { return "auth/" + l.At() + "/login" }

// permissions are needed to log in; nil needs none.
func (l *Spec) permissions() []engine.Permission {
	if l == nil {
		return nil
	}
	a := l.ServiceAccount
	return []engine.Permission{kubeaccess.Token(a.Namespace, a.Name, "logs in to Vault as ServiceAccount "+a.String())}
}
