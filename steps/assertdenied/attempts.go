package assertdenied

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// impostor is the value of DialAttempt.Trust that stands for a root made for the
// attempt.
const impostor = "impostor"

// Names below .invalid have no owner (RFC 2606 section 2).
const (
	foreignName     = "foreign.invalid"
	foreignAudience = "https://another.invalid"
)

// At is the path of the auth method, with the default filled in.
func (l Login) At() string { return cmp.Or(l.Mount, "kubernetes") }

// As returns the ServiceAccount and the audience of an attempt to log in.
func (l Login) As(a LoginAttempt) (login.Account, string) {
	return login.Account{
		Namespace: cmp.Or(a.Namespace, l.ServiceAccount.Namespace),
		Name:      cmp.Or(a.ServiceAccount, l.ServiceAccount.Name),
	}, cmp.Or(a.Audience, l.Audience)
}

// Mount is the PKI engine of the path.
func (g Sign) Mount() string {
	mount, _ := g.split()
	return mount
}

// split returns mount and role of the path.
func (g Sign) split() (mount, role string) {
	mount, role, _ = strings.Cut(g.Path, "/sign/")
	return mount, role
}

// Forbidden returns the attempts: those that the plan lists, or those that follow from the
// legitimate requests.
func (s *Spec) Forbidden() []Attempt {
	if len(s.Attempts) > 0 {
		return s.Attempts
	}
	var list []Attempt
	if s.Login != nil {
		list = append(list, s.Login.attempts()...)
	}
	if s.Login != nil && s.Sign != nil {
		list = append(list, s.Sign.attempts()...)
	}
	if s.Login != nil {
		list = append(list, s.bounds()...)
	}
	if s.Dial != nil {
		list = append(list,
			Attempt{Name: "another root", Dial: &DialAttempt{Trust: impostor}},
			Attempt{Name: "an expired certificate", Dial: &DialAttempt{Expired: true}},
		)
	}
	if s.Dial != nil && s.Dial.Client != nil {
		list = append(list,
			Attempt{Name: "no client certificate", Dial: &DialAttempt{Presents: evidence.PresentsNone}},
			Attempt{Name: "a foreign client certificate", Dial: &DialAttempt{Presents: evidence.PresentsForeign}},
		)
		if s.Login != nil && s.Sign != nil {
			list = append(list, Attempt{Name: "an expired client certificate", Dial: &DialAttempt{Presents: evidence.PresentsExpired}})
		}
	}
	return list
}

func (l Login) attempts() []Attempt {
	name, namespace := "default", "default"
	if l.ServiceAccount.Name == name {
		name = "ztplan-denied"
	}
	if l.ServiceAccount.Namespace == namespace {
		namespace = "kube-public"
	}
	return []Attempt{
		{Name: "another ServiceAccount", Login: &LoginAttempt{ServiceAccount: name}},
		{Name: "another namespace", Login: &LoginAttempt{Namespace: namespace}},
		{Name: "another audience", Login: &LoginAttempt{Audience: foreignAudience}},
	}
}

func (g Sign) attempts() []Attempt {
	return []Attempt{
		{Name: "a foreign name", Sign: &SignAttempt{Names: []string{foreignName}}},
		{Name: "a ttl beyond the maximum", Sign: &SignAttempt{TTL: 2 * g.MaxTTL}},
		{Name: "a date beyond the maximum", Sign: &SignAttempt{NotAfter: 2 * g.MaxTTL}},
	}
}

// bounds are the paths by which a token could give itself more.
func (s *Spec) bounds() []Attempt {
	paths := []string{
		s.RootMount + "/root/generate/internal",
		s.RootMount + "/root/sign-intermediate",
	}
	if s.Sign != nil {
		mount, role := s.Sign.split()
		paths = append(paths, mount+"/roles/"+role)
	}
	paths = append(paths, "auth/"+s.Login.At()+"/role/"+s.Login.Role, "sys/policies/acl/default")
	list := make([]Attempt, len(paths))
	for i, p := range paths {
		list[i] = Attempt{Name: "access to " + p, Access: &AccessAttempt{Path: p}}
	}
	return list
}

// Clients returns the URL of the connection, whether it presents a client certificate, and
// whether clients without a right one are among the attempts.
func (s *Spec) Clients() (url string, presents, denies bool) {
	if s.Dial == nil {
		return "", false, false
	}
	denies = slices.ContainsFunc(s.Forbidden(), func(a Attempt) bool { return a.Dial != nil && a.Dial.aboutClient() })
	return s.Dial.URL, s.Dial.Client != nil, denies
}

// method names the kind of the attempt, for the evidence.
func (a Attempt) method() string {
	switch {
	case a.Login != nil:
		return "login"
	case a.Sign != nil:
		return "sign"
	case a.Access != nil:
		return "access"
	case a.Dial.aboutClient():
		return "client"
	}
	return "dial"
}

// aboutClient reports whether the attempt is one with another client certificate.
func (d *DialAttempt) aboutClient() bool { return d.Presents != "" || d.Client != nil }

// expires reports whether an attempt presents a client certificate that has expired.
func expires(a Attempt) bool { return a.Dial != nil && a.Dial.Presents == evidence.PresentsExpired }

func (d Dial) tries() int { return cmp.Or(d.Tries, defaultTries) }
