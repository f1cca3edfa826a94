package assertdenied

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

func TestRefusal(t *testing.T) {
	said := func(status int, messages ...string) error {
		return engine.Permanent(fmt.Errorf("wrapped: %w", &vaultkit.Error{Verb: "write", Path: "p", Status: status, Messages: messages}))
	}
	for name, c := range map[string]struct {
		err  error
		want string // none if it is no answer to the request
	}{
		"forbidden":    {said(403, "permission denied"), "403: permission denied"},
		"bad request":  {said(400, "not allowed"), "400: not allowed"},
		"two messages": {said(403, "permission denied", "invalid token"), "403: permission denied; invalid token"},
		"no path":      {said(404, "no handler for route"), ""},
		"busy":         {said(429), ""},
		"broken":       {said(500, "permission denied"), ""},
		"sealed":       {engine.Permanent(vaultkit.ErrSealed), ""},
		"no network":   {errors.New("connection refused: permission denied"), ""},
	} {
		a, err := refusal(c.err)
		switch {
		case c.want == "" && !errors.Is(err, c.err):
			t.Errorf("%s: answer %v, error %v; want the error", name, a, err)
		case c.want != "" && (err != nil || a.String() != c.want):
			t.Errorf("%s: answer %v, error %v; want %s", name, a, err, c.want)
		}
	}
}

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		answer   answer
		expected []evidence.Refusal
		holds    bool
		detail   string
	}{
		"right":           {answer{status: 403, text: "namespace not authorized"}, []evidence.Refusal{wrongNamespace}, true, ""},
		"the second":      {answer{status: 403, text: "namespace not authorized"}, []evidence.Refusal{wrongAccount, wrongNamespace}, true, ""},
		"another":         {answer{status: 403, text: "permission denied"}, []evidence.Refusal{wrongNamespace}, false, "for another reason, which may go away"},
		"could not tell":  {answer{status: 403, text: "namespace not authorized err=no server"}, []evidence.Refusal{wrongNamespace}, false, "for another reason"},
		"another status":  {answer{status: 400, text: "permission denied"}, []evidence.Refusal{noPermission}, false, "for another reason"},
		"a dead token":    {answer{status: 403, text: "permission denied; invalid token"}, []evidence.Refusal{noPermission}, false, "for another reason"},
		"granted":         {answer{status: 200, text: "permission denied", granted: true}, []evidence.Refusal{{Status: 200, Text: "permission denied"}}, false, "tighten"},
		"a name":          {answer{status: 400, text: "common name x.y not allowed by this role"}, []evidence.Refusal{wrongName}, true, ""},
		"nothing to meet": {answer{status: 403, text: "permission denied"}, nil, false, "for another reason"},
	} {
		v := &verdict{rule: "r", advice: "tighten"}
		v.judge(c.answer, c.expected)
		f := v.finding()
		if f.Holds != c.holds || !strings.HasPrefix(strings.TrimPrefix(f.Detail, "it was refused, but "), c.detail) || f.Holds != v.record.Refused {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// The differences decide which refusals count, and no others.
func TestLoginRefusals(t *testing.T) {
	l := Login{Role: "r", Audience: "a", ServiceAccount: login.Account{Namespace: "ns", Name: "sa"}}
	for _, c := range []struct {
		who      login.Account
		audience string
		want     []evidence.Refusal
		advice   []string
	}{
		{login.Account{Namespace: "ns", Name: "other"}, "a", []evidence.Refusal{wrongAccount}, []string{"bound_service_account_names of auth/kubernetes/role/r to sa"}},
		{login.Account{Namespace: "other", Name: "sa"}, "a", []evidence.Refusal{wrongNamespace}, []string{"bound_service_account_namespaces of auth/kubernetes/role/r to ns"}},
		{login.Account{Namespace: "ns", Name: "sa"}, "b", []evidence.Refusal{wrongAudience}, []string{"audience of auth/kubernetes/role/r to a"}},
		{login.Account{Namespace: "x", Name: "y"}, "b", []evidence.Refusal{wrongAudience, wrongAccount, wrongNamespace}, []string{"audience", "names", "namespaces"}},
	} {
		refusals, hint := l.refusals(c.who, c.audience)
		if diff := cmp.Diff(c.want, refusals); diff != "" {
			t.Errorf("%v: %s", c.who, diff)
		}
		advice := strings.Split(hint, "; ")
		if len(advice) != len(c.advice) {
			t.Errorf("advice %q", advice)
		}
		for i := range advice {
			if !strings.Contains(advice[i], c.advice[i]) {
				t.Errorf("advice %q, want %q", advice[i], c.advice[i])
			}
		}
	}
}

func TestSignedLife(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	signed := func(life time.Duration) []*x509.Certificate {
		return ca.Issue(t, tlstest.Leaf{CommonName: "a", Names: []string{"a"}, Lifetime: life}).Chain
	}
	for name, c := range map[string]struct {
		life, most time.Duration
		refused    bool
	}{
		"shortened":        {24*time.Hour + 30*time.Second, 24 * time.Hour, true},
		"rounded":          {24*time.Hour + 32*time.Second, 24 * time.Hour, true},
		"longer":           {24*time.Hour + 33*time.Second, 24 * time.Hour, false},
		"as asked":         {48 * time.Hour, 24 * time.Hour, false},
		"a name is signed": {time.Minute, 0, false},
	} {
		v := &verdict{}
		v.judgeSigned(signed(c.life), nil, c.most, 30*time.Second)
		if v.record.Refused != c.refused || v.finding().Holds != c.refused || v.record.Certificate == nil {
			t.Errorf("%s: %+v", name, v.finding())
		}
	}
	for life, want := range map[time.Duration]string{
		time.Minute + 30*time.Second: "", time.Minute: "", 30 * time.Second: "lives for 30s", 3 * time.Hour: "lives for 3h",
	} {
		early, err := backdated(signed(life)[0], "a")
		if got := fmt.Sprint(err); want == "" && (err != nil || early != life-time.Minute) || want != "" && !strings.Contains(got, want) {
			t.Errorf("a control of %s is backdated by %s, %v", life, early, err)
		}
	}
	if _, err := backdated(signed(time.Minute)[0], "b"); err == nil {
		t.Error("a control for another name is taken")
	}
}

func TestRefusedFor(t *testing.T) {
	expired := fmt.Errorf("wrapped: %w", x509.CertificateInvalidError{Reason: x509.Expired})
	unknown := fmt.Errorf("wrapped: %w", x509.UnknownAuthorityError{})
	name := x509.HostnameError{}
	for _, c := range []struct {
		err     error
		expired bool
		want    bool
	}{
		{expired, true, true},
		{unknown, true, false},
		{name, true, false},
		{x509.CertificateInvalidError{Reason: x509.NameMismatch}, true, false},
		{unknown, false, true},
		{expired, false, false},
		{name, false, false},
	} {
		if got := refusedFor(c.err, c.expired); got != c.want {
			t.Errorf("%v, expired %t: %t", c.err, c.expired, got)
		}
	}
}

func TestValidate(t *testing.T) {
	spec := func() *Spec {
		s := Kind.New().(*Spec)
		s.Login = &Login{Role: "r", Audience: "a", ServiceAccount: login.Account{Namespace: "ns", Name: "sa"}}
		s.Sign = &Sign{Path: "pki_int/sign/web", Name: "a.example.local", MaxTTL: engine.Duration(time.Hour)}
		s.Dial = &Dial{URL: "https://a.example.local"}
		s.Dial.Trust = "system"
		return s
	}
	hour := engine.Duration(time.Hour)
	for name, c := range map[string]struct {
		change func(*Spec)
		want   []string // fields
	}{
		"sound":      {func(*Spec) {}, nil},
		"nothing":    {func(s *Spec) { s.Login, s.Sign, s.Dial = nil, nil, nil }, []string{"login"}},
		"sign alone": {func(s *Spec) { s.Login = nil }, []string{"sign"}},
		"names":      {func(s *Spec) { s.Login.Mount, s.Login.Role, s.RootMount = "/k", "a b", "pki/" }, []string{"rootMount", "login.mount", "login.role"}},
		"issue":      {func(s *Spec) { s.Sign.Path = "pki_int/issue/web" }, []string{"sign.path"}},
		"slashes":    {func(s *Spec) { s.Sign.Path = "/pki_int/sign/web" }, []string{"sign.path"}},
		"dial":       {func(s *Spec) { s.Dial.URL, s.Dial.Trust, s.Dial.Address = "http://x", "", "x" }, []string{"dial.url", "dial.address", "dial.trust"}},
		"no attempt": {func(s *Spec) { s.Attempts = []Attempt{{Name: "a"}} }, []string{"attempts[0]"}},
		"two in one": {func(s *Spec) {
			s.Attempts = []Attempt{{Name: "a", Dial: &DialAttempt{Expired: true}, Access: &AccessAttempt{Path: "a/b"}}}
		}, []string{"attempts[0]"}},
		"twice": {func(s *Spec) {
			s.Attempts = slices.Repeat([]Attempt{{Name: "a", Access: &AccessAttempt{Path: "a/b"}}}, 2)
		}, []string{"attempts[1].name"}},
		"legitimate": {func(s *Spec) { s.Attempts = []Attempt{{Name: "a", Login: &LoginAttempt{ServiceAccount: "sa"}}} }, []string{"attempts[0].login"}},
		"the name": {func(s *Spec) {
			s.Attempts = []Attempt{{Name: "a", Sign: &SignAttempt{Names: []string{"A.example.local"}}}}
		}, []string{"attempts[0].sign.names[0]"}},
		"short": {func(s *Spec) {
			s.Attempts = []Attempt{{Name: "a", Sign: &SignAttempt{TTL: hour}}, {Name: "b", Sign: &SignAttempt{NotAfter: hour}}}
		}, []string{"attempts[0].sign.ttl", "attempts[1].sign.notAfter"}},
		"two lives": {func(s *Spec) {
			s.Attempts = []Attempt{{Name: "a", Sign: &SignAttempt{TTL: 2 * hour, NotAfter: 2 * hour}}}
		}, []string{"attempts[0].sign"}},
		"a path":        {func(s *Spec) { s.Attempts = []Attempt{{Name: "a", Access: &AccessAttempt{Path: "/pki/*"}}} }, []string{"attempts[0].access.path"}},
		"trust":         {func(s *Spec) { s.Attempts = []Attempt{{Name: "a", Dial: &DialAttempt{Trust: "nobody"}}} }, []string{"attempts[0].dial.trust"}},
		"trust and end": {func(s *Spec) { s.Attempts = []Attempt{{Name: "a", Dial: &DialAttempt{Trust: "system", Expired: true}}} }, []string{"attempts[0].dial"}},
		"a silent dial": {func(s *Spec) { s.Attempts = []Attempt{{Name: "a", Answer: "x", Dial: &DialAttempt{Expired: true}}} }, []string{"attempts[0].answer"}},
		"without controls": {func(s *Spec) {
			s.Login, s.Sign, s.Dial.Trust = nil, nil, "system"
			s.Attempts = []Attempt{{Name: "a", Login: &LoginAttempt{Namespace: "x"}}, {Name: "b", Sign: &SignAttempt{TTL: hour}}, {Name: "c", Access: &AccessAttempt{Path: "a"}}}
		}, []string{"attempts[0].login", "attempts[1].sign", "attempts[2].access"}},
	} {
		s, p := spec(), &engine.Problems{}
		c.change(s)
		s.Validate(p)
		var got []string
		for _, problem := range p.List() {
			got = append(got, problem.Field)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Inputs that other steps have yet to give appear as known later.
func TestIntentBeforeItIsKnown(t *testing.T) {
	s := Kind.New().(*Spec)
	s.Login, s.Sign, s.Dial, s.RootMount = &Login{}, &Sign{}, &Dial{}, ""
	lines := s.Intent()
	for _, want := range []string{
		"control: log in to auth/kubernetes as ServiceAccount (known later)/(known later) with role (known later) and audience (known later)",
		"control: connect for (known later) to the address of the name in the DNS and verify the certificate against the given trust",
		"assert that access to (known later)/root/generate/internal is refused: read (known later)/root/generate/internal, and ask what is allowed there",
		"assert that a ttl beyond the maximum is refused: have (known later)/sign/(known later) sign a certificate that lives longer than the maximum, which is known later",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("there is no line %q in:\n%s", want, strings.Join(lines, "\n"))
		}
	}
	if s.Login.Role != "" || s.RootMount != "" {
		t.Error("saying what would be done changes the spec")
	}
}

// The default attempts differ from any legitimate request, and the intent shows
// that.
func TestDefaults(t *testing.T) {
	s := Kind.New().(*Spec)
	s.Login = &Login{Role: "r", Audience: "a", ServiceAccount: login.Account{Namespace: "default", Name: "default"}}
	s.Sign = &Sign{Path: "pki_int/sign/web", Name: "a.example.local", MaxTTL: engine.Duration(24 * time.Hour)}
	s.Dial = &Dial{URL: "https://a.example.local"}
	s.Dial.Trust = "system"
	listed := *s
	listed.Attempts = s.Forbidden()
	p := &engine.Problems{}
	listed.Validate(p)
	if len(p.List()) > 0 || len(listed.Attempts) != 13 {
		t.Errorf("%d attempts, problems: %v", len(listed.Attempts), p.List())
	}
	lines := s.Intent()
	for i, want := range []string{
		"control: log in to auth/kubernetes as ServiceAccount default/default with role r and audience a",
		"control: have pki_int/sign/web sign a certificate for a.example.local that lives for 1m",
		"control: connect for https://a.example.local/ to the address of the name in the DNS",
		"assert that another ServiceAccount is refused: log in with role r as ServiceAccount default/ztplan-denied with audience a",
		"assert that another namespace is refused: log in with role r as ServiceAccount kube-public/default",
		"assert that another audience is refused: log in with role r as ServiceAccount default/default with audience https://another.invalid",
		"assert that a foreign name is refused: have pki_int/sign/web sign a certificate for foreign.invalid",
		"assert that a ttl beyond the maximum is refused: have pki_int/sign/web sign a certificate that lives for 48h (ttl), longer than 24h",
		"assert that a date beyond the maximum is refused",
		"assert that access to pki/root/generate/internal is refused: read pki/root/generate/internal",
		"assert that access to pki/root/sign-intermediate is refused",
		"assert that access to pki_int/roles/web is refused",
		"assert that access to auth/kubernetes/role/r is refused",
		"assert that access to sys/policies/acl/default is refused",
		"assert that another root is refused: connect and trust a root of the same name with another key",
		"assert that an expired certificate is refused: connect with a clock after the end",
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d of %d is not %q", i, len(lines), want)
		}
	}
}
