package vaultunseal_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/vaultunseal"
)

var names = []string{"alice", "bob", "carol", "dave", "erin"}

// newAgeSpec returns a step whose key file holds the shares of answer, encrypted
// to five custodians, and their identities.
func newAgeSpec(t *testing.T, address string, answer *api.InitResponse) (s *vaultunseal.Spec, identities []engine.File) {
	t.Helper()
	s = vaultunseal.Kind.New().(*vaultunseal.Spec)
	s.Vault.Address = address
	keys := custody.Keys{File: engine.File{Name: "keys.json", Path: filepath.Join(t.TempDir(), "keys.json")}}
	s.Keys = keys
	for _, name := range names {
		recipient, id := vaulttest.NewAge(t, name)
		keys.Custodians = append(keys.Custodians, unsealkeys.Custodian{Name: name, Age: recipient})
		identities = append(identities, id)
	}
	recipient, _ := vaulttest.NewAge(t, "root")
	keys.RootToken = &unsealkeys.Readers{Age: []string{recipient}}
	encryption, err := keys.Encryption()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := encryption.Encrypt(answer, 5, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := custody.Put(t.Context(), keys.Sinks(vaulttest.Env(t))[0], kept); err != nil {
		t.Fatal(err)
	}
	return s, identities
}

func TestContractWithIdentities(t *testing.T) {
	t.Parallel()
	v, answer := sealed(t)
	p := vaulttest.NewProxy(t, v.Address)
	s, identities := newAgeSpec(t, p.Address, answer)
	s.Keys.Identities = identities[1:4]
	enginetest.Run(t, enginetest.Case{
		Kind:    vaultunseal.Kind,
		Env:     vaulttest.Env(t),
		Spec:    func() any { return s },
		Writes:  p.Writes,
		Secrets: slices.Concat(answer.Keys, answer.KeysB64, secretsIn(t, identities)),
		Reset: func(context.Context) error {
			if sealStatus(t, v).Sealed {
				return nil
			}
			return v.Client(t).Sys().Seal()
		},
	})
}

// secretsIn returns the secret keys in files of identities.
func secretsIn(t *testing.T, identities []engine.File) []string {
	t.Helper()
	var out []string
	for _, f := range identities {
		text, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(string(text))
		out = append(out, words[len(words)-1])
	}
	return out
}

// look inspects in one run and requires these edits.
func look(t *testing.T, s *vaultunseal.Spec, env *engine.Env, want ...string) []engine.Edit {
	t.Helper()
	_, edits, err := s.Inspect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append([]string{}, want...), vaulttest.Show(edits)); diff != "" {
		t.Error(diff)
	}
	return edits
}

func TestWaitsForCustodians(t *testing.T) {
	t.Parallel()
	v, answer := sealed(t)
	p := vaulttest.NewProxy(t, v.Address)
	s, identities := newAgeSpec(t, p.Address, answer)
	env := vaulttest.Env(t)
	edits := look(t, s, env, "sys/seal: sealed, 0 of 3 shares so far; waits for custodians: alice, bob, carol, dave, erin (file keys.json) -> unsealed")
	if edits[0].Apply != nil || edits[0].Note != "each decrypts the own share, and submits it: vault operator unseal" {
		t.Errorf("%+v", edits[0])
	}

	// A run of bob's submits one share, and does so once.
	s.Keys.Identities = identities[1:2]
	edits = look(t, s, env,
		"sys/unseal: 0 of 3 shares -> with the shares of bob",
		"sys/seal: sealed, 0 of 3 shares so far; waits for custodians: alice, carol, dave, erin (file keys.json) -> unsealed")
	if err := vaulttest.ApplyAll(t, edits); err != nil {
		t.Fatal(err)
	}
	waits := "sys/seal: sealed, 1 of 3 shares so far; waits for custodians: alice, carol, dave, erin (file keys.json) -> unsealed"
	edits = look(t, s, env, waits)

	// A run of another operator does not know of bob.
	s.Keys.Identities = nil
	look(t, s, vaulttest.Env(t), "sys/seal: sealed, 1 of 3 shares so far; waits for custodians: alice, bob, carol, dave, erin (file keys.json) -> unsealed")

	// The wait ends when a share is submitted.
	s.Keys.Identities = identities[1:2]
	arrived := make(chan error, 1)
	go func() { arrived <- edits[0].Await(t.Context()) }()
	v.DoJSON(t, "PUT", "sys/unseal", map[string]any{"key": answer.Keys[4]})
	if err := <-arrived; err != nil {
		t.Fatal(err)
	}
	look(t, s, env, "sys/seal: sealed, 2 of 3 shares so far; waits for custodians: alice, carol, dave, erin (file keys.json) -> unsealed")
	v.DoJSON(t, "PUT", "sys/unseal", map[string]any{"key": answer.Keys[0]})
	look(t, s, env)
	if p.Writes() != 1 {
		t.Errorf("%d shares were submitted by the step", p.Writes())
	}
}

