package custody_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/vaultinit"
)

// pointVariable makes this test binary a process that initialises a Vault and ends
// itself, by SIGKILL, before a system call: "ADDRESS FILE NUMBER".
const pointVariable = "ZTPLAN_TEST_POINT"

func initSpec(address, file string) *vaultinit.Spec {
	s := vaultinit.Kind.New().(*vaultinit.Spec)
	s.Vault.Address = address
	s.Keys.File = engine.File{Name: filepath.Base(file), Path: file}
	return s
}

// initialise looks and applies every edit in ctx.
func initialise(ctx context.Context, env *engine.Env, s *vaultinit.Spec) error {
	_, edits, err := s.Inspect(ctx, env)
	for _, e := range edits {
		if err == nil {
			err = e.Apply(engine.AllowWrites(ctx))
		}
	}
	return err
}

// TestPoint is the body of the process that ends itself.
func TestPoint(t *testing.T) {
	var address, file string
	var last int
	if _, err := fmt.Sscanf(os.Getenv(pointVariable), "%s %s %d", &address, &file, &last); err != nil {
		t.Skip("is for the process that TestEveryPoint starts")
	}
	n := 0
	ctx := custody.WithCalls(t.Context(), func(call string) error {
		fmt.Println("CALL " + call)
		if n++; n == last {
			self, _ := os.FindProcess(os.Getpid())
			_ = self.Kill()
			select {}
		}
		return nil
	})
	if err := initialise(ctx, vaulttest.Env(t), initSpec(address, file)); err != nil {
		t.Fatal(err)
	}
}

// A process that ends before any of its system calls loses the keys at one of them
// only, that which would have written them, and the next run reports that. After every
// other the next run has them, and nothing is left behind.
func TestEveryPoint(t *testing.T) {
	lost := 0
	for n := 1; ; n++ {
		v := vaulttest.Start(t)
		dir := t.TempDir()
		file := filepath.Join(dir, "keys.json")
		victim := exec.Command(os.Args[0], "-test.run=^TestPoint$")
		victim.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", pointVariable, v.Address, file, n))
		said, err := victim.Output()
		calls := strings.Count(string(said), "CALL ")
		if err == nil {
			if n < 15 {
				t.Errorf("%d calls are all:\n%s", calls, said)
			}
			break
		}
		if calls != n {
			t.Fatalf("it ended after %d calls, not %d: %v\n%s", calls, n, err, said)
		}
		s, env := initSpec(v.Address, file), vaulttest.Env(t)
		if err := initialise(t.Context(), env, s); err != nil {
			lost++
			vaulttest.WantPermanent(t, err, "ended before the answer was stored", "the keys of this Vault are lost")
			continue
		}
		if _, edits, err := s.Inspect(t.Context(), env); err != nil || len(edits) > 0 {
			t.Errorf("after %d calls: still differs: %v, %v\n%s", n, vaulttest.Show(edits), err, said)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("after %d calls: left behind: %v\n%s", n, left, said)
		}
		opens(t, v, file)
	}
	if lost != 1 {
		t.Errorf("lost at %d calls, want 1", lost)
	}
}

// opens makes sure that the keys in the file open the Vault.
func opens(t *testing.T, v *vaulttest.Server, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a, err := unsealkeys.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	v.Token, v.Shares = a.RootToken.Reveal(), nil
	for _, s := range a.Shares {
		v.Shares = append(v.Shares, s.Reveal())
	}
	if err := v.Unseal(); err != nil {
		t.Errorf("the keys do not open the Vault: %v", err)
	}
}

