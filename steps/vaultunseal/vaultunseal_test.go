package vaultunseal_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/vaultunseal"
)

func TestMain(m *testing.M) { vaulttest.Main(m) }

// sealed starts a Vault, initialises it with 5 shares of which 3 are needed, and
// returns it sealed together with the answer.
func sealed(t *testing.T) (*vaulttest.Server, *api.InitResponse) {
	t.Helper()
	v := vaulttest.Start(t)
	answer, err := v.Client(t).Sys().Init(&api.InitRequest{SecretShares: 5, SecretThreshold: 3})
	if err != nil {
		t.Fatal(err)
	}
	v.Token, v.Shares = answer.RootToken, answer.Keys
	return v, answer
}

// newSpec returns a step whose key file holds the shares.
func newSpec(t *testing.T, address string, shares []string) *vaultunseal.Spec {
	t.Helper()
	text, err := json.Marshal(map[string]any{"unseal_keys_hex": shares, "root_token": "hvs.planted"})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s := vaultunseal.Kind.New().(*vaultunseal.Spec)
	s.Vault.Address = address
	s.Keys.File = engine.File{Name: "keys.json", Path: file}
	return s
}

func inspect(t *testing.T, s *vaultunseal.Spec) (vaultunseal.Outputs, []engine.Edit) {
	t.Helper()
	out, edits, err := s.Inspect(t.Context(), vaulttest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return out, edits
}

func apply(t *testing.T, s *vaultunseal.Spec) error {
	t.Helper()
	_, edits := inspect(t, s)
	return vaulttest.ApplyAll(t, edits)
}

func converge(t *testing.T, s *vaultunseal.Spec) vaultunseal.Outputs {
	t.Helper()
	if err := apply(t, s); err != nil {
		t.Fatal(err)
	}
	out, edits := inspect(t, s)
	if len(edits) > 0 {
		t.Fatalf("still differs: %v", vaulttest.Show(edits))
	}
	return out
}

func TestContract(t *testing.T) {
	t.Parallel()
	v, answer := sealed(t)
	p := vaulttest.NewProxy(t, v.Address)
	s := newSpec(t, p.Address, answer.Keys)
	enginetest.Run(t, enginetest.Case{
		Kind:    vaultunseal.Kind,
		Env:     vaulttest.Env(t),
		Spec:    func() any { return s },
		Writes:  p.Writes,
		Secrets: slices.Concat(answer.Keys, answer.KeysB64, []string{"hvs.planted"}),
		Reset: func(context.Context) error {
			if sealStatus(t, v).Sealed {
				return nil
			}
			return v.Client(t).Sys().Seal()
		},
	})
}

// interrupted is a step whose Vault is sealed again before the second look.
type interrupted struct {
	*vaultunseal.Spec
	looks int
	seal  func() error
}

func (s *interrupted) Inspect(ctx context.Context, env *engine.Env) (vaultunseal.Outputs, []engine.Edit, error) {
	if s.looks++; s.looks == 2 {
		if err := s.seal(); err != nil {
			return vaultunseal.Outputs{}, nil, err
		}
	}
	return s.Spec.Inspect(ctx, env)
}

// A Vault that restarts while it is unsealed is unsealed again in the same run.
func TestSealedAgain(t *testing.T) {
	t.Parallel()
	v, answer := sealed(t)
	s := &interrupted{Spec: newSpec(t, v.Address, answer.Keys), seal: v.Client(t).Sys().Seal}
	kind := engine.NewKind("interrupted", vaultunseal.Kind.Policy, func() *interrupted { return s })
	if _, err := run.Run(t.Context(), []run.Node{{
		ID: "unseal", Kind: kind, Policy: kind.Policy, Spec: func(run.Outputs) (any, error) { return s, nil },
	}}, run.Options{Env: *vaulttest.Env(t)}); err != nil {
		t.Fatalf("%v (%s)", err, engine.HintOf(err))
	}
	if sealStatus(t, v).Sealed || s.looks != 4 {
		t.Errorf("sealed: %v, looked %d times", sealStatus(t, v).Sealed, s.looks)
	}
}

func sealStatus(t *testing.T, v *vaulttest.Server) *api.SealStatusResponse {
	t.Helper()
	status, err := v.Client(t).Sys().SealStatus()
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func TestUnseals(t *testing.T) {
	t.Parallel()
	v, answer := sealed(t)
	s := newSpec(t, v.Address, answer.Keys)
	_, edits := inspect(t, s)
	if diff := cmp.Diff([]string{"sys/seal: sealed -> unsealed"}, vaulttest.Show(edits)); diff != "" {
		t.Error(diff)
	}
	if want := "with 3 of 5 shares from file keys.json"; edits[0].Note != want {
		t.Errorf("note is %q, want %q", edits[0].Note, want)
	}
	out := converge(t, s)
	status := sealStatus(t, v)
	if diff := cmp.Diff(vaultunseal.Outputs{Version: status.Version, ClusterID: status.ClusterID, ClusterName: status.ClusterName}, out); diff != "" {
		t.Error(diff)
	}
	if out.ClusterID == "" || out.Version == "" {
		t.Errorf("outputs: %+v", out)
	}
	// Sealed again, as after a restart of the pod.
	v.Restart(t)
	s.Vault.Address = v.Address
	if again := converge(t, s); again != out {
		t.Error(cmp.Diff(out, again))
	}
}

// An unsealed Vault needs no keys.
func TestUnsealedNeedsNoKeys(t *testing.T) {
	t.Parallel()
	v := vaulttest.Shared(t)
	s := newSpec(t, v.Address, nil)
	if err := os.Remove(s.Keys.File.Path); err != nil {
		t.Fatal(err)
	}
	if _, edits := inspect(t, s); len(edits) > 0 {
		t.Errorf("differs: %v", vaulttest.Show(edits))
	}
}

func TestSharesInTheOtherForms(t *testing.T) {
	t.Parallel()
	v, answer := sealed(t)
	// Twice the same share counts once, in any form.
	converge(t, newSpec(t, v.Address, []string{answer.KeysB64[0], answer.Keys[0], answer.Keys[1], answer.KeysB64[4]}))
}

// A run that was killed after a share, or a person, has begun.
func TestSomebodyHasBegun(t *testing.T) {
	t.Parallel()
	t.Run("with shares of this vault", func(t *testing.T) {
		v, answer := sealed(t)
		p := vaulttest.NewProxy(t, v.Address)
		v.DoJSON(t, "PUT", "sys/unseal", map[string]any{"key": answer.Keys[0]})
		s := newSpec(t, p.Address, answer.Keys)
		_, edits := inspect(t, s)
		if want := "with 3 of 5 shares from file keys.json; 1 of them submitted already"; edits[0].Note != want {
			t.Errorf("note is %q, want %q", edits[0].Note, want)
		}
		converge(t, s)
		if p.Writes() != 3 { // the first is a repetition
			t.Errorf("%d shares were submitted", p.Writes())
		}
	})
	t.Run("with a wrong share", func(t *testing.T) {
		v, answer := sealed(t)
		_, other := sealed(t)
		v.DoJSON(t, "PUT", "sys/unseal", map[string]any{"key": other.Keys[0]})
		converge(t, newSpec(t, v.Address, answer.Keys))
	})
}

func TestLostAnswers(t *testing.T) {
	t.Parallel()
	v, answer := sealed(t)
	p := vaulttest.NewProxy(t, v.Address)
	s := newSpec(t, p.Address, answer.Keys)
	for range 2 {
		p.LoseAnswer(func(r vaulttest.Request) bool { return r.Write() })
		if err := apply(t, s); err == nil {
			t.Fatal("no error")
		}
	}
	converge(t, s)
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	t.Run("shares of another vault", func(t *testing.T) {
		v, _ := sealed(t)
		_, other := sealed(t)
		p := vaulttest.NewProxy(t, v.Address)
		err := apply(t, newSpec(t, p.Address, other.Keys))
		vaulttest.WantPermanent(t, err, "the shares in file keys.json do not open this Vault", "they belong to another Vault")
		if p.Writes() != 3 {
			t.Errorf("%d shares were submitted, want 3: it must not try again", p.Writes())
		}
		if got := sealStatus(t, v); got.Progress != 0 {
			t.Errorf("progress is %d", got.Progress)
		}
		for _, share := range other.Keys {
			if strings.Contains(err.Error(), share) {
				t.Error("the error shows a share")
			}
		}
	})
	refuse := func(t *testing.T, s *vaultunseal.Spec, want, hint string) {
		t.Helper()
		_, _, err := s.Inspect(t.Context(), vaulttest.Env(t))
		vaulttest.WantPermanent(t, err, want, hint)
	}
	v, answer := sealed(t)
	t.Run("too few shares", func(t *testing.T) {
		refuse(t, newSpec(t, v.Address, []string{answer.Keys[0], answer.Keys[1], answer.KeysB64[1]}),
			"holds 2 distinct shares, and 3 are needed", "other custodians")
	})
	t.Run("no keys", func(t *testing.T) {
		s := newSpec(t, v.Address, nil)
		if err := os.Remove(s.Keys.File.Path); err != nil {
			t.Fatal(err)
		}
		refuse(t, s, "vault is sealed, and file keys.json does not exist", "vault operator unseal")
	})
	t.Run("not initialised", func(t *testing.T) {
		refuse(t, newSpec(t, vaulttest.Start(t).Address, answer.Keys), "vault is not initialised", "vaultInit")
	})
}
