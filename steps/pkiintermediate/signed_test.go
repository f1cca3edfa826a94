package pkiintermediate_test

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/pkiintermediate"
)

// A certificate that does not fit is refused with all that is wrong about it, and nothing
// is written. One that does, put there afterwards, is taken.
func TestSignedCertificateIsJudged(t *testing.T) {
	w := newExternalVault(t)
	s := w.spec(w.Address)
	none := 0
	s.MaxPathLength = &none
	w.awaits(t, s)
	csr := s.Parent.External.CSRFile
	leafOnly := func(c *x509.Certificate) { c.MaxPathLenZero = true }
	sign := func(by *offline, change ...func(*x509.Certificate)) *x509.Certificate {
		return by.sign(t, csr, append([]func(*x509.Certificate){leafOnly}, change...)...)
	}
	stranger := newOffline(t, "Another Root", nil)
	policy := newOffline(t, "Policy CA", w.root)
	short := newOffline(t, "Short CA", w.root, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(2 * year) })
	narrow := newOffline(t, "Narrow CA", w.root, leafOnly)
	other := newOffline(t, "Intermediate CA Lab", w.root)

	for name, c := range map[string]struct {
		bundle []*x509.Certificate
		text   string
		want   []string
	}{
		"no certificate": {text: "not yet\n", want: []string{"no PEM certificate in it"}},
		"a private key":  {text: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", want: []string{"PEM block 1 is a PRIVATE KEY"}},
		"another key":    {bundle: []*x509.Certificate{other.cert}, want: []string{"has another key than the request in ca.csr"}},
		"not first": {bundle: []*x509.Certificate{policy.cert, sign(policy)}, want: []string{
			"its first certificate, CN=Policy CA, has another key", "the order is wrong: certificate 2, CN=Intermediate CA Lab, is the intermediate, and belongs first"}},
		"one too many":   {bundle: []*x509.Certificate{sign(w.root), policy.cert}, want: []string{"certificate 1, CN=Intermediate CA Lab, is not signed by the next, CN=Policy CA"}},
		"another root":   {bundle: []*x509.Certificate{sign(stranger), stranger.cert}, want: []string{"does not lead to CN=Offline Root in root.pem"}},
		"a link missing": {bundle: []*x509.Certificate{sign(policy)}, want: []string{"does not lead to CN=Offline Root in root.pem"}},
		"no authority": {bundle: []*x509.Certificate{sign(w.root, func(c *x509.Certificate) {
			c.IsCA, c.MaxPathLenZero, c.KeyUsage = false, false, x509.KeyUsageDigitalSignature
		})}, want: []string{"CA:TRUE", "lacks keyCertSign", "lacks cRLSign", "its path length is not limited, and the plan asks for maxPathLength 0"}},
		"other names": {bundle: []*x509.Certificate{sign(w.root, func(c *x509.Certificate) {
			c.Subject.CommonName, c.Subject.Organization = "Someone", []string{"Example"}
		})}, want: []string{"common_name is Someone, and the plan asks for Intermediate CA Lab", "organization is [Example]"}},
		"path length":         {bundle: []*x509.Certificate{sign(w.root, func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 2, false })}, want: []string{"its path length is 2, and the plan asks for maxPathLength 0"}},
		"path length above":   {bundle: []*x509.Certificate{sign(narrow), narrow.cert}, want: []string{"the path length of CN=Narrow CA, 0, allows no such authority below it"}},
		"expired":             {bundle: []*x509.Certificate{sign(w.root, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = c.NotBefore.Add(-year), c.NotBefore })}, want: []string{"it expired at "}},
		"not yet":             {bundle: []*x509.Certificate{sign(w.root, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })}, want: []string{"it is valid only from "}},
		"about to be renewed": {bundle: []*x509.Certificate{sign(w.root, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(24 * time.Hour) })}, want: []string{"within renewBefore (720h): it would be replaced at once"}},
		"outlives its chain":  {bundle: []*x509.Certificate{sign(short), short.cert}, want: []string{"longer than CN=Short CA, which ends at "}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			text := c.text
			if text == "" {
				text = certs.Encode(c.bundle...)
			}
			if err := os.WriteFile(s.Parent.External.CertificateFile.Path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, edits, err := s.Inspect(t.Context(), vaulttest.Env(t))
			for _, want := range append(c.want, "ca.pem: ") {
				vaulttest.WantPermanent(t, err, want, "nothing was imported; sign ca.csr again")
			}
			if n := len(c.want); n > 1 && err != nil && strings.Count(err.Error(), "\n  - ") != n {
				t.Errorf("want %d problems: %v", n, err)
			}
			if len(edits) > 0 {
				t.Errorf("edits: %v", vaulttest.Show(edits))
			}
		})
	}
	w.WantPKI(t, w.mount, 0, 1)

	w.put(t, "ca.pem", sign(policy), policy.cert, w.root.cert)
	converge(t, s)
	w.WantPKI(t, w.mount, 3, 1)
}

