package vaultinit_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/vaultinit"
	"github.com/ztplan/ztplan/steps/vaultunseal"
)

var names = []string{"alice", "bob", "carol"}

// newAgeSpec returns a step with three custodians, two of which are needed, and
// their identities; the last is that for the root token.
func newAgeSpec(t *testing.T, address, file string) (s *vaultinit.Spec, identities []engine.File) {
	t.Helper()
	s = newSpec(address, file)
	s.Shares, s.Threshold = 3, 2
	for _, name := range names {
		recipient, id := vaulttest.NewAge(t, name)
		s.Keys.Custodians = append(s.Keys.Custodians, unsealkeys.Custodian{Name: name, Age: recipient})
		identities = append(identities, id)
	}
	recipient, id := vaulttest.NewAge(t, "root")
	s.Keys.RootToken = &unsealkeys.Readers{Age: []string{recipient}}
	return s, append(identities, id)
}

func newPGPSpec(t *testing.T, address, file string) (s *vaultinit.Spec, keys []*openpgp.Entity) {
	t.Helper()
	s = newSpec(address, file)
	s.Shares, s.Threshold = 3, 2
	for _, name := range names {
		key, public := vaulttest.NewPGP(t, name, nil)
		s.Keys.Custodians = append(s.Keys.Custodians, unsealkeys.Custodian{Name: name, PGP: public})
		keys = append(keys, key)
	}
	key, public := vaulttest.NewPGP(t, "root", nil)
	s.Keys.RootToken = &unsealkeys.Readers{PGP: public}
	return s, append(keys, key)
}

func newUnseal(address, file string, identities ...engine.File) *vaultunseal.Spec {
	u := vaultunseal.Kind.New().(*vaultunseal.Spec)
	u.Vault.Address = address
	u.Keys.File = engine.File{Name: filepath.Base(file), Path: file}
	u.Keys.Identities = identities
	return u
}