// The leftover of a write that was cut off is named, and nothing is to be deleted.
func TestTornFile(t *testing.T) {
	v := vaulttest.Start(t)
	if err := v.Init(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file+".tmp-77", []byte(`{"unseal_keys_b64": ["AP8Q",`+strings.Repeat(" ", 99)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := initSpec(v.Address, file).Inspect(t.Context(), vaulttest.Env(t))
	vaulttest.WantPermanent(t, err, "there is file keys.json.tmp-77: is not the JSON", "delete nothing of Vault")
}

var errFull = errors.New("no space left on device")

// Without room for all of the answer, Vault is not asked.
func TestNoRoom(t *testing.T) {
	v := vaulttest.Start(t)
	dir := t.TempDir()
	writes := 0
	ctx := custody.WithCalls(t.Context(), func(call string) error {
		if call == "write" {
			if writes++; writes == 2 { // the first is the note's
				return errFull
			}
		}
		return nil
	})
	err := initialise(ctx, vaulttest.Env(t), initSpec(v.Address, filepath.Join(dir, "keys.json")))
	vaulttest.WantPermanent(t, err, "cannot be written, with up to", "with room")
	if got := v.Do(t, "GET", "sys/init", ""); got["initialized"] == true {
		t.Error("vault is initialised")
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// The disk fails when the keys are to be written: they go to another directory, and
// the next run takes them from there.
func TestEmergencyElsewhere(t *testing.T) {
	v := vaulttest.Start(t)
	file := filepath.Join(t.TempDir(), "keys.json")
	s, env := initSpec(v.Address, file), vaulttest.Env(t)
	env.StateDir = filepath.Join(t.TempDir(), "state")
	n := 0
	ctx := custody.WithCalls(t.Context(), func(call string) error {
		switch call {
		case "write":
			if n++; n == 3 || n == 4 { // into the reservation, and beside it
				return errFull
			}
		}
		return nil
	})
	err := initialise(ctx, env, s)
	vaulttest.WantPermanent(t, err, "the keys could not be stored and are in file "+env.StateDir+"/ztplan-vault-keys-", "run again")
	left, err := os.ReadDir(env.StateDir)
	if err != nil || len(left) != 1 {
		t.Fatalf("%v, %v", left, err)
	}
	if info, err := left[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := initialise(t.Context(), env, s); err != nil {
		t.Fatal(err)
	}
	if err := initialise(t.Context(), env, s); err != nil { // removes blank files
		t.Fatal(err)
	}
	opens(t, v, file)
	if left, _ := os.ReadDir(env.StateDir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// No file can be written: standard error gets the keys, encrypted to the custodians
// where there are some.
func TestLastResort(t *testing.T) {
	sealed, identities := sealedKeys(t)
	sealed.Identities = []engine.File{identities["bob"]}
	for name, c := range map[string]struct {
		keys   custody.Keys
		answer func(custody.Keys) *unsealkeys.Answer
	}{
		"clear":  {file(filepath.Join(t.TempDir(), "keys.json")), func(custody.Keys) *unsealkeys.Answer { return unsealkeys.NewAnswer(said, 3, 2) }},
		"sealed": {sealed, func(k custody.Keys) *unsealkeys.Answer { return closed(t, k) }},
	} {
		t.Run(name, func(t *testing.T) {
			env, answer := vaulttest.Env(t), c.answer(c.keys)
			room, err := custody.Reserve(t.Context(), c.keys.Sinks(env), 8000)
			if err != nil {
				t.Fatal(err)
			}
			defer room.Release(t.Context())
			ctx := custody.WithCalls(t.Context(), func(call string) error {
				if call == "write" || call == "open" {
					return errFull
				}
				return nil
			})
			if stored, err := room.Store(ctx, answer); stored || !errors.Is(err, errFull) {
				t.Fatalf("%v, %v", stored, err)
			}
			var out strings.Builder
			where, err := c.keys.Rescue(ctx, env, room, answer, &out)
			if where != "standard error" || !errors.Is(err, errFull) {
				t.Errorf("%s, %v", where, err)
			}
			_, text, _ := strings.Cut(out.String(), "----- keys of Vault -----\n")
			text, _, _ = strings.Cut(text, "----- end -----")
			if name == "sealed" {
				wantSealed(t, []byte(text))
			}
			if a, err := unsealkeys.Decode([]byte(text)); err != nil || !a.SameKeys(answer) {
				t.Errorf("standard error has %q: %v", out.String(), err)
			}
		})
	}
}

// The reservation is as long as the longest answer.
func TestBound(t *testing.T) {
	pgp, pgpSaid := pgpKeys(t)
	agePlan, _ := sealedKeys(t)
	for name, c := range map[string]struct {
		keys custody.Keys
		said *api.InitResponse
		n    int
	}{
		"clear": {custody.Keys{}, said, 3}, "age": {agePlan, said, 3}, "pgp": {pgp, pgpSaid, 5},
	} {
		t.Run(name, func(t *testing.T) {
			encryption, err := c.keys.Encryption()
			if err != nil {
				t.Fatal(err)
			}
			a, err := encryption.Encrypt(c.said, c.n, 2)
			if err != nil {
				t.Fatal(err)
			}
			bound, err := encryption.Bound(c.n, 2)
			if have := len(a.Encode()); err != nil || bound < have || bound > 8*have+4096 {
				t.Errorf("bound %d for %d bytes, %v", bound, have, err)
			}
		})
	}
}

func TestOthersMayReplace(t *testing.T) {
	for mode, refused := range map[os.FileMode]bool{0o700: false, 0o755: false, 0o777: true, 0o777 | os.ModeSticky: false} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		sink := file(filepath.Join(dir, "keys.json")).Sinks(vaulttest.Env(t))[0]
		err := custody.Put(t.Context(), sink, unsealkeys.NewAnswer(said, 3, 2))
		if !refused {
			if err != nil {
				t.Errorf("%v: %v", mode, err)
			}
			continue
		}
		vaulttest.WantPermanent(t, err, "everybody may replace it", "chmod go-w "+dir)
		if err := os.WriteFile(filepath.Join(dir, "keys.json"), unsealkeys.NewAnswer(said, 3, 2).Encode(), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = sink.Load(t.Context())
		vaulttest.WantPermanent(t, err, "everybody may replace it", "chmod go-w "+dir)
	}
}

// Another name of the key file is removed if a run left it, and named if not. One
// with other keys stays.
func TestOtherNames(t *testing.T) {
	v := vaulttest.Start(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "keys.json")
	s, env := initSpec(v.Address, file), vaulttest.Env(t)
	var warned []string
	env.Warnf = func(format string, args ...any) { warned = append(warned, fmt.Sprintf(format, args...)) }
	if err := initialise(t.Context(), env, s); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file + ".tmp-1", filepath.Join(dir, "backup.json")} {
		if err := os.Link(file, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file+".tmp-2", unsealkeys.NewAnswer(said, 3, 2).Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := initialise(t.Context(), env, s); err != nil {
		t.Fatal(err)
	}
	var left []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := "backup.json keys.json keys.json.tmp-2"; strings.Join(left, " ") != want {
		t.Errorf("there are %v, want %s", left, want)
	}
	text := strings.Join(warned, "\n")
	for _, want := range []string{"keys.json.tmp-2 holds the keys of another Vault", "has 1 more names (hard links)"} {
		if !strings.Contains(text, want) {
			t.Errorf("warnings lack %q:\n%s", want, text)
		}
	}
}
