package custody_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

// sealedKeys returns keys in a file, encrypted with age to three custodians, and
// the identities of those and of the reader of the root token.
func sealedKeys(t *testing.T) (keys custody.Keys, identities map[string]engine.File) {
	t.Helper()
	keys = file(filepath.Join(t.TempDir(), "keys.json"))
	identities = make(map[string]engine.File)
	for _, name := range []string{"alice", "bob", "carol"} {
		recipient, id := vaulttest.NewAge(t, name)
		if name == "carol" {
			recipient, id = newHybrid(t, name)
		}
		keys.Custodians = append(keys.Custodians, unsealkeys.Custodian{Name: name, Age: recipient})
		identities[name] = id
	}
	recipient, id := vaulttest.NewAge(t, "root")
	keys.RootToken, identities["root"] = &unsealkeys.Readers{Age: []string{recipient}}, id
	return keys, identities
}

func newHybrid(t *testing.T, name string) (recipient string, identity engine.File) {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id.Recipient().String(), vaulttest.WriteFile(t, name+".txt", id.String()+"\n")
}

func closed(t *testing.T, keys custody.Keys) *unsealkeys.Answer {
	t.Helper()
	encryption, err := keys.Encryption()
	if err != nil {
		t.Fatal(err)
	}
	a, err := encryption.Encrypt(said, len(said.Keys), 2)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wantSealed fails the test if text shows a share or the token in any form.
func wantSealed(t *testing.T, text []byte) {
	t.Helper()
	for _, s := range unsealkeys.NewAnswer(said, 3, 2).Secrets() {
		if bytes.Contains(text, []byte(s.Reveal())) {
			t.Errorf("shows a key of Vault:\n%s", text)
		}
	}
}

func TestEachOpensTheirOwn(t *testing.T) {
	keys, identities := sealedKeys(t)
	a := closed(t, keys)
	wantSealed(t, a.Encode())
	if len(a.Shares) != 3 || a.RootToken.Reveal() != said.RootToken {
		t.Error("the run that initialised Vault does not have its keys")
	}
	env := vaulttest.Env(t)
	if err := custody.Put(t.Context(), keys.Sinks(env)[0], a); err != nil {
		t.Fatal(err)
	}
	for i, c := range keys.Custodians {
		back, _, err := withIdentities(keys, identities[c.Name]).Look(t.Context(), vaulttest.Env(t))
		if err != nil || len(back.Shares) != 1 || back.Shares[0].Reveal() != said.Keys[i] || !back.RootToken.IsZero() {
			t.Errorf("%s has %d shares, %v", c.Name, len(back.Shares), err)
		}
		if diff := cmp.Diff([]string{c.Name}, back.Opened); diff != "" {
			t.Error(diff)
		}
		if got := vaulttest.OpenAge(t, back.Sealed[i].Text, identities[c.Name]); got != said.Keys[i] {
			t.Errorf("age --decrypt gives %q", got)
		}
	}
	all := slices.Collect(func(yield func(engine.File) bool) {
		for _, f := range identities {
			if !yield(f) {
				return
			}
		}
	})
	back, _, err := withIdentities(keys, all...).Look(t.Context(), vaulttest.Env(t))
	if err != nil || len(back.Distinct()) != 3 || back.RootToken.Reveal() != said.RootToken {
		t.Errorf("all together have %d shares, %v", len(back.Shares), err)
	}
	_, stranger := vaulttest.NewAge(t, "mallory")
	back, _, err = withIdentities(keys, stranger).Look(t.Context(), vaulttest.Env(t))
	if err != nil || len(back.Shares) != 0 || !back.RootToken.IsZero() {
		t.Errorf("a stranger has %d shares, %v", len(back.Shares), err)
	}
	if diff := cmp.Diff([]string{"alice", "bob", "carol"}, back.Custodians()); diff != "" {
		t.Error(diff)
	}
}

func withIdentities(k custody.Keys, files ...engine.File) custody.Keys {
	k.Identities = files
	return k
}

// A Vault that unseals itself gives recovery keys instead.
func TestSealedRecoveryKeys(t *testing.T) {
	keys, _ := sealedKeys(t)
	encryption, err := keys.Encryption()
	if err != nil {
		t.Fatal(err)
	}
	a, err := encryption.Encrypt(&api.InitResponse{RecoveryKeys: said.Keys, RootToken: said.RootToken}, 3, 2)
	if err != nil {
		t.Fatal(err)
	}
	wantSealed(t, a.Encode())
	back, err := unsealkeys.Decode(a.Encode())
	if err != nil || !back.Recovery || back.N != 3 || back.Threshold != 2 || !back.SameKeys(a) {
		t.Errorf("%+v, %v", back, err)
	}
}

// Later steps of the same run have Vault's answer, other runs do not, and a root
// token that left the sink is gone.
func TestRemember(t *testing.T) {
	keys, _ := sealedKeys(t)
	a := closed(t, keys)
	env := vaulttest.Env(t)
	if err := custody.Put(t.Context(), keys.Sinks(env)[0], a); err != nil {
		t.Fatal(err)
	}
	if err := keys.Remember(t.Context(), env, a); err != nil {
		t.Fatal(err)
	}
	var concealed []engine.Secret
	env.Conceal = func(s ...engine.Secret) { concealed = append(concealed, s...) }
	unseal := file(keys.File.Path) // as a step that names only the sink
	back, _, err := unseal.Look(t.Context(), env)
	if err != nil || len(back.Shares) != 3 || back.RootToken.Reveal() != said.RootToken || len(concealed) != 7 {
		t.Errorf("%d shares, %d concealed, %v", len(back.Shares), len(concealed), err)
	}
	if back, _, err = unseal.Look(t.Context(), vaulttest.Env(t)); err != nil || len(back.Shares) > 0 || !back.RootToken.IsZero() {
		t.Errorf("another run has %d shares, %v", len(back.Shares), err)
	}
	without := *a
	without.SealedRootToken = nil
	if err := os.WriteFile(keys.File.Path, without.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	if back, _, err = unseal.Look(t.Context(), env); err != nil || len(back.Shares) != 3 || !back.RootToken.IsZero() {
		t.Errorf("%d shares, token %v, %v", len(back.Shares), !back.RootToken.IsZero(), err)
	}
}

// Encrypted shares may lie in git, and be readable by others.
func TestSealedFileIsNoSecret(t *testing.T) {
	keys, _ := sealedKeys(t)
	if err := os.Mkdir(filepath.Join(filepath.Dir(keys.File.Path), ".git"), 0o700); err != nil {
		t.Fatal(err)
	}
	sink := keys.Sinks(vaulttest.Env(t))[0]
	if err := custody.Put(t.Context(), sink, closed(t, keys)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(keys.File.Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(keys.File.Path, 0o644); err != nil {
		t.Fatal(err)
	}
	// The second does not know that there are custodians.
	for _, keys := range []custody.Keys{keys, file(keys.File.Path)} {
		if a, err := keys.Sinks(vaulttest.Env(t))[0].Load(t.Context()); err != nil || len(a.Sealed) != 3 {
			t.Errorf("%v", err)
		}
	}
}

func TestDamaged(t *testing.T) {
	keys, identities := sealedKeys(t)
	text := string(closed(t, keys).Encode())
	for name, c := range map[string]struct{ text, want string }{
		"cut":           {text[:len(text)/2], `is not the JSON of "vault operator init`},
		"no custodians": {`{"custodians":[]}`, "is a damaged file of encrypted shares"},
		"no share":      {strings.Replace(text, `"encrypted": "-----BEGIN AGE`, `"encrypted": "`, 1), "the share of alice"},
		"no token":      {strings.Replace(text, "AGE ENCRYPTED", "AGE", 7), "encrypted shares"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := unsealkeys.Decode([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
	t.Run("one share", func(t *testing.T) {
		a := closed(t, keys)
		// The last line but the footer holds the end of the payload.
		lines := strings.Split(a.Sealed[1].Text, "\n")
		last := []byte(lines[len(lines)-3])
		last[3] ^= 1
		lines[len(lines)-3] = string(last)
		a.Sealed[1].Text = strings.Join(lines, "\n")
		if err := os.WriteFile(keys.File.Path, a.Encode(), 0o600); err != nil {
			t.Fatal(err)
		}
		var warnings []string
		env := vaulttest.Env(t)
		env.Warnf = func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
		for range 2 {
			back, _, err := withIdentities(keys, identities["alice"], identities["bob"]).Look(t.Context(), env)
			if err != nil || len(back.Shares) != 1 {
				t.Fatalf("%d shares, %v", len(back.Shares), err)
			}
		}
		if len(warnings) != 1 || !strings.Contains(warnings[0], "file keys.json: the share of bob is damaged") {
			t.Errorf("warnings: %q", warnings)
		}
	})
}

func TestIdentities(t *testing.T) {
	keys, identities := sealedKeys(t)
	if err := custody.Put(t.Context(), keys.Sinks(vaulttest.Env(t))[0], closed(t, keys)); err != nil {
		t.Fatal(err)
	}
	open := vaulttest.WriteFile(t, "open.txt", "x")
	if err := os.Chmod(open.Path, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file       engine.File
		want, hint string
	}{
		"missing":     {engine.File{Name: "none.txt", Path: "/nowhere/none.txt"}, "identity file none.txt does not exist", "leave it out"},
		"open":        {open, "is open to others (mode 0644)", "chmod 600"},
		"a recipient": {vaulttest.WriteFile(t, "r.txt", keys.Custodians[0].Age), "holds no age identities", "AGE-SECRET-KEY-"},
		"encrypted":   {vaulttest.WriteFile(t, "e.txt", "age-encryption.org/v1\n-> scrypt\n"), "holds no age identities", "passphrase"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := withIdentities(keys, identities["alice"], c.file).Look(t.Context(), vaulttest.Env(t))
			vaulttest.WantPermanent(t, err, c.want, c.hint)
		})
	}
}

func TestFits(t *testing.T) {
	keys, _ := sealedKeys(t)
	sealed, clear := closed(t, keys), unsealkeys.NewAnswer(said, 3, 2)
	if err := keys.Fits(sealed); err != nil {
		t.Error(err)
	}
	if err := file("keys.json").Fits(clear); err != nil {
		t.Error(err)
	}
	vaulttest.WantPermanent(t, keys.Fits(clear), "holds the shares in the clear, and the plan names custodians", "rekey")
	vaulttest.WantPermanent(t, file("keys.json").Fits(sealed), "encrypted to alice, bob, carol, and the plan names no custodians", "as they are in there")

	other, _ := vaulttest.NewAge(t, "other")
	for name, c := range map[string]struct {
		change func(*custody.Keys)
		want   string
	}{
		"another key":  {func(k *custody.Keys) { k.Custodians[1].Age = other }, "holds the share of bob encrypted to age1"},
		"another name": {func(k *custody.Keys) { k.Custodians[1].Name = "dave" }, "holds a share of bob, who is no custodian"},
		"one more": {func(k *custody.Keys) {
			k.Custodians = append(k.Custodians, unsealkeys.Custodian{Name: "dave", Age: other})
		}, "holds no share of dave"},
		"another for token": {func(k *custody.Keys) { k.RootToken = &unsealkeys.Readers{Age: []string{other}} }, "holds the root token encrypted to age1"},
	} {
		t.Run(name, func(t *testing.T) {
			keys := keys
			keys.Custodians = slices.Clone(keys.Custodians)
			c.change(&keys)
			vaulttest.WantPermanent(t, keys.Fits(sealed), c.want, "set the plan back")
		})
	}
}

func TestValidateCustodians(t *testing.T) {
	keys, identities := sealedKeys(t)
	_, pgp := vaulttest.NewPGP(t, "dave", nil)
	pq, _ := newHybrid(t, "frank")
	text, err := os.ReadFile(identities["bob"].Path)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.Fields(string(text))[2]
	for name, c := range map[string]struct {
		change func(*custody.Keys)
		want   []string // field: message
	}{
		"fine":         {func(*custody.Keys) {}, nil},
		"post-quantum": {func(k *custody.Keys) { k.Custodians[0].Age = pq }, nil},
		"no sink":      {func(k *custody.Keys) { k.File = engine.File{} }, []string{"keys: names no place"}},
		"no one for the root token": {func(k *custody.Keys) { k.RootToken = nil },
			[]string{"keys.rootToken: the shares are encrypted, and no reader"}},
		"root token beside clear shares": {func(k *custody.Keys) { k.Custodians = nil },
			[]string{"keys.rootToken: the root token would be encrypted beside shares in the clear"}},
		"everything at once": {func(k *custody.Keys) {
			k.Custodians[0].Age = "age1nonsense"
			k.Custodians[1].Age = ""
			k.Custodians[2].PGP = pgp
			k.RootToken = &unsealkeys.Readers{}
		}, []string{
			"keys.custodians[0].age: alice: is not an age recipient",
			"keys.custodians[1].age: bob: neither an age recipient nor a PGP key",
			"keys.custodians[2]: carol: both an age recipient and a PGP key",
			"keys.rootToken.age: neither an age recipient",
		}},
		"secret key": {func(k *custody.Keys) { k.Custodians[1].Age = secret }, []string{"keys.custodians[1].age: bob: is a secret key"}},
		"twice the key and the name": {func(k *custody.Keys) {
			k.Custodians[1] = k.Custodians[0]
		}, []string{"keys.custodians[1].name: there are two custodians named alice", "keys.custodians[1].age: alice has the key of alice"}},
		"mixed": {func(k *custody.Keys) { k.Custodians[2] = unsealkeys.Custodian{Name: "dave", PGP: pgp} },
			[]string{"keys.custodians[2].pgp: dave has a key of pgp, and others have keys of age"}},
		"incompatible": {func(k *custody.Keys) { k.RootToken.Age = append(k.RootToken.Age, pq) },
			[]string{"keys.rootToken.age: cannot be encrypted to together"}},
		"one of several": {func(k *custody.Keys) { k.RootToken.Age = append(k.RootToken.Age, "ssh-ed25519 AAAA") },
			[]string{"keys.rootToken.age[1]: is not an age recipient"}},
	} {
		t.Run(name, func(t *testing.T) {
			keys := keys
			keys.Custodians = slices.Clone(keys.Custodians)
			keys.RootToken = &unsealkeys.Readers{Age: slices.Clone(keys.RootToken.Age)}
			c.change(&keys)
			p := &engine.Problems{}
			keys.Validate(p, "keys")
			got := p.List()
			if len(got) != len(c.want) {
				t.Fatalf("%d problems, want %d: %v", len(got), len(c.want), got)
			}
			for i, want := range c.want {
				if text := got[i].Field + ": " + got[i].Message; !strings.HasPrefix(text, want) {
					t.Errorf("problem is %q, want %q", text, want)
				}
				if strings.Contains(got[i].Message+got[i].Hint, secret) {
					t.Error("the problem shows a secret key")
				}
			}
		})
	}
}

func TestPGPKeys(t *testing.T) {
	key, public := vaulttest.NewPGP(t, "alice", nil)
	other, _ := vaulttest.NewPGP(t, "bob", nil)
	var binary, private bytes.Buffer
	if err := key.Serialize(&binary); err != nil {
		t.Fatal(err)
	}
	if err := key.SerializePrivate(&private, nil); err != nil {
		t.Fatal(err)
	}
	armored, err := os.ReadFile(public.Path)
	if err != nil {
		t.Fatal(err)
	}
	lastYear := &packet.Config{Time: func() time.Time { return time.Now().AddDate(-1, 0, 0) }, KeyLifetimeSecs: 3600}
	_, expired := vaulttest.NewPGP(t, "expired", lastYear)
	revoked, _ := vaulttest.NewPGP(t, "revoked", nil)
	if err := revoked.RevokeKey(packet.KeyCompromised, "", nil); err != nil {
		t.Fatal(err)
	}
	signing, _ := vaulttest.NewPGP(t, "signing", nil)
	signing.Subkeys = nil
	both := func() []byte { var b bytes.Buffer; _, _ = key.Serialize(&b), other.Serialize(&b); return b.Bytes() }()
	for name, c := range map[string]struct{ text, want string }{
		"armored":      {string(armored), ""},
		"binary":       {binary.String(), ""},
		"private":      {private.String(), "holds a private key"},
		"two":          {string(both), "holds 2 keys"},
		"expired":      {read(t, expired), "cannot be encrypted to: it is expired"},
		"revoked":      {vaulttest.Armored(t, revoked.Serialize), "is revoked"},
		"signing only": {vaulttest.Armored(t, signing.Serialize), "cannot be encrypted to: it is for signing only"},
		"cut":          {string(armored[:len(armored)/2]), "PGP key key: is"},
		"nonsense":     {"-----BEGIN CERTIFICATE-----", "is not an OpenPGP key"},
		"empty":        {"", "is not an OpenPGP key"},
	} {
		t.Run(name, func(t *testing.T) {
			keys := file("keys.json")
			keys.Custodians = []unsealkeys.Custodian{{Name: "alice", PGP: vaulttest.WriteFile(t, "key", c.text)}}
			keys.RootToken = &unsealkeys.Readers{PGP: public}
			encryption, err := keys.Encryption()
			if c.want != "" {
				vaulttest.WantPermanent(t, err, c.want, "")
				return
			}
			if err != nil || len(encryption.PGPKeys()) != 1 || encryption.PGPKeys()[0] != encryption.RootTokenPGPKey() {
				t.Errorf("%v", err)
			}
		})
	}
}

func read(t *testing.T, f engine.File) string {
	t.Helper()
	text, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A Vault that ignores the PGP keys must not make us write shares in the clear.
func TestVaultDidNotEncrypt(t *testing.T) {
	_, public := vaulttest.NewPGP(t, "alice", nil)
	keys := file("keys.json")
	keys.Custodians = []unsealkeys.Custodian{{Name: "alice", PGP: public}}
	keys.RootToken = &unsealkeys.Readers{PGP: public}
	encryption, err := keys.Encryption()
	if err != nil {
		t.Fatal(err)
	}
	_, err = encryption.Encrypt(&api.InitResponse{Keys: said.Keys[:1], RootToken: said.RootToken}, 1, 1)
	if err == nil || !strings.Contains(err.Error(), "the share of alice: vault did not encrypt it") || strings.Contains(err.Error(), said.Keys[0]) {
		t.Errorf("error is %v", err)
	}
}

func TestPending(t *testing.T) {
	keys := file(filepath.Join(t.TempDir(), "keys.json"))
	env := vaulttest.Env(t)
	began := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	env.Now = func() time.Time { return began }
	p := keys.Pending(env)
	if n, _, _ := p.Read(); n != nil {
		t.Error("there is a note")
	}
	for range 2 { // again, after a run that was killed
		f, err := p.Begin(t.Context(), env, "service vault/vault")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, busy := p.Read(); !busy {
			t.Error("nobody seems to be at it")
		}
		if _, err := p.Begin(t.Context(), env, "service vault/vault"); !errors.Is(err, custody.ErrBusy) {
			t.Errorf("a second one: %v", err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	n, name, busy := p.Read()
	if n == nil || len(n.Emergency) < 2 || n.Emergency[0] != keys.File.Path+".emergency" || name != "file keys.json.pending" || busy {
		t.Fatalf("%+v, %s, %v", n, name, busy)
	}
	n.Emergency = nil
	want := &custody.Note{
		About: "ztplan has asked Vault to initialise itself, and has not stored the keys yet",
		Plan:  "lab", Step: "step", Vault: "service vault/vault", Began: began,
	}
	if diff := cmp.Diff(want, n); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		if err := p.End(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(keys.File.Path)); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
