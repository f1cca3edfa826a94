package assertdenied_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/assertdenied"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

func TestContract(t *testing.T) {
	w := newSetup(t)
	p := vaulttest.NewProxy(t, w.vault.Address)
	enginetest.Run(t, enginetest.Case{
		Kind: assertdenied.Kind,
		Env:  w.env,
		Spec: func() any {
			s := w.spec()
			s.Vault.Address = p.Address
			return s
		},
		Writes:  func() int { return writes(p) },
		Secrets: []string{w.vault.Token},
	})
}

// writes counts the requests that leave something: neither a login and its end nor
// the question about capabilities. The guard lets no login of an attempt pass
// beside an edit.
func writes(p *vaulttest.Proxy) int {
	n := 0
	for _, r := range p.Requests() {
		login := strings.HasPrefix(r.Path, "auth/") && strings.HasSuffix(r.Path, "/login") || r.Path == "auth/token/revoke-self"
		if r.Write() && !login && r.Path != "sys/capabilities-self" {
			n++
		}
	}
	return n
}

func (w *setup) prove(s *assertdenied.Spec) (assertdenied.Outputs, []engine.Finding, error) {
	w.edits = &enginetest.Edits{Declared: s.Changes()}
	w.env.Apply = w.edits.Apply
	defer func() {
		if err := w.edits.Check(); err != nil {
			w.t.Error(err)
		}
	}()
	return s.Prove(w.t.Context(), w.env)
}

// A Vault outside of the cluster without a reviewer's token asks the API server with the
// token that logs in: that has to be for both.
func TestTokenReviewsItself(t *testing.T) {
	w := newSetup(t)
	cluster, err := kubekit.Connect(t.Context(), w.env)
	if err != nil {
		t.Fatal(err)
	}
	w.letReview(w.account)
	w.configure(cluster.Config(), nil)
	s := w.spec()
	s.Sign, s.Dial = nil, nil
	if _, _, err := w.prove(s); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a token for Vault alone: %v", err)
	}
	_, s.Login.Audiences = w.token(w.account)
	_, findings, err := w.prove(s)
	if err != nil || len(violated(findings)) > 0 {
		t.Errorf("a token for the API server as well: %v, %v", violated(findings), err)
	}
}

func violated(findings []engine.Finding) []string {
	rules := []string{}
	for _, f := range findings {
		if !f.Holds {
			rules = append(rules, strings.TrimSuffix(f.Rule, " is refused"))
		}
	}
	return rules
}

func find(t *testing.T, findings []engine.Finding, rule string) engine.Finding {
	t.Helper()
	for _, f := range findings {
		if strings.HasPrefix(f.Rule, rule) {
			return f
		}
	}
	t.Fatalf("there is no finding %q", rule)
	return engine.Finding{}
}

// A sound set-up refuses everything, the evidence of that verifies, and nothing
// is left behind.
func TestSound(t *testing.T) {
	w := newSetup(t)
	s := w.spec()
	s.Attempts = nil
	doc := w.record(func() {
		out, findings, err := w.prove(s)
		if err != nil || len(violated(findings)) > 0 {
			t.Fatalf("violated: %v, %v", violated(findings), err)
		}
		if out.Attempts != 13 || out.Refused != 13 || len(out.Refusals) != 13 {
			t.Errorf("outputs: %+v", out)
		}
		if len(findings) != 16 {
			t.Errorf("%d findings instead of 3 controls and 13 attempts", len(findings))
		}
	})
	if len(doc.Denials) != 13 {
		t.Errorf("%d denials on record", len(doc.Denials))
	}
	// The namespace of the default attempt is "default".
	_, err := w.client.CoreV1().ServiceAccounts("default").Get(t.Context(), w.account, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the ServiceAccount of an attempt is left behind: %v", err)
	}
	for _, c := range doc.Certificates {
		if !strings.Contains(c.Issuer, "Test CA") || c.CA {
			continue
		}
		read := w.vault.Do(t, http.MethodGet, w.pki+"/cert/"+c.Serial, "")
		if at, ok := read["revocation_time"]; !ok || vaultkit.Whole(at) == 0 {
			t.Errorf("certificate %s, valid until %s, is not revoked: %v", c.Serial, c.NotAfter, at)
		}
	}
}

