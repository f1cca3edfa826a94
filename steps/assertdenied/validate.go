package assertdenied

import (
	"fmt"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// Validate checks the inputs against each other.
func (s *Spec) Validate(p *engine.Problems) {
	s.Vault.Validate(p, "vault")
	vaultkit.ValidatePath(p, "rootMount", s.RootMount)
	if s.Login == nil && s.Dial == nil {
		p.AddProblem(engine.Problem{Field: "login", Message: "neither login nor dial is given: there is nothing to refuse", Hint: "give the legitimate login, the legitimate connection, or both"})
	}
	if s.Login != nil {
		vaultkit.ValidatePath(p, "login.mount", s.Login.At())
		vaultkit.ValidateName(p, "login.role", "a role", s.Login.Role)
	}
	if s.Sign != nil {
		s.Sign.validate(p)
		if s.Login == nil {
			p.AddProblem(engine.Problem{Field: "sign", Message: "needs login: with whose token?", Hint: "give the login of the issuer"})
		}
	}
	if s.Dial != nil {
		s.Dial.validate(p)
	}
	names := make(map[string]bool)
	for i, a := range s.Attempts {
		field := fmt.Sprintf("attempts[%d]", i)
		s.validateAttempt(p, a, field)
		if names[a.Name] && a.Name != "" {
			p.Add(field+".name", "%q is the name of another attempt", a.Name)
		}
		names[a.Name] = true
	}
}

func (g Sign) validate(p *engine.Problems) {
	if g.Path == "" {
		return
	}
	if mount, role := g.split(); mount == "" || role == "" {
		p.AddProblem(engine.Problem{Field: "sign.path", Message: fmt.Sprintf("%q is not a path that signs", g.Path), Hint: "write mount, sign and role: pki_int/sign/web"})
		return
	}
	vaultkit.ValidatePath(p, "sign.path", g.Path)
}

func (d Dial) validate(p *engine.Problems) {
	if d.URL != "" {
		if _, err := tlskit.ParseURL(d.URL); err != nil {
			p.Add("dial.url", "url %q: %v", d.URL, err)
		}
	}
	inner := &engine.Problems{}
	d.Target.Validate(inner)
	d.TrustInput.Validate(inner)
	d.ClientInput.Validate(inner)
	for _, problem := range inner.List() {
		problem.Field = "dial." + problem.Field
		p.AddProblem(problem)
	}
}

func (s *Spec) validateAttempt(p *engine.Problems, a Attempt, field string) {
	given := 0
	need := func(method string, missing bool, from string) {
		given++
		if missing {
			p.AddProblem(engine.Problem{Field: field + "." + method, Message: "needs " + from + ": what is the legitimate request?", Hint: "an attempt is the legitimate request with one thing changed"})
		}
	}
	if a.Login != nil {
		need("login", s.Login == nil, "login")
		s.validateLogin(p, *a.Login, field+".login")
	}
	if a.Sign != nil {
		need("sign", s.Sign == nil, "sign")
		s.validateSign(p, *a.Sign, field+".sign")
	}
	if a.Access != nil {
		need("access", s.Login == nil, "login")
		vaultkit.ValidatePath(p, field+".access.path", a.Access.Path)
	}
	if a.Dial != nil {
		need("dial", s.Dial == nil, "dial")
		a.Dial.validate(p, field+".dial")
		s.validateClient(p, *a.Dial, field+".dial")
		if a.Answer != "" {
			p.Add(field+".answer", "a dial is refused by the client, which does not answer")
		}
	}
	if given != 1 {
		p.Add(field, "needs one of login, sign, access and dial, and has %d", given)
	}
}

func (s *Spec) validateLogin(p *engine.Problems, a LoginAttempt, field string) {
	if s.Login == nil {
		return
	}
	who, audience := s.Login.As(a)
	if who == s.Login.ServiceAccount && audience == s.Login.Audience && s.Login.ServiceAccount.Name != "" {
		p.AddProblem(engine.Problem{Field: field, Message: "is the legitimate login", Hint: "give another namespace, serviceAccount or audience"})
	}
}

func (s *Spec) validateSign(p *engine.Problems, a SignAttempt, field string) {
	given := 0
	for _, ok := range []bool{len(a.Names) > 0, a.TTL != 0, a.NotAfter != 0} {
		if ok {
			given++
		}
	}
	if given != 1 {
		p.Add(field, "needs one of names, ttl and notAfter, and has %d", given)
	}
	if s.Sign == nil {
		return
	}
	if a.TTL != 0 && a.TTL <= s.Sign.MaxTTL {
		p.Add(field+".ttl", "%s is not beyond the maximum, %s", a.TTL, s.Sign.MaxTTL)
	}
	if a.NotAfter != 0 && a.NotAfter <= s.Sign.MaxTTL {
		p.Add(field+".notAfter", "%s is not beyond the maximum, %s", a.NotAfter, s.Sign.MaxTTL)
	}
	for i, n := range a.Names {
		if strings.EqualFold(n, s.Sign.Name) && len(a.Names) == 1 {
			p.Add(fmt.Sprintf("%s.names[%d]", field, i), "%s is the name that the role allows", n)
		}
	}
}

func (d DialAttempt) validate(p *engine.Problems, field string) {
	given := 0
	for _, is := range []bool{d.Trust != "", d.Expired, d.Presents != "", d.Client != nil} {
		if is {
			given++
		}
	}
	d.Client.Validate(p, field+".client")
	switch {
	case given == 0:
		p.Add(field, "needs one of trust, expired, presents and client")
	case given > 1:
		p.Add(field, "needs one of trust, expired, presents and client, and has %d: it would be refused for several reasons", given)
	case d.Trust != "" && d.Trust != impostor:
		if _, err := tlskit.ParseTrust(d.Trust); err != nil {
			p.Add(field+".trust", "trust: %v", err)
		}
	}
}

// validateClient checks that an attempt with another client certificate has a control.
func (s *Spec) validateClient(p *engine.Problems, a DialAttempt, field string) {
	if !a.aboutClient() || s.Dial == nil {
		return
	}
	if s.Dial.Client == nil {
		p.AddProblem(engine.Problem{Field: field, Message: "needs dial.client: which certificate does the server accept?", Hint: "give the legitimate client certificate, so that a refusal has one reason"})
	}
	if a.Presents == evidence.PresentsExpired && (s.Sign == nil || s.Login == nil) {
		p.AddProblem(engine.Problem{Field: field + ".presents", Message: "expired needs login and sign: who signs the certificate that expires?",
			Hint: "give sign with the role for the certificates of clients, or client with a certificate that has expired"})
	}
}
