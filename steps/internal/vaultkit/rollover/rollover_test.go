package rollover_test

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/rollover"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

func TestMain(m *testing.M) { vaulttest.Main(m) }

// authorities is a Vault with a root and an intermediate called intermediate-lab, as
// a pkiIntermediate step makes it, and a role.
type authorities struct {
	*vaulttest.Server
	root, mount string
}

func newAuthorities(t *testing.T) *authorities {
	t.Helper()
	v := vaulttest.Shared(t)
	w := &authorities{Server: v, root: v.Mount(t, "_root"), mount: v.Mount(t, "")}
	for mount, ttl := range map[string]string{w.root: "87600h", w.mount: "43800h"} {
		w.Do(t, "POST", "sys/mounts/"+mount, `{"type":"pki","config":{"max_lease_ttl":"`+ttl+`"}}`)
	}
	w.Do(t, "POST", w.root+"/root/generate/internal", `{"common_name":"Root CA Lab","ttl":"87600h","key_type":"ec","issuer_name":"root-lab"}`)
	made := w.Do(t, "POST", w.mount+"/intermediate/generate/internal",
		`{"common_name":"Intermediate CA Lab","organization":["Lab"],"key_type":"ec","key_name":"intermediate-lab"}`)
	signed := w.Do(t, "POST", w.root+"/issuer/root-lab/sign-intermediate",
		encode(t, map[string]any{"csr": made["csr"], "common_name": "Intermediate CA Lab", "organization": "Lab", "ttl": "43800h", "max_path_length": 0}))
	w.Do(t, "POST", w.mount+"/intermediate/set-signed", encode(t, map[string]any{
		"certificate": signed["certificate"].(string) + "\n" + signed["issuing_ca"].(string)}))
	w.Do(t, "PATCH", w.mount+"/issuer/default", `{"issuer_name":"intermediate-lab"}`)
	w.Do(t, "POST", w.mount+"/roles/leaf", `{"allowed_domains":"example.local","allow_subdomains":true,"max_ttl":"24h","key_type":"ec"}`)
	return w
}

func (w *authorities) place() rollover.Place {
	return rollover.Place{Mount: w.mount, Issuer: "intermediate-lab", ParentMount: w.root, Parent: "root-lab", Role: "leaf"}
}