// record runs a function of a step and returns its evidence, which must verify.
func (w *setup) record(run func()) *evidence.Document {
	w.t.Helper()
	c := evidence.NewCollector(
		evidence.Plan{Name: "demo", File: "plan.yaml", Digest: strings.Repeat("cd", 32)},
		evidence.Run{Mode: evidence.ModeApply, Version: "v0", Platform: "linux/amd64"},
	)
	say := func(e engine.Event) {
		e.Plan, e.Step, e.Kind, e.Time = "demo", "denials", "assertDenied", time.Now()
		c.Event(e)
	}
	say(engine.Event{Action: engine.ActionPlan})
	say(engine.Event{Action: engine.ActionStart})
	w.env.Record = func(name string, data any) {
		say(engine.Event{Action: engine.ActionEvidence, Name: name, Data: data})
	}
	run()
	say(engine.Event{Action: engine.ActionFail, Error: "whether it was proved is not the question here"})
	doc, err := c.Document(true)
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := doc.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	_, checks := verify.Evidence(b)
	for _, check := range checks {
		for _, p := range check.Problems {
			if check.Name != "run" && !strings.Contains(p, "duration") { // the summary is the run's
				w.t.Errorf("the evidence does not verify: %s: %s", check.Name, p)
			}
		}
	}
	return doc
}

