package vaultinit_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/vaultinit"
)

func newSpec(address, file string) *vaultinit.Spec {
	s := vaultinit.Kind.New().(*vaultinit.Spec)
	s.Vault.Address = address
	s.Keys.File = engine.File{Name: filepath.Base(file), Path: file}
	return s
}

func apply(t *testing.T, s *vaultinit.Spec) error {
	t.Helper()
	_, edits, err := s.Inspect(t.Context(), vaulttest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return vaulttest.ApplyAll(t, edits)
}

func converge(t *testing.T, s *vaultinit.Spec) vaultinit.Outputs {
	t.Helper()
	if err := apply(t, s); err != nil {
		t.Fatal(err)
	}
	out, edits, err := s.Inspect(t.Context(), vaulttest.Env(t))
	if err != nil || len(edits) > 0 {
		t.Fatalf("still differs: %v, %v", vaulttest.Show(edits), err)
	}
	return out
}

// wantRefusal looks and requires a permanent error and its hint.
func wantRefusal(t *testing.T, s *vaultinit.Spec, want, hint string) {
	t.Helper()
	_, _, err := s.Inspect(t.Context(), vaulttest.Env(t))
	vaulttest.WantPermanent(t, err, want, hint)
}

func TestContract(t *testing.T) {
	v := vaulttest.Start(t)
	p := vaulttest.NewProxy(t, v.Address)
	file := filepath.Join(t.TempDir(), "keys.json")
	enginetest.Run(t, enginetest.Case{
		Kind:   vaultinit.Kind,
		Env:    vaulttest.Env(t),
		Spec:   func() any { return newSpec(p.Address, file) },
		Writes: p.Writes,
	})
}

func TestStoresTheKeys(t *testing.T) {
	v := vaulttest.Start(t)
	file := filepath.Join(t.TempDir(), "keys.json")
	out := converge(t, newSpec(v.Address, file))

	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`"unseal_keys_b64": [`, `"unseal_keys_hex": [`, `"unseal_shares": 5`, `"unseal_threshold": 3`, `"recovery_keys_b64": []`, `"root_token": "hvs.`} {
		if !strings.Contains(string(text), key) {
			t.Errorf("the file lacks %s", key)
		}
	}
	answer, err := unsealkeys.Decode(text)
	if err != nil || len(answer.Distinct()) != 5 || !answer.RootToken.Equal(out.RootToken) {
		t.Errorf("the file holds %d shares: %v", len(answer.Distinct()), err)
	}
	if out.Shares != 5 || out.Threshold != 3 || out.Keys != "file keys.json" {
		t.Errorf("outputs: %+v", out)
	}
	if left, _ := os.ReadDir(filepath.Dir(file)); len(left) != 1 {
		t.Errorf("beside the file are: %v", left)
	}

	// The keys open the Vault and the token works.
	v.Token = out.RootToken.Reveal()
	for _, s := range answer.Shares {
		v.Shares = append(v.Shares, s.Reveal())
	}
	if err := v.Unseal(); err != nil {
		t.Fatal(err)
	}
	v.Do(t, "GET", "auth/token/lookup-self", "")
}

