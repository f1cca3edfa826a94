package assertdenied

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// later stands for an input that other steps have yet to give.
const later = "(known later)"

// Intent describes the requests of Prove.
func (s *Spec) Intent() []string {
	s = s.readable()
	var lines []string
	if l := s.Login; l != nil {
		lines = append(lines, fmt.Sprintf("control: log in to auth/%s as ServiceAccount %s with role %s and audience %s", l.At(), l.ServiceAccount, l.Role, l.Audience))
	}
	if g := s.Sign; g != nil {
		lines = append(lines, "control: "+g.legitimate()+", with a key that is thrown away")
	}
	if d := s.Dial; d != nil {
		name := cmp.Or(d.URL, later)
		if u, err := tlskit.ParseURL(d.URL); err == nil {
			name = u.String()
		}
		lines = append(lines, fmt.Sprintf("control: connect for %s to %s and verify the certificate against the given trust", name, d.Where()))
		if d.Client != nil {
			lines = append(lines, fmt.Sprintf("control: request %s with %s, before and after each attempt with another one", name, d.Client))
		}
	}
	for _, a := range s.Forbidden() {
		lines = append(lines, fmt.Sprintf("assert that %s is refused: %s", a.Name, s.describe(a)))
	}
	return lines
}

// describe renders an attempt.
func (s *Spec) describe(a Attempt) string {
	switch {
	case a.Login != nil && s.Login != nil:
		who, audience := s.Login.As(*a.Login)
		return fmt.Sprintf("log in with role %s as ServiceAccount %s with audience %s", s.Login.Role, who, audience)
	case a.Sign != nil && s.Sign != nil:
		return s.Sign.describe(*a.Sign)
	case a.Access != nil:
		return "read " + a.Access.Path + ", and ask what is allowed there"
	case a.Dial != nil && a.Dial.Presents == evidence.PresentsNone:
		return "connect without a client certificate"
	case a.Dial != nil && a.Dial.Presents == evidence.PresentsForeign:
		return "connect with a client certificate of the same names, signed by another authority of the same name"
	case a.Dial != nil && a.Dial.Presents == evidence.PresentsExpired:
		return "connect with a client certificate after its end"
	case a.Dial != nil && a.Dial.Client != nil:
		return "connect with " + a.Dial.Client.String()
	case a.Dial != nil && a.Dial.Expired:
		return "connect with a clock after the end of the server's certificate"
	case a.Dial != nil && a.Dial.Trust == impostor:
		return "connect and trust a root of the same name with another key"
	case a.Dial != nil:
		return "connect and trust another authority"
	}
	return later
}

// readable is the spec with words for values that are not known yet.
func (s *Spec) readable() *Spec {
	c := *s
	fill(&c.RootMount)
	if s.Login != nil {
		l := *s.Login
		fill(&l.Role, &l.Audience, &l.ServiceAccount.Namespace, &l.ServiceAccount.Name)
		c.Login = &l
	}
	if s.Sign != nil {
		g := *s.Sign
		if g.Path == "" {
			g.Path = later + "/sign/" + later
		}
		fill(&g.Name)
		c.Sign = &g
	}
	return &c
}

func fill(texts ...*string) {
	for _, t := range texts {
		if *t == "" {
			*t = later
		}
	}
}

func (g Sign) legitimate() string {
	return fmt.Sprintf("have %s sign a certificate for %s that lives for %s", g.Path, g.Name, controlTTL)
}

func (g Sign) brief() string {
	return fmt.Sprintf("have %s sign a client certificate for %s that lives for %s", g.Path, g.Name, briefTTL)
}

func (g Sign) describe(a SignAttempt) string {
	switch {
	case len(a.Names) > 0:
		return fmt.Sprintf("have %s sign a certificate for %s", g.Path, strings.Join(a.Names, ", "))
	case g.MaxTTL == 0:
		return fmt.Sprintf("have %s sign a certificate that lives longer than the maximum, which is known later", g.Path)
	case a.TTL != 0:
		return fmt.Sprintf("have %s sign a certificate that lives for %s (ttl), longer than %s", g.Path, a.TTL, g.MaxTTL)
	}
	return fmt.Sprintf("have %s sign a certificate that lives for %s (not_after), longer than %s", g.Path, a.NotAfter, g.MaxTTL)
}

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
