package lint

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/assertdenied"
	"github.com/ztplan/ztplan/steps/assertrotation"
	"github.com/ztplan/ztplan/steps/k8sauth"
	"github.com/ztplan/ztplan/steps/pkiintermediate"
	"github.com/ztplan/ztplan/steps/pkiroot"
	"github.com/ztplan/ztplan/steps/vaultinit"
	"github.com/ztplan/ztplan/steps/vaultunseal"
)

// A wayIn is the connection to Vault of a step.
type wayIn interface {
	PlainText() bool
	HasToken() bool
}

// A login is the part of a Vault login that the rules read.
type login struct {
	mount, role, audience, namespace, account string
	alone                                     bool // the token has no other audience
	bare                                      bool // it is of method approle, without a secret
}

// wayInOf returns the connection of a step and its login; nil for a step that has no
// token and no login, and for a connection with a token only.
func wayInOf(spec any) (wayIn, *login) {
	switch spec := spec.(type) {
	case *k8sauth.Spec:
		return spec.Vault, loginOf(spec.Vault.Login)
	case *pkiroot.Spec:
		return spec.Vault, loginOf(spec.Vault.Login)
	case *pkiintermediate.Spec:
		return spec.Vault, loginOf(spec.Vault.Login)
	case *vaultinit.Spec:
		return spec.Vault, loginOf(spec.Vault.Login)
	case *vaultunseal.Spec:
		return spec.Vault, loginOf(spec.Vault.Login)
	case *assertdenied.Spec:
		return spec.Vault, loginOf(spec.Vault.Login)
	case *assertrotation.Spec:
		return spec.Vault, loginOf(spec.Vault.Login)
	}
	return nil, nil
}

// A fieldLogin is a login and the input that it is in.
type fieldLogin struct {
	field string
	login
}

// loginsOf returns the logins to a Kubernetes auth method that the inputs of a step have:
// that of its connection, and the one that a proof of refusals takes as legitimate.
func loginsOf(spec any) (out []fieldLogin) {
	if _, l := wayInOf(spec); l != nil && l.role != "" {
		out = append(out, fieldLogin{"vault.login", *l})
	}
	if d, ok := spec.(*assertdenied.Spec); ok && d.Login != nil {
		l := d.Login
		out = append(out, fieldLogin{"login", login{l.At(), l.Role, l.Audience, l.ServiceAccount.Namespace, l.ServiceAccount.Name, len(l.Audiences) == 0, false}})
	}
	return out
}

func loginOf[L interface {
	comparable
	At() string
	For() string
	Alone() bool
	Bare() bool
	Who() (role, namespace, account string)
}](l L) *login {
	var none L
	if l == none {
		return nil
	}
	out := &login{mount: l.At(), audience: l.For(), alone: l.Alone(), bare: l.Bare()}
	out.role, out.namespace, out.account = l.Who()
	return out
}

// waysIn: credentials of the connections to Vault that are kept, exposed or sent in the
// clear. A connection that several steps share has one finding.
func waysIn(f *facts) []Finding {
	var out []Finding
	add := func(found Finding) {
		if !slices.ContainsFunc(out, func(other Finding) bool { return other.Rule == found.Rule && other.Place == found.Place }) {
			out = append(out, found)
		}
	}
	for _, s := range f.plan.Steps {
		spec, _ := s.Draft()
		tokenField := "vault.token"
		for _, c := range engine.Credentials(spec) {
			if c.Field == "vault.tokenFile" {
				tokenField = c.Field
			}
			err := c.File.Uncached().Exposed()
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				continue
			}
			found := at(s, c.Field, "exposed-credential", "", "%v", err)
			if !c.Private {
				found = found.as(Warning)
			}
			add(found)
		}
		way, login := wayInOf(spec)
		if way == nil {
			continue
		}
		if way.PlainText() && (way.HasToken() || login != nil || !isKnown(s, "vault.token")) {
			add(at(s, "vault.address", "plaintext-token", "", "tokens are sent to Vault over plain HTTP"))
		}
		if login != nil && login.bare && isKnown(s, "vault.login.secretID") {
			add(at(s, "vault.login", "login-no-secret", "", "the login of method approle has no secretID, or an empty one"))
		}
		if way.HasToken() && login == nil {
			add(at(s, tokenField, "kept-token", "", "a token from outside of the plan lets in its steps, in every run"))
		}
	}
	return out
}