func load(t *testing.T, file string) *unsealkeys.Answer {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a, err := unsealkeys.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestContractWithCustodians(t *testing.T) {
	v := vaulttest.Start(t)
	p := vaulttest.NewProxy(t, v.Address)
	s, _ := newAgeSpec(t, p.Address, filepath.Join(t.TempDir(), "keys.json"))
	enginetest.Run(t, enginetest.Case{
		Kind:   vaultinit.Kind,
		Env:    vaulttest.Env(t),
		Spec:   func() any { return s },
		Writes: p.Writes,
	})
}

// The run that initialises Vault goes on to the end with the keys in memory;
// nothing in the clear reaches the disk, and another run has nothing.
func TestAge(t *testing.T) {
	v := vaulttest.Start(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "keys.json")
	s, identities := newAgeSpec(t, v.Address, file)
	env := vaulttest.Env(t)
	var secrets []engine.Secret
	env.Conceal = func(all ...engine.Secret) { secrets = append(secrets, all...) }
	_, edits, err := s.Inspect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := vaulttest.ApplyAll(t, edits); err != nil {
		t.Fatal(err)
	}
	if len(secrets) != 7 {
		t.Fatalf("%d secrets are concealed", len(secrets))
	}
	wantNothingOf(t, secrets, dir, env.Dir, env.CacheDir)

	out, edits, err := s.Inspect(t.Context(), env)
	if err != nil || len(edits) > 0 || !out.RootToken.Equal(secrets[0]) {
		t.Errorf("the same run: %v, %v", vaulttest.Show(edits), err)
	}
	_, edits, err = newUnseal(v.Address, file).Inspect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := vaulttest.ApplyAll(t, edits); err != nil {
		t.Fatal(err)
	}
	v.Token = out.RootToken.Reveal()
	v.Do(t, "GET", "auth/token/lookup-self", "")

	// Another run.
	if out := converge(t, s); !out.RootToken.IsZero() || out.Shares != 3 || out.Threshold != 2 || out.Keys != "file keys.json" {
		t.Errorf("outputs: %+v", out)
	}
	s.Keys.Identities = identities[3:]
	if out := converge(t, s); out.RootToken.Reveal() != v.Token {
		t.Error("the identity does not give the root token")
	}
	wantNothingOf(t, secrets, dir, env.Dir, env.CacheDir)
}

// wantNothingOf fails the test if a file below the directories shows a secret.
func wantNothingOf(t *testing.T, secrets []engine.Secret, dirs ...string) {
	t.Helper()
	files := 0
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			text, err := os.ReadFile(path)
			for _, s := range secrets {
				if bytes.Contains(text, []byte(s.Reveal())) {
					t.Errorf("%s shows a secret", path)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files != 1 {
		t.Errorf("%d files, want the sink alone", files)
	}
}

// Vault encrypts: each custodian opens one share with the own key, and two of
// them open Vault.
func TestPGP(t *testing.T) {
	v := vaulttest.Start(t)
	file := filepath.Join(t.TempDir(), "keys.json")
	s, keys := newPGPSpec(t, v.Address, file)
	env := vaulttest.Env(t)
	_, edits, err := s.Inspect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := vaulttest.ApplyAll(t, edits); err != nil {
		t.Fatal(err)
	}
	out, edits, err := s.Inspect(t.Context(), env)
	if err != nil || len(edits) > 0 || !out.RootToken.IsZero() {
		t.Errorf("the same run: %v, token %v, %v", vaulttest.Show(edits), !out.RootToken.IsZero(), err)
	}
	a := load(t, file)
	for i, part := range a.Sealed {
		if part.Name != names[i] {
			t.Errorf("part %d is for %s", i, part.Name)
		}
	}
	v.Shares = []string{vaulttest.OpenPGP(t, a.Sealed[2].Text, keys[2]), vaulttest.OpenPGP(t, a.Sealed[0].Text, keys[0])}
	v.Token = vaulttest.OpenPGP(t, a.SealedRootToken.Text, keys[3])
	if err := v.Unseal(); err != nil {
		t.Fatal(err)
	}
	v.Do(t, "GET", "auth/token/lookup-self", "")
}

// Vault encrypts the shares, and the root token serves the run.
func TestPGPWithTheRootTokenInAge(t *testing.T) {
	v := vaulttest.Start(t)
	s, _ := newPGPSpec(t, v.Address, filepath.Join(t.TempDir(), "keys.json"))
	recipient, identity := vaulttest.NewAge(t, "root")
	s.Keys.RootToken = &unsealkeys.Readers{Age: []string{recipient}}
	if out := converge(t, s); !out.RootToken.IsZero() {
		t.Error("a run without the identity has the root token")
	}
	s.Keys.Identities = []engine.File{identity}
	if out := converge(t, s); !strings.HasPrefix(out.RootToken.Reveal(), "hvs.") {
		t.Error("the identity does not give the root token")
	}
}

func TestRefusesOtherCustody(t *testing.T) {
	v := vaulttest.Start(t)
	file := filepath.Join(t.TempDir(), "keys.json")
	s, _ := newAgeSpec(t, v.Address, file)
	converge(t, s)
	t.Run("in the clear", func(t *testing.T) {
		s := *s
		s.Keys.Custodians, s.Keys.RootToken = nil, nil
		wantRefusal(t, &s, "the plan names no custodians", "as they are in there")
	})
	t.Run("another custodian", func(t *testing.T) {
		other, _ := newAgeSpec(t, v.Address, file)
		wantRefusal(t, other, "holds the share of alice encrypted to age1", "set the plan back")
	})
	t.Run("another vault", func(t *testing.T) {
		other, _ := newAgeSpec(t, vaulttest.Start(t).Address, file)
		wantRefusal(t, other, "they belong to another Vault", "move them away")
	})
}

func TestSealedEmergency(t *testing.T) {
	v := vaulttest.Start(t)
	p := vaulttest.NewProxy(t, v.Address)
	file := filepath.Join(t.TempDir(), "keys.json")
	p.Before(isInit, func() {
		if err := os.Mkdir(file, 0o700); err != nil {
			t.Error(err)
		}
	})
	s, identities := newAgeSpec(t, p.Address, file)
	vaulttest.WantPermanent(t, apply(t, s), "are in file keys.json.emergency", "run again")
	if a := load(t, file+".emergency"); len(a.Sealed) != 3 || len(a.Shares) != 0 {
		t.Errorf("the emergency file holds %d parts, %d shares", len(a.Sealed), len(a.Shares))
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	s.Keys.Identities = identities[3:]
	if out := converge(t, s); out.RootToken.IsZero() {
		t.Error("no root token")
	}
	if left, _ := os.ReadDir(filepath.Dir(file)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestValidateNumberOfCustodians(t *testing.T) {
	s, _ := newAgeSpec(t, "http://127.0.0.1:1", "keys.json")
	s.Shares = 5
	p := &engine.Problems{}
	s.Validate(p)
	if got := p.List(); len(got) != 1 || got[0].Field != "keys.custodians" || got[0].Message != "3 custodians for 5 shares" {
		t.Errorf("problems: %v", got)
	}
}