func (w *authorities) client(t *testing.T, address string) *vaultkit.Client {
	t.Helper()
	c, err := login.Connect(t.Context(), vaulttest.Env(t), login.Connection{
		Server: vaultkit.Server{Address: address}, Token: engine.NewSecret(w.Token),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *authorities) look(t *testing.T, address string) *rollover.Rollover {
	t.Helper()
	edits := &enginetest.Edits{Declared: w.place().Changes()}
	s, err := rollover.Look(t.Context(), w.client(t, address), w.place(), time.Now(), edits.Apply)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := edits.Check(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// issuers are names and usages of the issuers with a key in the mount, the default
// first.
func (w *authorities) issuers(t *testing.T) []string {
	t.Helper()
	list, err := pki.Issuers(t.Context(), w.client(t, w.Address), w.mount)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(list, func(a, b *pki.Issuer) int {
		switch {
		case a.Default:
			return -1
		case b.Default:
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	var out []string
	for _, i := range list {
		if i.KeyID != "" {
			text := i.Name + " " + strings.Join(i.Usage, ",")
			out = append(out, text)
		}
	}
	return out
}

const (
	may    = " crl-signing,issuing-certificates,ocsp-signing,read-only"
	mayNot = " crl-signing,ocsp-signing,read-only"
)

func (w *authorities) want(t *testing.T, want ...string) {
	t.Helper()
	if have := w.issuers(t); !slices.Equal(have, want) {
		t.Errorf("issuers, the default first:\n%s\nwant:\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

func retired(s *rollover.Rollover) string {
	return pki.RetiredName("intermediate-lab", s.Old()[0])
}

// The whole way: beside each other, taking over, retired.
func TestRollover(t *testing.T) {
	w := newAuthorities(t)
	s := w.look(t, w.Address)
	if err := s.Make(t.Context()); err != nil {
		t.Fatal(err)
	}
	old, next := s.Old()[0], s.Next()[0]
	if string(old.RawSubject) != string(next.RawSubject) || string(old.RawSubjectPublicKeyInfo) == string(next.RawSubjectPublicKeyInfo) ||
		!next.MaxPathLenZero || next.PublicKeyAlgorithm != old.PublicKeyAlgorithm {
		t.Errorf("the new one is %s, %s, path length %d; the old one %s", next.Subject, next.PublicKeyAlgorithm, next.MaxPathLen, old.Subject)
	}
	if off := next.NotAfter.Sub(next.NotBefore) - old.NotAfter.Sub(old.NotBefore); off.Abs() > time.Minute {
		t.Errorf("the lifetime differs by %s", off)
	}
	if n := len(s.Next()); n != 2 {
		t.Errorf("the chain of the new one has %d certificates", n)
	}
	w.want(t, "intermediate-lab"+may, may)

	r, err := s.Request("hello.example.local")
	if err != nil {
		t.Fatal(err)
	}
	for name, sign := range map[string]func() ([]*x509.Certificate, error){
		"old": func() ([]*x509.Certificate, error) { return r.ByOld(t.Context()) },
		"new": func() ([]*x509.Certificate, error) { return r.ByNext(t.Context()) },
	} {
		chain, err := sign()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := chain[0].VerifyHostname("hello.example.local"); err != nil || len(chain) != 3 {
			t.Errorf("%s signed for %v with a chain of %d", name, chain[0].DNSNames, len(chain))
		}
	}

	if err := s.TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.want(t, may, "intermediate-lab"+may)
	if err := s.Retire(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.want(t, "intermediate-lab"+may, retired(s)+mayNot)
	status, answer, err := r.Refused(t.Context())
	if err != nil || !s.Refusal().Matches(status, answer) {
		t.Errorf("the retired one answered %d %q, %v", status, answer, err)
	}
	if _, err := r.ByNext(t.Context()); err != nil {
		t.Errorf("the new one does not sign: %v", err)
	}
}

// Before it is retired, the old one refuses nothing.
func TestNotRefused(t *testing.T) {
	w := newAuthorities(t)
	s := w.look(t, w.Address)
	r, err := s.Request("hello.example.local")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Refused(t.Context()); !errors.Is(err, rollover.ErrSigned) {
		t.Errorf("error is %v", err)
	}
}

// One after another: each generation lives as long as the first, and every
// retired one stays retired.
func TestGenerations(t *testing.T) {
	w := newAuthorities(t)
	want := []string{"intermediate-lab" + may}
	life := time.Duration(0)
	for range 3 {
		s := w.look(t, w.Address)
		for _, step := range []func() error{
			func() error { return s.Make(t.Context()) },
			func() error { return s.TakeOver(t.Context()) },
			func() error { return s.Retire(t.Context()) },
		} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, retired(s)+mayNot)
		// Vault takes the time twice for a certificate, which may be two seconds.
		now := s.Next()[0].NotAfter.Sub(s.Next()[0].NotBefore).Truncate(time.Minute)
		if life != 0 && now != life {
			t.Errorf("it lives for %s, the one before for %s", now, life)
		}
		life = now
	}
	slices.Sort(want[1:])
	w.want(t, want...)
}

// Any answer may be lost: going back and trying again leaves one key and one
// issuer more.
func TestBackAndAgain(t *testing.T) {
	for name, lost := range map[string]struct{ method, part string }{
		"nothing":       {},
		"the key":       {"PUT", "intermediate/generate/internal"},
		"the signature": {"PUT", "sign-intermediate"},
		"the import":    {"PUT", "intermediate/set-signed"},
		"the default":   {"PUT", "/config/issuers"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAuthorities(t)
			p := vaulttest.NewProxy(t, w.Address)
			s := w.look(t, p.Address)
			if lost.part != "" {
				p.LoseAnswer(func(r vaulttest.Request) bool { return r.Method == lost.method && strings.Contains(r.Path, lost.part) })
			}
			err := s.Make(t.Context())
			if err == nil {
				err = s.TakeOver(t.Context())
			}
			if (err != nil) != (lost.part != "") {
				t.Fatalf("error is %v", err)
			}
			if err := s.Back(t.Context()); err != nil {
				t.Fatal(err)
			}
			if have := w.issuers(t); have[0] != "intermediate-lab"+may {
				t.Errorf("the default is %q", have[0])
			}
			again := w.look(t, w.Address)
			for _, step := range []func() error{
				func() error { return again.Make(t.Context()) },
				func() error { return again.TakeOver(t.Context()) },
				func() error { return again.Retire(t.Context()) },
			} {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
			w.want(t, "intermediate-lab"+may, retired(again)+mayNot)
			if keys, err := pki.Keys(t.Context(), w.client(t, w.Address), w.mount); err != nil || len(keys) != 2 {
				t.Errorf("%d keys, %v", len(keys), err)
			}
		})
	}
}

// A set-up that allows no proof is refused before anything is written.
func TestRefuses(t *testing.T) {
	w := newAuthorities(t)
	w.Do(t, "POST", w.mount+"/roles/bound", `{"allow_any_name":true,"issuer_ref":"intermediate-lab"}`)
	w.Do(t, "POST", w.root+"/root/generate/internal", `{"common_name":"Another Root","ttl":"87600h","key_type":"ec","issuer_name":"another"}`)
	for name, c := range map[string]struct {
		change func(*rollover.Place)
		at     time.Duration
		want   string
	}{
		"no such issuer":   {func(p *rollover.Place) { p.Issuer = "other" }, 0, "no issuer called other"},
		"no such parent":   {func(p *rollover.Place) { p.Parent = "other" }, 0, "has no issuer other"},
		"another parent":   {func(p *rollover.Place) { p.Parent = "another" }, 0, "did not sign"},
		"no such role":     {func(p *rollover.Place) { p.Role = "other" }, 0, "roles/other does not exist"},
		"a bound role":     {func(p *rollover.Place) { p.Role = "bound" }, 0, "whatever the mount's default is"},
		"beyond the root":  {func(*rollover.Place) {}, 50000 * time.Hour, "a new intermediate would live for 43800h"},
		"no such mount":    {func(p *rollover.Place) { p.Mount = "nowhere" }, 0, "no handler for route"},
		"no such parent's": {func(p *rollover.Place) { p.ParentMount = "nowhere" }, 0, "no handler for route"},
	} {
		t.Run(name, func(t *testing.T) {
			p := w.place()
			c.change(&p)
			_, err := rollover.Look(t.Context(), w.client(t, w.Address), p, time.Now().Add(c.at), nil)
			if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v", err)
			}
		})
	}
	w.Do(t, "PATCH", w.mount+"/issuer/intermediate-lab", `{"usage":"read-only"}`)
	if _, err := rollover.Look(t.Context(), w.client(t, w.Address), w.place(), time.Now(), nil); err == nil || !strings.Contains(err.Error(), "cannot sign") {
		t.Errorf("error is %v", err)
	}
	w.want(t, "intermediate-lab read-only")
}

// One that was made and did not take over is used the next time. Package
// pkiintermediate tests its own run after that.
func TestLeftover(t *testing.T) {
	w := newAuthorities(t)
	s := w.look(t, w.Address)
	if err := s.Make(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := w.look(t, w.Address)
	if err := again.Make(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !again.Next()[0].Equal(s.Next()[0]) {
		t.Error("the intermediate that was left behind is not used")
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
