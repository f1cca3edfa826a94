package vaultinit_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/vaultinit"
)

func isInit(r vaulttest.Request) bool { return r.Write() && r.Path == "sys/init" }

// victim makes this test binary a process that initialises the Vault at this
// address with this file, to be killed.
const victim = "ZTPLAN_TEST_VICTIM"

// TestVictim is the body of the process to be killed.
func TestVictim(t *testing.T) {
	address, file, ok := strings.Cut(os.Getenv(victim), " ")
	if !ok {
		t.Skip("is for the process that TestKilledInTheWindow kills")
	}
	_ = apply(t, newSpec(address, file))
}

// initialise runs a process that initialises Vault; answered is called with it at
// the moment when Vault has answered and the answer has not arrived.
func initialise(t *testing.T, p *vaulttest.Proxy, file string, answered func(*os.Process)) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$")
	cmd.Env = append(os.Environ(), victim+"="+p.Address+" "+file)
	started := make(chan struct{})
	p.After(isInit, func() { <-started; answered(cmd.Process) })
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	_ = cmd.Wait()
	if err := p.Unused(); err != nil {
		t.Fatal(err)
	}
}

// note leaves the note of a run that was killed.
func note(t *testing.T, s *vaultinit.Spec) {
	t.Helper()
	env := vaulttest.Env(t)
	f, err := s.Keys.Pending(env).Begin(t.Context(), env, s.Vault.Address)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A process that dies between Vault's answer and the sink loses the keys. The
// next run reports exactly that, and starting over works.
func TestKilledInTheWindow(t *testing.T) {
	v := vaulttest.Start(t)
	p := vaulttest.NewProxy(t, v.Address)
	dir := t.TempDir()
	file := filepath.Join(dir, "keys.json")
	before := time.Now().Add(-2 * time.Second)
	initialise(t, p, file, func(victim *os.Process) {
		_ = victim.Kill()
		_, _ = victim.Wait()
	})
	s := newSpec(p.Address, file)
	_, _, err := s.Inspect(t.Context(), vaulttest.Env(t))
	vaulttest.WantPermanent(t, err, "vault is initialised, and its keys are not there: file keys.json does not exist, nor is there an emergency file: "+
		"a run of plan lab, step step, began to initialise it at ", "the keys of this Vault are lost, and nothing is stored in it yet")
	_, at, _ := strings.Cut(err.Error(), "initialise it at ")
	at, _, _ = strings.Cut(at, ",")
	if began, err := time.Parse(time.RFC3339, at); err != nil || began.Before(before) || began.After(time.Now()) {
		t.Errorf("it says that it began at %s: %v", at, err)
	}

	// Starting over: a Vault without data, and the same plan.
	again := newSpec(vaulttest.Start(t).Address, file)
	converge(t, again)
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// It was initialised again after such a run: the error is not that the keys
// are lost.
func TestInitialisedByOthersAfterwards(t *testing.T) {
	v := vaulttest.Start(t)
	s := newSpec(v.Address, filepath.Join(t.TempDir(), "keys.json"))
	note(t, s)
	if err := v.Init(); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, s, "but it is unsealed, so its keys exist", "find who initialised it")
}

// A run that is killed after the answer is stored leaves its note, or an emergency
// file whose keys are in their place: the next run removes them.
func TestLeftBehind(t *testing.T) {
	v := vaulttest.Start(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "keys.json")
	s := newSpec(v.Address, file)
	converge(t, s)
	env := vaulttest.Env(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file+".emergency", 0o600, string(text))
	note(t, s)
	_, edits, err := s.Inspect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"keys/file keys.json.emergency: left behind -> <nil>", "keys/file keys.json.pending: left behind -> <nil>"}
	if diff := cmp.Diff(want, vaulttest.Show(edits)); diff != "" {
		t.Error(diff)
	}
	converge(t, s)
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}

	t.Run("keys of another vault", func(t *testing.T) {
		write(t, file+".emergency", 0o600, `{"keys":["00aa"],"root_token":"hvs.planted"}`)
		warned := false
		env := vaulttest.Env(t)
		env.Warnf = func(string, ...any) { warned = true }
		_, edits, err := s.Inspect(t.Context(), env)
		if err != nil || len(edits) > 0 || !warned {
			t.Errorf("%v, %v, warned: %v", vaulttest.Show(edits), err, warned)
		}
	})
}

// The emergency file of another Vault is in the way of the next one.
func TestEmergencyOfAnotherVault(t *testing.T) {
	v := vaulttest.Start(t)
	s := newSpec(v.Address, filepath.Join(t.TempDir(), "keys.json"))
	write(t, s.Keys.File.Path+".emergency", 0o600, `{"keys":["00aa"],"root_token":"hvs.planted"}`)
	wantRefusal(t, s, "file keys.json.emergency: is there, and would be needed", "move it away, but keep it")
}

// A request that Vault refuses leaves no note.
func TestRefusedLeavesNoNote(t *testing.T) {
	v := vaulttest.Start(t)
	p := vaulttest.NewProxy(t, v.Address)
	p.Answer(400, `{"errors":["no"]}`, isInit)
	s := newSpec(p.Address, filepath.Join(t.TempDir(), "keys.json"))
	if err := apply(t, s); err == nil {
		t.Error("no error")
	}
	if left, _ := os.ReadDir(filepath.Dir(s.Keys.File.Path)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