// A file is overwritten only if its request is of this mount and has its certificate, or
// is for the same key.
func TestRequestFileIsKept(t *testing.T) {
	foreign, err := certs.NewKey("ec", 256)
	if err != nil {
		t.Fatal(err)
	}
	request, err := certs.NewRequest(foreign, "Intermediate CA Lab")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"another key's": {request, "holds the request of CN=Intermediate CA Lab, whose key is not in "},
		"no request":    {"a shopping list\n", "no PEM certificate request in it"},
		"empty":         {"", "is empty"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			w := newExternalVault(t)
			s := w.spec(w.Address)
			file := s.Parent.External.CSRFile.Path
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			look := func() {
				_, _, err := s.Inspect(t.Context(), vaulttest.Env(t))
				vaulttest.WantPermanent(t, err, c.want, "move it away")
			}
			look()
			w.Do(t, "POST", "sys/mounts/"+w.mount, `{"type":"pki","config":{"max_lease_ttl":"43800h"}}`)
			look()
			if got := read(t, file); got != c.text {
				t.Errorf("the file has become %q", got)
			}
			w.WantPKI(t, w.mount, 0, 0)
		})
	}
	t.Run("of-another-kind", func(t *testing.T) {
		w := newExternalVault(t)
		s := w.spec(w.Address)
		w.awaits(t, s)
		s.KeyType = "rsa"
		_, _, err := s.Inspect(t.Context(), vaulttest.Env(t))
		vaulttest.WantPermanent(t, err, "holds the request of a key of type ec with 256 bits, and the plan asks for rsa with 2048", "move it away if nobody is about to sign it")
	})
	t.Run("other-names", func(t *testing.T) {
		w := newExternalVault(t)
		s := w.spec(w.Address)
		w.awaits(t, s)
		s.CommonName = "Intermediate CA 2"
		w.awaits(t, s)
		w.put(t, "ca.pem", w.root.sign(t, s.Parent.External.CSRFile))
		if chain, err := certs.Parse(converge(t, s).Chain); err != nil || chain[0].Subject.CommonName != "Intermediate CA 2" {
			t.Errorf("%v", err)
		}
		w.WantPKI(t, w.mount, 2, 1)
	})
	t.Run("changed-meanwhile", func(t *testing.T) {
		w := newExternalVault(t)
		s := w.spec(w.Address)
		_, edits := inspect(t, s)
		if err := os.WriteFile(s.Parent.External.CSRFile.Path, []byte(request), 0o600); err != nil {
			t.Fatal(err)
		}
		err := vaulttest.ApplyAll(t, slices.DeleteFunc(edits, func(e engine.Edit) bool { return e.Apply == nil }))
		if err == nil || !strings.Contains(err.Error(), "ca.csr: was changed by another meanwhile") {
			t.Errorf("got %v", err)
		}
		if got, _ := os.ReadFile(s.Parent.External.CSRFile.Path); string(got) != request {
			t.Error("the other's request is gone")
		}
	})
}

// Each answer is lost once, and the file cannot be written once: never two keys, never a
// request for another key than the one that waits.
func TestExternalLostAnswers(t *testing.T) {
	for _, path := range []string{"MOUNT/intermediate/generate/internal", "MOUNT/intermediate/set-signed", "MOUNT/issuer/"} {
		t.Run(strings.ReplaceAll(path, "/", "_"), func(t *testing.T) {
			w := newExternalVault(t)
			p := vaulttest.NewProxy(t, w.Address)
			part := strings.ReplaceAll(path, "MOUNT", w.mount)
			p.LoseAnswer(func(r vaulttest.Request) bool { return r.Write() && strings.Contains(r.Path, part) })
			s := w.spec(p.Address)
			lost := 0
			apply := func() {
				_, edits := inspect(t, s)
				err := vaulttest.ApplyAll(t, slices.DeleteFunc(edits, func(e engine.Edit) bool { return e.Apply == nil }))
				if errors.Is(err, engine.ErrPermanent) {
					t.Fatal(err)
				}
				if err != nil {
					lost++
				}
			}
			apply()
			w.awaits(t, s)
			w.put(t, "ca.pem", w.root.sign(t, s.Parent.External.CSRFile))
			apply()
			converge(t, s)
			w.WantPKI(t, w.mount, 2, 1)
			if err := p.Unused(); err != nil || lost != 1 {
				t.Errorf("%d answers were lost: %v", lost, err)
			}
		})
	}
	t.Run("file", func(t *testing.T) {
		w := newExternalVault(t)
		s := w.spec(w.Address)
		var inputs *engine.Inputs
		s.Parent.External.CSRFile = inputs.File(w.dir, "later/ca.csr")
		_, edits := inspect(t, s)
		err := vaulttest.ApplyAll(t, slices.DeleteFunc(edits, func(e engine.Edit) bool { return e.Apply == nil }))
		if err == nil || !strings.Contains(engine.HintOf(err), "make its folder") {
			t.Errorf("%v, hint %q", err, engine.HintOf(err))
		}
		if err := os.Mkdir(filepath.Join(w.dir, "later"), 0o700); err != nil {
			t.Fatal(err)
		}
		_, edits = inspect(t, s)
		if err := vaulttest.ApplyAll(t, slices.DeleteFunc(edits, func(e engine.Edit) bool { return e.Apply == nil })); err != nil {
			t.Fatal(err)
		}
		w.WantPKI(t, w.mount, 0, 1)
	})
}

