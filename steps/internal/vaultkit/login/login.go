package login

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// The auth methods, by their names in Vault.
const (
	kubernetes = "kubernetes"
	jwt        = "jwt"
	appRole    = "approle"
	cert       = "cert"
)

// A Spec replaces a token that an operator has to keep: the run logs in to an auth
// method of Vault, with something that it has or that the cluster gives it, and gets a
// short-lived token. A k8sAuth step can make the method kubernetes, with its role and
// ServiceAccount; until then, token is used.
type Spec struct {
	// Method is the auth method: kubernetes, jwt for the token of a CI job or of
	// another identity provider, approle, or cert for the client certificate of the
	// connection. The default is kubernetes.
	Method string `yaml:"method" check:"oneof=kubernetes|jwt|approle|cert"`
	// Mount is the path of the auth method, without "auth/" before it. The
	// default is the name of the method.
	Mount string `yaml:"mount"`
	// Namespace is the namespace of Vault Enterprise or OpenBao with the auth
	// method, if it is not that of the connection.
	Namespace string `yaml:"namespace"`
	// Role of the auth method, needed for kubernetes and jwt; for cert the name of
	// the certificate role, without which Vault tries all. Its tokens should be of
	// type batch: Vault stores nothing of those, so that a run which changes nothing
	// writes nothing.
	Role string `yaml:"role"`
	// ServiceAccount that logs in, with kubernetes or jwt: the cluster gives a token
	// for it. The user in the kubeconfig must be allowed to create tokens for it.
	ServiceAccount *Account `yaml:"serviceAccount"`
	// Audience that the ServiceAccount's token is made for, and that the role
	// wants. The default is "vault://" and the name of the ServiceAccount.
	Audience string `yaml:"audience"`
	// Audiences are further ones of the ServiceAccount's token. With a Vault outside
	// of the cluster the token reviews itself, so it needs one of the API server's
	// (its --api-audiences): often https://kubernetes.default.svc.cluster.local.
	Audiences []string `yaml:"audiences"`
	// JWT is the token that logs in, with kubernetes or jwt: a secret variable, such
	// as the OIDC token of a CI job.
	JWT engine.Secret `yaml:"jwt"`
	// JWTFile is a file with that token, such as the one of a pod's ServiceAccount
	// (/var/run/secrets/kubernetes.io/serviceaccount/token). It is read for each
	// login: it need not be there before, and ztplan doctor says if it is missing.
	JWTFile engine.File `yaml:"jwtFile" credential:"brief"`
	// RoleID names the role of approle, like the name of a user.
	RoleID string `yaml:"roleID"`
	// SecretID is the secret of approle, from a secret variable. A role may want
	// none (bind_secret_id=false).
	SecretID engine.Secret `yaml:"secretID"`
	// SecretIDFile is a file with the secret of approle, which others cannot read.
	// It is read for each login: it need not be there before, and ztplan doctor says if
	// it is missing.
	SecretIDFile engine.File `yaml:"secretIDFile" credential:"private"`
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

// method returns the auth method, with the default filled in.
func (l *Spec) method() string { return cmp.Or(l.Method, kubernetes) }

// methodSaid names the method in messages, and marks the default.
func (l *Spec) methodSaid() string {
	if l.Method == "" {
		return "method " + kubernetes + ", the default"
	}
	return "method " + l.Method
}

// At is the path of the auth method, with the default filled in.
func (l *Spec) At() string { return cmp.Or(l.Mount, l.method()) }

// For is the audience, with the default filled in; "" without a ServiceAccount.
func (l *Spec) For() string {
	if l.ServiceAccount == nil {
		return l.Audience
	}
	return cmp.Or(l.Audience, "vault://"+l.ServiceAccount.Name)
}

// Alone reports whether the ServiceAccount's token is for that audience and no other.
func (l *Spec) Alone() bool { return len(l.Audiences) == 0 }

// Bare reports whether l is a login of method approle that brings no secret.
func (l *Spec) Bare() bool {
	return l.method() == appRole && l.SecretID.IsZero() && l.SecretIDFile.IsZero()
}

// Who returns the role that l logs in to, and the ServiceAccount; empty texts for
// another method than kubernetes, and for a ServiceAccount that is not named.
func (l *Spec) Who() (role, namespace, account string) {
	if l.method() != kubernetes {
		return "", "", ""
	}
	if l.ServiceAccount == nil {
		return l.Role, "", ""
	}
	return l.Role, l.ServiceAccount.Namespace, l.ServiceAccount.Name
}

// Makes reports whether a role of a Kubernetes auth method is the one that l logs in to.
func (l *Spec) Makes(mount, role string) bool {
	return l != nil && l.method() == kubernetes && l.At() == mount && l.Role == role
}

// key identifies the login within a run, apart from the server.
func (l *Spec) key() string {
	account := ""
	if l.ServiceAccount != nil {
		account = l.ServiceAccount.String()
	}
	// A hash, since the secrets must not be in the key.
	secrets := sha256.Sum256([]byte(l.JWT.Reveal() + "|" + l.SecretID.Reveal()))
	return strings.Join([]string{"login", l.method(), l.At(), l.Namespace, l.Role, account, l.For(), strings.Join(l.Audiences, ","), l.JWTFile.Path, l.RoleID, l.SecretIDFile.Path, hex.EncodeToString(secrets[:])}, "|")
}

// in returns a client for the namespace of the auth method.
func (l *Spec) in(c *vaultkit.Client) *vaultkit.Client {
	if l.Namespace == "" {
		return c
	}
	return c.InNamespace(l.Namespace)
}

// String names the login in messages.
func (l *Spec) String() string {
	if l.Role == "" {
		return fmt.Sprintf("the login (auth/%s)", l.At())
	}
	return fmt.Sprintf("the login (role %s of auth/%s)", l.Role, l.At())
}

// permissions are needed in the cluster to log in; nil needs none.
func (l *Spec) permissions() []engine.Permission {
	if l == nil || l.ServiceAccount == nil {
		return nil
	}
	a := l.ServiceAccount
	return []engine.Permission{kubeaccess.Token(a.Namespace, a.Name, "logs in to Vault as ServiceAccount "+a.String())}
}

// validate reports the problems of l, which may be nil, for a login to server.
func (l *Spec) validate(p *engine.Problems, field string, server vaultkit.Server) {
	if l == nil {
		return
	}
	if reflect.ValueOf(*l).IsZero() {
		p.AddProblem(engine.Problem{Field: field, Message: "is empty: with what method does it log in?",
			Hint: "give it a method, kubernetes, jwt, approle or cert, and what that needs; or leave login out, or give it null, and use token or tokenFile"})
		return
	}
	vaultkit.ValidatePath(p, field+".mount", l.At())
	method := l.method()
	tokens := method == kubernetes || method == jwt
	for _, k := range []struct {
		key            string
		given, allowed bool
	}{
		{"role", l.Role != "", method != appRole},
		{"serviceAccount", l.ServiceAccount != nil, tokens},
		{"audience", l.Audience != "", tokens},
		{"audiences", len(l.Audiences) > 0, tokens},
		{"jwt", !l.JWT.IsZero(), tokens},
		{"jwtFile", !l.JWTFile.IsZero(), tokens},
		{"roleID", l.RoleID != "", method == appRole},
		{"secretID", !l.SecretID.IsZero(), method == appRole},
		{"secretIDFile", !l.SecretIDFile.IsZero(), method == appRole},
	} {
		if k.given && !k.allowed {
			p.AddProblem(engine.Problem{Field: field + "." + k.key, After: []string{field + ".method"},
				Message: "has no use with " + l.methodSaid(), Hint: "remove it, or correct method"})
		}
	}
	switch method {
	case kubernetes, jwt:
		l.validateToken(p, field)
	case appRole:
		if l.RoleID == "" {
			p.AddProblem(engine.Problem{Field: field + ".roleID", After: []string{field + ".method"}, Message: "is needed with method approle"})
		}
		if !l.SecretID.IsZero() && !l.SecretIDFile.IsZero() {
			p.Add(field+".secretIDFile", "has no use beside secretID")
		}
	case cert:
		if l.Role != "" {
			vaultkit.ValidateName(p, field+".role", "a role", l.Role)
		}
		if server.CertFile.IsZero() {
			p.AddProblem(engine.Problem{Field: field + ".method", Message: "cert needs a client certificate",
				Hint: "set certFile and keyFile of the connection"})
		}
	}
}

// validateToken reports the problems of a login with a token of somebody else.
func (l *Spec) validateToken(p *engine.Problems, field string) {
	if l.Role == "" {
		p.AddProblem(engine.Problem{Field: field + ".role", After: []string{field + ".method"}, Message: "is needed with " + l.methodSaid()})
	} else {
		vaultkit.ValidateName(p, field+".role", "a role", l.Role)
	}
	var given []string
	for _, k := range []struct {
		key   string
		given bool
	}{{"serviceAccount", l.ServiceAccount != nil}, {"jwt", !l.JWT.IsZero()}, {"jwtFile", !l.JWTFile.IsZero()}} {
		if k.given {
			given = append(given, k.key)
		}
	}
	switch {
	case len(given) == 0:
		p.AddProblem(engine.Problem{Field: field + ".serviceAccount", After: []string{field + ".method", field + ".jwt", field + ".jwtFile"},
			Message: "is needed, or jwt, or jwtFile: with what does it log in?",
			Hint:    "name the ServiceAccount that the cluster gives a token for, or say where the token is"})
	case len(given) > 1:
		p.AddProblem(engine.Problem{Field: field + "." + given[1], Message: "has no use beside " + given[0], Hint: "keep one of serviceAccount, jwt and jwtFile"})
	}
	if l.ServiceAccount != nil {
		return
	}
	for _, k := range []struct {
		key   string
		given bool
	}{{"audience", l.Audience != ""}, {"audiences", len(l.Audiences) > 0}} {
		if k.given {
			p.AddProblem(engine.Problem{Field: field + "." + k.key, After: []string{field + ".serviceAccount"}, Message: "has no use without serviceAccount",
				Hint: "remove it: the token has the audience that it was made for"})
		}
	}
}
