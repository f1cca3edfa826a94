package custody_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

var said = &api.InitResponse{
	Keys:      []string{"00ff10", "01ff11", "02ff12"},
	KeysB64:   []string{"AP8Q", "Af8R", "Av8S"},
	RootToken: "hvs.planted-root",
}

func file(path string) custody.Keys {
	return custody.Keys{File: engine.File{Name: filepath.Base(path), Path: path}}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	sink := file(path).Sinks(vaulttest.Env(t))[0]
	if a, err := sink.Load(t.Context()); a != nil || err != nil {
		t.Fatalf("%v, %v", a, err)
	}
	// A reservation takes its room on the disk, and gives it back.
	room, err := sink.Reserve(t.Context(), 10_000)
	if err != nil {
		t.Fatal(err)
	}
	left, _ := os.ReadDir(filepath.Dir(path))
	if info, err := left[0].Info(); err != nil || len(left) != 1 || info.Size() != 10_000 || info.Mode().Perm() != 0o600 {
		t.Errorf("reserved: %v, %v", left, err)
	}
	room.Release(t.Context())
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("reserving leaves %v", left)
	}
	want := unsealkeys.NewAnswer(said, 3, 2)
	if err := custody.Put(t.Context(), sink, want); err != nil {
		t.Fatal(err)
	}
	a, err := sink.Load(t.Context())
	if err != nil || string(a.Encode()) != string(want.Encode()) {
		t.Errorf("%+v, %v", a, err)
	}
	// Keys are never overwritten.
	vaulttest.WantPermanent(t, custody.Put(t.Context(), sink, want), "is there already", "move the file away")
}

// A link that leads nowhere is in the way as well.
func TestDanglingLink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.Symlink("nowhere", path); err != nil {
		t.Fatal(err)
	}
	sink := file(path).Sinks(vaulttest.Env(t))[0]
	vaulttest.WantPermanent(t, custody.Put(t.Context(), sink, unsealkeys.NewAnswer(said, 3, 2)), "is there already", "")
}

func TestSinksOfTwoVaults(t *testing.T) {
	env := labtest.Env(t)
	keys := file(filepath.Join(t.TempDir(), "keys.json"))
	keys.Secret = &custody.Secret{Namespace: labtest.Namespace(t, env), Name: "keys"}
	ctx := engine.AllowWrites(t.Context())
	sinks := keys.Sinks(env)
	other := *said
	other.Keys = []string{"aa", "bb"}
	if err := errors.Join(custody.Put(ctx, sinks[0], unsealkeys.NewAnswer(said, 3, 2)), custody.Put(ctx, sinks[1], unsealkeys.NewAnswer(&other, 2, 2))); err != nil {
		t.Fatal(err)
	}
	_, _, err := keys.Look(ctx, env)
	vaulttest.WantPermanent(t, err, "file keys.json and secret "+keys.Secret.Namespace+"/keys hold the keys of two different Vaults", "move the one away")
}

func TestSecret(t *testing.T) {
	env := labtest.Env(t)
	keys := custody.Keys{Secret: &custody.Secret{Namespace: labtest.Namespace(t, env), Name: "keys"}}
	sink := keys.Sinks(env)[0]
	if a, err := sink.Load(t.Context()); a != nil || err != nil {
		t.Fatalf("%v, %v", a, err)
	}
	// Reserving writes nothing: it is allowed while looking.
	room, err := sink.Reserve(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	want := unsealkeys.NewAnswer(said, 3, 2)
	if err := custody.Put(t.Context(), sink, want); err == nil {
		t.Error("stored while looking")
	}
	ctx := engine.AllowWrites(t.Context())
	for range 2 { // the second time as after a lost answer
		if err := room.Store(ctx, want); err != nil {
			t.Fatal(err)
		}
	}
	if a, err := sink.Load(ctx); err != nil || string(a.Encode()) != string(want.Encode()) {
		t.Errorf("%v", err)
	}
	if err := room.Store(ctx, unsealkeys.NewAnswer(said, 3, 3)); err == nil {
		t.Error("overwritten")
	}
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		t.Fatal(err)
	}
	have, err := cluster.Client().CoreV1().Secrets(keys.Secret.Namespace).Get(ctx, "keys", metav1.GetOptions{})
	if err != nil || len(have.Data["vault-cluster-keys.json"]) == 0 {
		t.Errorf("data: %d keys, %v", len(have.Data), err)
	}

	t.Run("sealed", func(t *testing.T) {
		sealed, identities := sealedKeys(t)
		sealed.File = engine.File{}
		sealed.Secret = &custody.Secret{Namespace: keys.Secret.Namespace, Name: "sealed"}
		sealed.Identities = []engine.File{identities["bob"]}
		if err := custody.Put(ctx, sealed.Sinks(env)[0], closed(t, sealed)); err != nil {
			t.Fatal(err)
		}
		have, err := cluster.Client().CoreV1().Secrets(keys.Secret.Namespace).Get(ctx, "sealed", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		wantSealed(t, have.Data["vault-cluster-keys.json"])
		if a, _, err := sealed.Look(ctx, env); err != nil || len(a.Shares) != 1 || a.Shares[0].Reveal() != said.Keys[1] {
			t.Errorf("%v", err)
		}
	})
	t.Run("no namespace", func(t *testing.T) {
		keys := custody.Keys{Secret: &custody.Secret{Namespace: "no-such-namespace", Name: "keys"}}
		_, err := keys.Sinks(env)[0].Reserve(ctx, 1000)
		vaulttest.WantPermanent(t, err, "cannot be written", "create the namespace")
	})
	t.Run("somebody else's", func(t *testing.T) {
		keys := custody.Keys{Secret: &custody.Secret{Namespace: keys.Secret.Namespace, Name: "keys", Key: "other"}}
		_, err := keys.Sinks(env)[0].Load(ctx)
		vaulttest.WantPermanent(t, err, "is there without the key other", "another Secret")
	})
}

// Nothing in a formatted answer or in an error shows a key.
func TestNothingShows(t *testing.T) {
	a := unsealkeys.NewAnswer(said, 3, 2)
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range a.Secrets() {
		if strings.Contains(string(text), s.Reveal()) {
			t.Error("JSON shows a key")
		}
	}
	if n := len(a.Secrets()); n != 7 {
		t.Errorf("%d secrets, want the token and two forms of three shares", n)
	}
}