// Before the end of its life an intermediate gets a successor with a new key. It serves
// until that is signed, and its outputs hold; the certificate of the old key, which is
// still in the file, is not taken for the new one.
func TestExternalRenewal(t *testing.T) {
	w := newExternalVault(t)
	s := w.spec(w.Address)
	w.awaits(t, s)
	csr := s.Parent.External.CSRFile
	first, err := os.ReadFile(csr.Path)
	if err != nil {
		t.Fatal(err)
	}
	w.put(t, "ca.pem", w.root.sign(t, csr))
	old := converge(t, s)

	s.RenewBefore = engine.Duration(6 * year)
	_, edits := inspect(t, s)
	retired := "intermediate-lab-" + strings.ReplaceAll(old.Serial, ":", "")[:8]
	if got := vaulttest.Show(edits); len(got) != 2 || !strings.HasPrefix(got[0], w.mount+"/issuer/intermediate-lab/csr: the request of intermediate-lab (Intermediate CA Lab, id ") ||
		!strings.HasPrefix(got[1], w.mount+"/issuer/intermediate-lab/not_after: ") || !edits[1].Meanwhile {
		t.Errorf("edits: %v", got)
	}
	meanwhile := w.awaits(t, s)
	if d := cmp.Diff(old, meanwhile); d != "" {
		t.Errorf("outputs until then (-old +now):\n%s", d)
	}
	second, err := os.ReadFile(csr.Path)
	if err != nil || string(first) == string(second) {
		t.Errorf("the request is still the old one: %v", err)
	}
	if w.awaits(t, s); string(second) != read(t, csr.Path) {
		t.Error("the request was written again")
	}
	w.WantPKI(t, w.mount, 2, 2)
	w.Do(t, "POST", w.mount+"/issue/example-dot-local", `{"common_name":"hello.example.local","ttl":"1h"}`)

	w.put(t, "ca.pem", w.root.sign(t, csr, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(10 * year) }))
	next := converge(t, s)
	if next.Serial == old.Serial || next.IssuerID == old.IssuerID {
		t.Errorf("the old one still serves: %+v", next)
	}
	if i := w.Do(t, "GET", w.mount+"/issuer/"+old.IssuerID, ""); i["issuer_name"] != retired {
		t.Errorf("the old one is called %v, want %s", i["issuer_name"], retired)
	}
	if d := w.Do(t, "GET", w.mount+"/config/issuers", ""); d["default"] != next.IssuerID {
		t.Errorf("the default is %v, want %s", d["default"], next.IssuerID)
	}
	w.WantPKI(t, w.mount, 3, 2)

	// With other names than the plan's, the old one does not serve.
	s.CommonName = "Intermediate CA 2"
	_, edits = inspect(t, s)
	for _, e := range edits {
		if e.Meanwhile {
			t.Errorf("%s: goes on with an authority of another name", e.Path)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestExternalInputs(t *testing.T) {
	w := newExternalVault(t)
	policy := newOffline(t, "Policy CA", w.root)
	w.put(t, "policy.pem", policy.cert)
	var inputs *engine.Inputs
	for want, change := range map[string]func(*pkiintermediate.Parent){
		"":                                   func(*pkiintermediate.Parent) {},
		"external excludes mount":            func(p *pkiintermediate.Parent) { p.Mount = "pki_root" },
		"ca.csr is given as csrFile as well": func(p *pkiintermediate.Parent) { p.External.CertificateFile = inputs.File(w.dir, "./ca.csr") },
		"CN=Policy CA is signed by CN=Offline Root": func(p *pkiintermediate.Parent) { p.External.RootFile = inputs.File(w.dir, "policy.pem") },
	} {
		s := w.spec(w.Address)
		change(&s.Parent)
		var p engine.Problems
		s.Validate(&p)
		var texts []string
		for _, one := range p.List() {
			texts = append(texts, one.Message)
		}
		if got := strings.Join(texts, "; "); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("problems %q, want %q", got, want)
		}
	}
}
