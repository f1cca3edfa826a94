// Package denied compares the requests of an assertDenied step with the roles that the plan
// makes: the legitimate ones must be granted, and the others must be refused.
package denied

import (
	"fmt"
	"slices"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/names"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/assertdenied"
	"github.com/ztplan/ztplan/steps/pkiintermediate"
)

// A Login is a role of a Kubernetes auth method of the same Vault.
type Login struct {
	Mount, Name          string
	Accounts, Namespaces []string // that it admits; "*" for all
}

// A Signer is a role of a PKI engine of the same Vault.
type Signer struct {
	pkiintermediate.Role
	Mount string
}

// Plan has the logins and the signing roles that a plan makes. A role of which an input
// waits for another step is left out, and so is its mount.
type Plan struct {
	Logins  []Login
	Signers []Signer
}

// A Mistake is an input that does not fit the plan, and the rule with the reason.
type Mistake struct{ Field, Rule, Text string }

// Mistakes returns those of a step; pending are its inputs that are not known.
func (p Plan) Mistakes(s *assertdenied.Spec, pending []string) []Mistake {
	var all, out []Mistake
	if s.Login != nil {
		all = append(all, p.login(s)...)
	}
	if s.Sign != nil {
		all = append(all, p.sign(s)...)
	}
	for _, m := range all {
		if engine.Known(m.Field, pending) {
			out = append(out, m)
		}
	}
	return out
}

// attempts visits the attempts with the inputs that they follow from; field is that of one
// part of them in the list of the plan.
func attempts(s *assertdenied.Spec, standard, part string, visit func(a assertdenied.Attempt, field string)) {
	for i, a := range s.Forbidden() {
		field := standard
		if len(s.Attempts) > 0 {
			field = fmt.Sprintf("attempts[%d].%s", i, part)
		}
		visit(a, field)
	}
}

func (p Plan) login(s *assertdenied.Spec) []Mistake {
	l := s.Login
	made := slices.IndexFunc(p.Logins, func(r Login) bool { return r.Mount == l.At() && r.Name == l.Role })
	if made < 0 {
		if slices.ContainsFunc(p.Logins, func(r Login) bool { return r.Mount == l.At() }) {
			return []Mistake{{"login.role", "denied-role", fmt.Sprintf("no step makes role %s of auth/%s, and the plan makes others there", l.Role, l.At())}}
		}
		return nil
	}
	r := p.Logins[made]
	admits := func(list []string, name string) bool {
		return slices.Contains(list, name) || slices.Contains(list, "*")
	}
	var out []Mistake
	if who := l.ServiceAccount; !admits(r.Accounts, who.Name) || !admits(r.Namespaces, who.Namespace) {
		out = append(out, Mistake{"login.serviceAccount", "login-service-account", fmt.Sprintf("role %s does not admit ServiceAccount %s of the legitimate login", r.Name, who)})
	}
	attempts(s, "login", "login", func(a assertdenied.Attempt, field string) {
		if a.Login == nil {
			return
		}
		if who, audience := l.As(*a.Login); audience == l.Audience && admits(r.Accounts, who.Name) && admits(r.Namespaces, who.Namespace) {
			out = append(out, Mistake{field, "denied-allowed", fmt.Sprintf("%s: role %s admits ServiceAccount %s", a.Name, r.Name, who)})
		}
	})
	return out
}

func (p Plan) sign(s *assertdenied.Spec) []Mistake {
	at := func(r Signer) string { return r.Mount + "/sign/" + r.Name }
	made := slices.IndexFunc(p.Signers, func(r Signer) bool { return at(r) == s.Sign.Path })
	if made < 0 {
		if slices.ContainsFunc(p.Signers, func(r Signer) bool { return r.Mount == s.Sign.Mount() }) {
			return []Mistake{{"sign.path", "denied-role", fmt.Sprintf("no step makes the role of %s, and the plan makes others there", s.Sign.Path)}}
		}
		return nil
	}
	r := p.Signers[made]
	var out []Mistake
	if s.Sign.Name != "" && !names.Allow(r.Role, s.Sign.Name) {
		out = append(out, Mistake{"sign.name", "name-not-allowed", fmt.Sprintf("role %s does not allow the name %s of the legitimate request", r.Name, s.Sign.Name)})
	}
	if r.MaxTTL > s.Sign.MaxTTL && s.Sign.MaxTTL > 0 {
		out = append(out, Mistake{"sign.maxTTL", "denied-allowed", fmt.Sprintf("role %s signs certificates of up to %s, which is longer than %s", r.Name, r.MaxTTL, s.Sign.MaxTTL)})
	}
	attempts(s, "sign", "sign.names", func(a assertdenied.Attempt, field string) {
		if a.Sign == nil || len(a.Sign.Names) == 0 {
			return
		}
		if !slices.ContainsFunc(a.Sign.Names, func(n string) bool { return !names.Surely(r.Role, n) }) {
			out = append(out, Mistake{field, "denied-allowed", fmt.Sprintf("%s: role %s allows every name of it", a.Name, r.Name)})
		}
	})
	return out
}