func TestRefusesBeforeInitialising(t *testing.T) {
	v := vaulttest.Start(t)
	p := vaulttest.NewProxy(t, v.Address)
	dir := t.TempDir()
	t.Run("keys of another vault", func(t *testing.T) {
		file := filepath.Join(dir, "other.json")
		write(t, file, 0o600, `{"keys":["00aa"],"root_token":"hvs.planted"}`)
		wantRefusal(t, newSpec(p.Address, file), "they belong to another Vault", "move them away")
	})
	t.Run("damaged", func(t *testing.T) {
		file := filepath.Join(dir, "damaged.json")
		write(t, file, 0o600, `{"keys":["00aa"`)
		wantRefusal(t, newSpec(p.Address, file), "damaged.json: is not the JSON of", "restore the file")
	})
	t.Run("empty", func(t *testing.T) {
		file := filepath.Join(dir, "empty.json")
		write(t, file, 0o600, "")
		wantRefusal(t, newSpec(p.Address, file), "empty.json: is not the JSON of", "move it away")
	})
	t.Run("readable by others", func(t *testing.T) {
		file := filepath.Join(dir, "open.json")
		write(t, file, 0o644, `{"keys":["00aa"],"root_token":"hvs.planted"}`)
		wantRefusal(t, newSpec(p.Address, file), "open to others (mode 0644)", "chmod 600 "+file)
	})
	t.Run("no directory", func(t *testing.T) {
		err := apply(t, newSpec(p.Address, filepath.Join(dir, "none", "keys.json")))
		vaulttest.WantPermanent(t, err, "does not exist", "mkdir -p")
	})
	t.Run("directory in the place of the file", func(t *testing.T) {
		wantRefusal(t, newSpec(p.Address, dir), "is not a file", "")
	})
	t.Run("not writable", func(t *testing.T) {
		if os.Geteuid() == 0 {
			t.Skip("root writes anywhere")
		}
		sealed := filepath.Join(dir, "sealed")
		if err := os.Mkdir(sealed, 0o500); err != nil {
			t.Fatal(err)
		}
		err := apply(t, newSpec(p.Address, filepath.Join(sealed, "keys.json")))
		vaulttest.WantPermanent(t, err, "cannot be written", "may write")
	})
	if n := p.Writes(); n != 0 {
		t.Errorf("vault saw %d writes: %v", n, p.Requests())
	}
	if got := v.Do(t, "GET", "sys/init", ""); got["initialized"] == true {
		t.Error("vault is initialised")
	}
}

func write(t *testing.T, file string, mode os.FileMode, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
}

func TestGit(t *testing.T) {
	git := func(dir string, args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, text)
		}
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git")
	}
	v := vaulttest.Start(t)
	root := t.TempDir()
	git(root, "init", "--quiet")
	dir := filepath.Join(root, "plans")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "keys.json")
	s := newSpec(v.Address, file)
	wantRefusal(t, s, "lies in the git work tree", "add the line /plans/keys.json* to "+filepath.Join(root, ".gitignore"))
	write(t, filepath.Join(root, ".gitignore"), 0o644, "/plans/keys.json*\n")
	converge(t, s)

	t.Run("not ignored any more", func(t *testing.T) {
		write(t, filepath.Join(root, ".gitignore"), 0o644, "\n")
		wantRefusal(t, s, "is not ignored", "add the line")
	})
	t.Run("tracked", func(t *testing.T) {
		git(root, "add", "plans/keys.json")
		wantRefusal(t, s, "is tracked by git", "rm --cached keys.json")
	})
}

func TestRefusesAfterwards(t *testing.T) {
	v := vaulttest.Start(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "keys.json")
	s := newSpec(v.Address, file)
	converge(t, s)

	t.Run("other numbers", func(t *testing.T) {
		s := *s
		s.Shares, s.Threshold = 7, 4
		wantRefusal(t, &s, "vault has 5 shares with a threshold of 3, and the plan asks for 7 and 4", "set shares: 5 and threshold: 3")
	})
	t.Run("keys gone", func(t *testing.T) {
		if err := os.Rename(file, file+".away"); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, s, file+".away: holds keys of a Vault", "delete nothing of Vault")
		if err := os.Rename(file+".away", filepath.Join(t.TempDir(), "away")); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, s, "vault is initialised, and its keys are not there: file keys.json does not exist", "stop it, delete its data, start it")
	})
}