// Each hole lets exactly its attempt through, the finding has the grant
// and the advice, and the evidence agrees.
func TestHoles(t *testing.T) {
	w := newSetup(t)
	for _, c := range []struct {
		name   string
		open   func()
		close  func()
		change func(*assertdenied.Spec)
		want   []string
		have   string // regular expression of the first finding
		advice string
	}{
		{
			name: "any account", open: func() { w.login(map[string]any{"bound_service_account_names": "*"}) }, close: func() { w.login(nil) },
			want: []string{"another ServiceAccount"}, have: "granted: ServiceAccount " + w.namespace + "/default", advice: "bound_service_account_names",
		},
		{
			name: "any namespace", open: func() { w.login(map[string]any{"bound_service_account_namespaces": "*"}) }, close: func() { w.login(nil) },
			want: []string{"another namespace"}, have: "granted: ServiceAccount default/" + w.account, advice: "bound_service_account_namespaces",
		},
		{
			name: "any audience", open: func() { w.login(map[string]any{"audience": ""}) }, close: func() { w.login(nil) },
			want: []string{"another audience"}, have: "with audience https://another.invalid was given a token with policies " + w.auth, advice: "set audience",
		},
		{
			name: "any name", open: func() { w.role(map[string]any{"allow_any_name": true}) }, close: func() { w.role(nil) },
			want: []string{"a foreign name"}, have: "granted: a certificate for foreign.invalid", advice: "allow_any_name",
		},
		{
			name: "a longer life", open: func() { w.role(map[string]any{"max_ttl": "36h"}) }, close: func() { w.role(nil) },
			want: []string{"a ttl beyond the maximum"}, have: "lives for (36h|36h0m1s|35h59m59s),", advice: "set max_ttl",
		},
		{
			name: "any date",
			open: func() {
				w.write("sys/policies/acl/"+w.auth, map[string]any{"policy": `path "` + w.pki + `/sign/web" { capabilities = ["update"] }`})
			},
			close: func() { w.policy("") },
			want:  []string{"a date beyond the maximum"}, have: "lives for (48h|47h59m5[0-9]s),", advice: `denied_parameters = { "not_after" = [] }`,
		},
		{
			name: "a wide policy", open: func() { w.policy(`path "` + w.pki + `/roles/*" { capabilities = ["read"] }`) }, close: func() { w.policy("") },
			want: []string{"access to " + w.pki + "/roles/web"}, have: "granted: the token may read", advice: "take " + w.pki,
		},
		{
			name: "a policy that changes without reading", open: func() { w.policy(`path "` + w.pki + `/roles/web" { capabilities = ["update"] }`) }, close: func() { w.policy("") },
			want: []string{"access to " + w.pki + "/roles/web"}, have: "granted: not to read, but to update", advice: "take " + w.pki,
		},
		{
			name: "a policy for the root", open: func() { w.policy(`path "` + w.spec().RootMount + `/root/*" { capabilities = ["read"] }`) }, close: func() { w.policy("") },
			want: []string{"access to " + w.spec().RootMount + "/root/generate/internal", "access to " + w.spec().RootMount + "/root/sign-intermediate"},
			have: "granted: the policies let the token through: unsupported operation", advice: "out of the token's policies",
		},
		{
			name: "another root that is not another",
			change: func(s *assertdenied.Spec) {
				s.Attempts = []assertdenied.Attempt{{Name: "the old root", Dial: &assertdenied.DialAttempt{Trust: w.root.PEM()}}}
			},
			want: []string{"the old root"}, have: "granted: a client that trusts CN=Root CA Test accepted", advice: "take that authority out",
		},
		{
			name: "the intermediate of the server",
			change: func(s *assertdenied.Spec) {
				s.Attempts = []assertdenied.Attempt{{Name: "the intermediate", Dial: &assertdenied.DialAttempt{Trust: w.sub.PEM()}}}
			},
			want: []string{"the intermediate"}, have: "granted: a client that trusts CN=Intermediate CA Test accepted",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.open != nil {
				c.open()
				defer c.close()
			}
			s := w.spec()
			if c.change != nil {
				c.change(s)
			}
			var findings []engine.Finding
			doc := w.record(func() {
				var err error
				if _, findings, err = w.prove(s); err != nil {
					t.Fatal(err)
				}
			})
			if diff := cmp.Diff(c.want, violated(findings)); diff != "" {
				t.Fatalf("violated, -want +got:\n%s", diff)
			}
			f := find(t, findings, c.want[0])
			if have, _ := f.Have.(string); !regexp.MustCompile(c.have).MatchString(have) || !strings.Contains(f.Detail, c.advice) {
				t.Errorf("have %q\nwant %q\nadvice %q\nwant %q", have, c.have, f.Detail, c.advice)
			}
			for _, d := range doc.Denials {
				if holds := !strings.HasPrefix(d.What, c.want[0]+":"); d.Refused != holds && len(c.want) == 1 {
					t.Errorf("on record: %s was refused: %t", d.What, d.Refused)
				}
			}
		})
	}
}

