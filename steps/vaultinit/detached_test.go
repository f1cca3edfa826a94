package vaultinit_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/vaultinit"
)

// detached runs the body of the process at the other end of a connection. It
// returns the text that it writes to standard error.
func detached(t *testing.T, env *engine.Env) *bytes.Buffer {
	t.Helper()
	last := new(bytes.Buffer)
	env.Detach = func(name string, note *os.File) (io.ReadWriteCloser, error) {
		if name != vaultinit.Detached || note == nil {
			t.Errorf("asked to do %s with %v", name, note)
		}
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			_ = vaultinit.Serve(there, last)
		}()
		return here, nil
	}
	return last
}

// A process of its own gives the same as this one: outputs, secrets, and the
// shares of custodians.
func TestDetached(t *testing.T) {
	for name, custodians := range map[string]bool{"clear": false, "custodians": true} {
		t.Run(name, func(t *testing.T) {
			v := vaulttest.Start(t)
			file := filepath.Join(t.TempDir(), "keys.json")
			s, want := newSpec(v.Address, file), 11
			if custodians {
				s, _ = newAgeSpec(t, v.Address, file)
				want = 7
			}
			env := vaulttest.Env(t)
			last := detached(t, env)
			var secrets []engine.Secret
			env.Conceal = func(all ...engine.Secret) { secrets = append(secrets, all...) }
			_, edits, err := s.Inspect(t.Context(), env)
			if err == nil {
				err = vaulttest.ApplyAll(t, edits)
			}
			if err != nil || len(secrets) != want || last.Len() > 0 {
				t.Fatalf("%v; %d secrets are concealed, want %d; it said %q", err, len(secrets), want, last)
			}
			out, edits, err := s.Inspect(t.Context(), env)
			if err != nil || len(edits) > 0 || out.RootToken.IsZero() {
				t.Errorf("%v, %v", vaulttest.Show(edits), err)
			}
		})
	}
}

// An error there has the same text, hint and verdict.
func TestDetachedFails(t *testing.T) {
	v := vaulttest.Start(t)
	s := newSpec(v.Address, filepath.Join(t.TempDir(), "none", "keys.json"))
	env := vaulttest.Env(t)
	detached(t, env)
	_, edits, err := s.Inspect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	vaulttest.WantPermanent(t, vaulttest.ApplyAll(t, edits), "does not exist", "mkdir -p")
	t.Run("no process", func(t *testing.T) {
		s := newSpec(v.Address, filepath.Join(t.TempDir(), "keys.json"))
		var warned []string
		env := vaulttest.Env(t)
		env.Detach = func(string, *os.File) (io.ReadWriteCloser, error) { return nil, errors.New("too many processes") }
		env.Warnf = func(format string, _ ...any) { warned = append(warned, format) }
		_, edits, err := s.Inspect(t.Context(), env)
		if err == nil {
			err = vaulttest.ApplyAll(t, edits)
		}
		if err != nil || len(warned) != 1 || !strings.Contains(warned[0], "lost if it is killed") {
			t.Errorf("%v, warned: %q", err, warned)
		}
	})
}

// While another process is at it, a run waits for it.
func TestBusy(t *testing.T) {
	v := vaulttest.Start(t)
	s, env := newSpec(v.Address, filepath.Join(t.TempDir(), "keys.json")), vaulttest.Env(t)
	held, err := s.Keys.Pending(env).Begin(t.Context(), env, v.Address)
	if err != nil {
		t.Fatal(err)
	}
	_, edits, err := s.Inspect(t.Context(), env)
	if err != nil || len(edits) != 1 || edits[0].Apply != nil {
		t.Fatalf("%v, %v", vaulttest.Show(edits), err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if err := edits[0].Await(t.Context()); err != nil {
		t.Fatal(err)
	}
	converge(t, s)
}
