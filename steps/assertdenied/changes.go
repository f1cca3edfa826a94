package assertdenied

import (
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// Changes declares the edits of Prove. An attempt is an edit, too: Vault might grant
// it.
func (s *Spec) Changes() []engine.Edit {
	if s.Login == nil {
		return nil
	}
	s = s.readable()
	var list []engine.Edit
	var logins, signs []any
	accounts := make(map[login.Account]bool)
	for _, a := range s.Forbidden() {
		switch {
		case a.Login != nil:
			logins = append(logins, s.describe(a))
			if who, _ := s.Login.As(*a.Login); who != s.Login.ServiceAccount && !accounts[who] {
				accounts[who] = true
				list = append(list, borrowed(who))
			}
		case a.Sign != nil && s.Sign != nil:
			signs = append(signs, s.describe(a))
		}
	}
	if len(logins) > 0 {
		list = append(list, engine.Edit{Path: loginPath(s.Login), Want: logins,
			Note: "must be refused; a token that is given is revoked"})
	}
	if s.Sign != nil {
		note := "only the first must be granted; keys are thrown away"
		if slices.ContainsFunc(s.Forbidden(), expires) {
			signs, note = append([]any{s.Sign.brief()}, signs...), "only the first two must be granted; keys are thrown away"
		}
		list = append(list, engine.Edit{Path: s.Sign.Path, Want: append([]any{s.Sign.legitimate()}, signs...), Note: note})
		if !s.Vault.Token.IsZero() {
			list = append(list, s.revocation())
		}
	}
	return list
}

// borrowed is a ServiceAccount that is made for an attempt.
func borrowed(who login.Account) engine.Edit {
	return engine.Edit{
		Path: "ServiceAccount/" + who.String(), Want: "made for an attempt",
		Note: "if there is none; without any rights, and removed again",
	}
}

// loginPath is the path of a login.
func loginPath(l *Login) string { return "auth/" + l.At() + "/login" }

// revocation is the edit for certificates that live longer than a few minutes.
func (s *Spec) revocation() engine.Edit {
	mount, _ := s.Sign.split()
	return engine.Edit{Path: mount + "/cert", Want: "revoked", Note: "certificates that an attempt was given and that live on"}
}