// An obstacle to the request is an error, and a refusal for another reason is none
// that counts.
func TestRefusedForAnotherReason(t *testing.T) {
	w := newSetup(t)
	nth := func(method, suffix string, n int) func(vaulttest.Request) bool {
		return func(r vaulttest.Request) bool {
			if r.Method != method || !strings.HasSuffix(r.Path, suffix) {
				return false
			}
			n--
			return n == 0
		}
	}
	login := func(n int) func(vaulttest.Request) bool { return nth(http.MethodPut, "/login", n) }
	look := func(n int) func(vaulttest.Request) bool { return nth(http.MethodGet, "/roles/web", n) }
	roles := []assertdenied.Attempt{{Name: "roles", Access: &assertdenied.AccessAttempt{Path: w.pki + "/roles/web"}}}
	for _, c := range []struct {
		name   string
		change func(*assertdenied.Spec, *vaulttest.Proxy)
		err    string   // none if empty
		want   []string // violated
	}{
		{"no such role", func(s *assertdenied.Spec, _ *vaulttest.Proxy) { s.Login.Role = "isuer" }, `invalid role name "isuer"`, nil},
		{"no such auth mount", func(s *assertdenied.Spec, _ *vaulttest.Proxy) { s.Login.Mount = "kubernets" }, "control: ServiceAccount", nil},
		{"no such account", func(s *assertdenied.Spec, _ *vaulttest.Proxy) { s.Login.ServiceAccount.Name = "isuer" }, `serviceaccounts "isuer" not found`, nil},
		{"no such pki role", func(s *assertdenied.Spec, _ *vaulttest.Proxy) { s.Sign.Path = w.pki + "/sign/wbe" }, "permission denied", nil},
		{"a control that is refused", func(s *assertdenied.Spec, _ *vaulttest.Proxy) { s.Sign.Name = "hello.example.org" }, "control: " + w.pki + "/sign/web signs", nil},
		{"no such mount", func(s *assertdenied.Spec, _ *vaulttest.Proxy) { s.RootMount = "pik" }, "no handler for route", nil},
		{"no such path", func(s *assertdenied.Spec, _ *vaulttest.Proxy) {
			s.Attempts = []assertdenied.Attempt{{Name: "a typo", Access: &assertdenied.AccessAttempt{Path: w.pki + "/rolls/web"}}}
		}, "unsupported path", nil},
		{"no such namespace", func(s *assertdenied.Spec, _ *vaulttest.Proxy) {
			s.Attempts = []assertdenied.Attempt{{Name: "nowhere", Login: &assertdenied.LoginAttempt{Namespace: "no-such-namespace"}}}
		}, `namespaces "no-such-namespace" not found`, nil},
		{"sealed in between", func(_ *assertdenied.Spec, p *vaulttest.Proxy) {
			for range 3 { // a client asks as many nodes of a cluster
				p.Answer(http.StatusServiceUnavailable, `{"errors":["Vault is sealed"]}`, login(2))
			}
		}, "vault is sealed", nil},
		{"cut off", func(_ *assertdenied.Spec, p *vaulttest.Proxy) { p.LoseRequest(login(2)) }, "another ServiceAccount: write auth/", nil},
		{"a failed review", func(_ *assertdenied.Spec, p *vaulttest.Proxy) {
			p.Answer(http.StatusForbidden, `{"errors":["permission denied"]}`, login(3))
		}, "", []string{"another namespace"}},
		{"another mistake", func(_ *assertdenied.Spec, p *vaulttest.Proxy) {
			p.Answer(http.StatusForbidden, `{"errors":["invalid expiration time (exp) claim: token is expired"]}`, login(4))
		}, "", []string{"another audience"}},
		{"a token that is not valid", func(s *assertdenied.Spec, p *vaulttest.Proxy) {
			s.Attempts = roles
			p.Answer(http.StatusForbidden, `{"errors":["permission denied","invalid token"]}`, look(2)) // the first is for help
		}, "", []string{"roles"}},
		{"a token that ends", func(s *assertdenied.Spec, p *vaulttest.Proxy) {
			s.Attempts = roles
			p.Answer(http.StatusForbidden, `{"errors":["permission denied"]}`, look(3)) // help again
		}, "the token ended while it was used", nil},
		{"words of another version", func(s *assertdenied.Spec, p *vaulttest.Proxy) {
			p.Answer(http.StatusForbidden, `{"errors":["this namespace is not welcome"]}`, login(2))
			s.Attempts = []assertdenied.Attempt{{Name: "elsewhere", Login: &assertdenied.LoginAttempt{Namespace: w.elsewhere}, Answer: "is not welcome"}}
		}, "", []string{}},
		{"another trust", func(s *assertdenied.Spec, _ *vaulttest.Proxy) { s.Dial.Trust = tlstest.NewCA(t, "Another").PEM() }, "trusted is CN=Another", nil},
		{"neither", func(s *assertdenied.Spec, _ *vaulttest.Proxy) { s.Login.Role, s.Dial.Address = "isuer", "127.0.0.1:1" }, `invalid role name "isuer"; and control: https://hello.example.local/`, nil},
		{"nobody there", func(s *assertdenied.Spec, _ *vaulttest.Proxy) { s.Dial.Address = "127.0.0.1:1" }, "connection refused", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := vaulttest.NewProxy(t, w.vault.Address)
			s := w.spec()
			s.Vault.Address = p.Address
			c.change(s, p)
			var (
				findings []engine.Finding
				err      error
			)
			w.record(func() { _, findings, err = w.prove(s) })
			if c.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, violated(findings)); diff != "" {
					t.Errorf("violated, -want +got:\n%s", diff)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.err) || engine.HintOf(err) == "" {
				t.Errorf("error is %v, hint %q; want one with %q and a hint", err, engine.HintOf(err), c.err)
			}
		})
	}
}