// The API's own answer, saved by hand, serves as well.
func TestReadsTheAPIsShape(t *testing.T) {
	v := vaulttest.Start(t)
	if err := v.Init(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	write(t, file, 0o600, `{"keys":["`+v.Shares[0]+`"],"keys_base64":[],"root_token":"`+v.Token+`"}`)
	s := newSpec(v.Address, file)
	s.Shares, s.Threshold = 1, 1
	if out := converge(t, s); out.RootToken.Reveal() != v.Token {
		t.Error("not the token in the file")
	}
}

// The answer of the initialisation is lost on its way. The error is the same then and
// later, and there is no second try.
func TestLostAnswer(t *testing.T) {
	v := vaulttest.Start(t)
	p := vaulttest.NewProxy(t, v.Address)
	p.LoseAnswer(func(r vaulttest.Request) bool { return r.Write() && r.Path == "sys/init" })
	s := newSpec(p.Address, filepath.Join(t.TempDir(), "keys.json"))
	err := apply(t, s)
	vaulttest.WantPermanent(t, err, "its answer with the keys was lost", "delete its data")
	wantRefusal(t, s, "file keys.json does not exist", "stop it, delete its data, start it")
}

// A request that never arrives is simply tried again.
func TestLostRequest(t *testing.T) {
	v := vaulttest.Start(t)
	p := vaulttest.NewProxy(t, v.Address)
	p.LoseRequest(func(r vaulttest.Request) bool { return r.Write() && r.Path == "sys/init" })
	s := newSpec(p.Address, filepath.Join(t.TempDir(), "keys.json"))
	if err := apply(t, s); err == nil || errors.Is(err, engine.ErrPermanent) {
		t.Fatalf("error is %v, want one that another try may cure", err)
	}
	converge(t, s)
}

// The sink fails between its proof and the answer: the keys go to the emergency
// file, and the next run moves them.
func TestEmergency(t *testing.T) {
	v := vaulttest.Start(t)
	p := vaulttest.NewProxy(t, v.Address)
	dir := t.TempDir()
	file := filepath.Join(dir, "keys.json")
	// The request passes: at that moment another process takes the place.
	p.Before(func(r vaulttest.Request) bool { return r.Write() && r.Path == "sys/init" }, func() {
		if err := os.Mkdir(file, 0o700); err != nil {
			t.Error(err)
		}
	})
	s := newSpec(p.Address, file)
	err := apply(t, s)
	vaulttest.WantPermanent(t, err, "the keys could not be stored and are in file keys.json.emergency", "run again")
	info, err := os.Stat(file + ".emergency")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("emergency file: %v, %v", info, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	_, edits, err := s.Inspect(t.Context(), vaulttest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"keys/file keys.json: <nil> -> (secret)"}, vaulttest.Show(edits)); diff != "" {
		t.Error(diff)
	}
	converge(t, s)
	if left, _ := os.ReadDir(dir); len(left) != 1 || left[0].Name() != "keys.json" {
		t.Errorf("left behind: %v", left)
	}
}

func TestUnreachable(t *testing.T) {
	s := newSpec("http://127.0.0.1:1", filepath.Join(t.TempDir(), "keys.json"))
	_, _, err := s.Inspect(t.Context(), vaulttest.Env(t))
	if err == nil || errors.Is(err, engine.ErrPermanent) || !strings.Contains(engine.HintOf(err), "does Vault run there") {
		t.Errorf("%v (%s)", err, engine.HintOf(err))
	}
	want := "read sys/seal-status at http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused"
	if got := err.Error(); got != want {
		t.Errorf("error is %q, want %q", got, want)
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		shares, threshold int
		field             string
	}{
		"more than there are": {3, 4, "threshold"},
		"one of many":         {3, 1, "threshold"},
		"fine":                {1, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpec("http://127.0.0.1:1", "keys.json")
			s.Shares, s.Threshold = c.shares, c.threshold
			p := &engine.Problems{}
			s.Validate(p)
			got := ""
			for _, problem := range p.List() {
				got += problem.Field
			}
			if got != c.field {
				t.Errorf("problem with %q, want %q", got, c.field)
			}
		})
	}
	p := &engine.Problems{}
	vaultinit.Kind.New().(*vaultinit.Spec).Validate(p)
	if len(p.List()) != 1 || p.List()[0].Field != "keys" {
		t.Errorf("problems: %v", p.List())
	}
}