// Submitted shares complete those of others.
func TestCompletesTheOthers(t *testing.T) {
	t.Parallel()
	v, answer := sealed(t)
	s, identities := newAgeSpec(t, v.Address, answer)
	v.DoJSON(t, "PUT", "sys/unseal", map[string]any{"key": answer.Keys[3]})
	s.Keys.Identities = identities[:2]
	env := vaulttest.Env(t)
	edits := look(t, s, env,
		"sys/unseal: 1 of 3 shares -> with the shares of alice, bob",
		"sys/seal: sealed, 1 of 3 shares so far; waits for custodians: carol, dave, erin (file keys.json) -> unsealed")
	if err := vaulttest.ApplyAll(t, edits); err != nil {
		t.Fatal(err)
	}
	look(t, s, env)
}

// Vault forgets all shares when one is wrong, and does not name it. Ours are
// submitted again, and the others get a hint.
func TestSomebodyIsWrong(t *testing.T) {
	t.Parallel()
	v, answer := sealed(t)
	_, other := sealed(t)
	s, identities := newAgeSpec(t, v.Address, answer)
	v.DoJSON(t, "PUT", "sys/unseal", map[string]any{"key": other.Keys[0]})
	s.Keys.Identities = identities[:2]
	env := vaulttest.Env(t)
	_, edits, err := s.Inspect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	err = vaulttest.ApplyAll(t, edits)
	if err == nil || errors.Is(err, engine.ErrPermanent) || engine.HintOf(err) != "one of them is wrong or of another Vault: every custodian submits the own share again" {
		t.Errorf("error is %v (%s)", err, engine.HintOf(err))
	}
	edits = look(t, s, env,
		"sys/unseal: 0 of 3 shares -> with the shares of alice, bob",
		"sys/seal: sealed, 0 of 3 shares so far; waits for custodians: carol, dave, erin (file keys.json) -> unsealed")
	if err := vaulttest.ApplyAll(t, edits); err != nil {
		t.Fatal(err)
	}
	v.DoJSON(t, "PUT", "sys/unseal", map[string]any{"key": answer.Keys[2]})
	look(t, s, env)
}

// Shares that Vault encrypted itself are the custodians' alone.
func TestWaitsForPGP(t *testing.T) {
	t.Parallel()
	v := vaulttest.Start(t)
	s := vaultunseal.Kind.New().(*vaultunseal.Spec)
	s.Vault.Address = v.Address
	s.Keys.File = engine.File{Name: "keys.json", Path: filepath.Join(t.TempDir(), "keys.json")}
	keys := s.Keys
	alice, public := vaulttest.NewPGP(t, "alice", nil)
	keys.Custodians = []unsealkeys.Custodian{{Name: "alice", PGP: public}}
	keys.RootToken = &unsealkeys.Readers{PGP: public}
	encryption, err := keys.Encryption()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := v.Client(t).Sys().Init(&api.InitRequest{
		SecretShares: 1, SecretThreshold: 1, PGPKeys: encryption.PGPKeys(), RootTokenPGPKey: encryption.RootTokenPGPKey()})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := encryption.Encrypt(answer, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := custody.Put(t.Context(), keys.Sinks(vaulttest.Env(t))[0], kept); err != nil {
		t.Fatal(err)
	}
	env := vaulttest.Env(t)
	look(t, s, env, "sys/seal: sealed, 0 of 1 shares so far; waits for custodians: alice (file keys.json) -> unsealed")
	v.DoJSON(t, "PUT", "sys/unseal", map[string]any{"key": vaulttest.OpenPGP(t, kept.Sealed[0].Text, alice)})
	look(t, s, env)
}

// Waiting ends with the run.
func TestWaitIsCancelled(t *testing.T) {
	t.Parallel()
	v, answer := sealed(t)
	s, _ := newAgeSpec(t, v.Address, answer)
	_, edits, err := s.Inspect(t.Context(), vaulttest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := edits[0].Await(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
}