// A token without the default policy may neither ask for its capabilities nor revoke
// itself.
func TestWithoutTheDefaultPolicy(t *testing.T) {
	w := newSetup(t)
	w.login(map[string]any{"token_no_default_policy": true})
	doc := w.record(func() {
		if _, findings, err := w.prove(w.spec()); err != nil || len(violated(findings)) > 0 {
			t.Error(violated(findings), err)
		}
	})
	for _, d := range doc.Denials {
		if d.Method == "access" && !strings.Contains(d.Control, "besides reading could not be asked") {
			t.Errorf("%s: control is %q", d.What, d.Control)
		}
	}
}

// A sealed Vault refuses everything, which proves nothing.
func TestSealed(t *testing.T) {
	t.Parallel()
	vault := vaulttest.Start(t)
	if err := vault.Init(); err != nil {
		t.Fatal(err)
	}
	w := newSetupIn(t, vault)
	if err := vault.Client(t).Sys().Seal(); err != nil {
		t.Fatal(err)
	}
	out, findings, err := w.prove(w.spec())
	if !errors.Is(err, vaultkit.ErrSealed) {
		t.Errorf("error is %v", err)
	}
	// The dials have nothing to do with it.
	if out.Refused != 2 || len(violated(findings)) != 0 {
		t.Errorf("%d refused, violated: %v", out.Refused, violated(findings))
	}
}

// Leftovers of a killed run are used and taken away.
func TestTakesLeftoversAway(t *testing.T) {
	w := newSetup(t)
	s := w.spec()
	s.Dial, s.Sign = nil, nil
	s.Attempts = []assertdenied.Attempt{{Name: "elsewhere", Login: &assertdenied.LoginAttempt{Namespace: w.elsewhere}}}
	accounts := w.client.CoreV1().ServiceAccounts(w.elsewhere)
	for _, label := range []string{"ztplan.dev/made-for-an-attempt", "mine"} {
		account := strings.ToLower(filepath.Base(label))
		w.makeAccount(w.elsewhere, account, map[string]string{label: "true"})
		s.Attempts[0].Login.ServiceAccount = account
		if _, findings, err := w.prove(s); err != nil || len(violated(findings)) > 0 {
			t.Fatal(violated(findings), err)
		}
		_, err := accounts.Get(t.Context(), account, metav1.GetOptions{})
		if gone := apierrors.IsNotFound(err); gone != (label != "mine") {
			t.Errorf("with label %s, the ServiceAccount is gone: %t, %v", label, gone, err)
		}
	}
}

// A certificate that is renewed between the look and the attempt has another
// end.
func TestRenewedInBetween(t *testing.T) {
	w := newSetup(t)
	s := w.spec()
	s.Login, s.Sign = nil, nil
	s.Attempts = []assertdenied.Attempt{{Name: "expired", Dial: &assertdenied.DialAttempt{Expired: true}}}
	first, later := w.server.Pair(), w.sub.Issue(t, tlstest.Leaf{CommonName: host, Names: []string{host}, Lifetime: 2 * time.Hour})
	var dials atomic.Int32
	w.server.Hello = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if dials.Add(1) > 1 {
			return later.TLS, nil
		}
		return first.TLS, nil
	}
	doc := w.record(func() {
		if _, findings, err := w.prove(s); err != nil || len(violated(findings)) > 0 {
			t.Error(violated(findings), err)
		}
	})
	if dials.Load() != 3 || len(doc.Denials) != 1 || doc.Denials[0].Certificate.Fingerprint != certs.Fingerprint(later.Leaf()) {
		t.Errorf("%d dials, on record: %+v", dials.Load(), doc.Denials)
	}
}
