//go:build unix

package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

func writeInput(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The checked content is used, even if the file changes.
func TestInputsReadOnce(t *testing.T) {
	dir := t.TempDir()
	in := engine.NewInputs(t.Context())
	f := in.File(dir, "m.yaml")
	if _, err := f.Read(); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("error is %v", err)
	}
	writeInput(t, f.Path, "one")
	for _, text := range []string{"one", "two"} {
		writeInput(t, f.Path, text)
		if b, err := f.Read(); err != nil || string(b) != "one" {
			t.Errorf("with %q in the file, read %q: %v", text, b, err)
		}
	}
	if b, err := (engine.File{Name: "m.yaml", Path: f.Path}).Read(); err != nil || string(b) != "two" {
		t.Errorf("a file of no plan: %q: %v", b, err)
	}
}

func TestInputsRefuseWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe, large := filepath.Join(dir, "pipe"), filepath.Join(dir, "large")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	writeInput(t, large, "")
	if err := os.Truncate(large, 1<<30); err != nil {
		t.Fatal(err)
	}
	in := engine.NewInputs(t.Context())
	for path, want := range map[string]string{
		pipe:        "read " + pipe + ": is a pipe",
		large:       "read " + large + ": has 1073741824 bytes, and at most 16777216 (16 MiB) are read",
		dir:         "is a directory",
		"/dev/zero": "is a device",
	} {
		if _, err := in.Read(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", path, err, want)
		}
		if path == pipe {
			continue
		}
		if _, err := in.ReadGiven(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s on the command line: error is %v, want %q", path, err, want)
		}
	}
}

func TestInputsReadPipesOfTheCommandLine(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(pipe, []byte("text"), 0) }()
	in := engine.NewInputs(t.Context())
	for range 2 {
		if b, err := in.ReadGiven(pipe); err != nil || string(b) != "text" {
			t.Fatalf("read %q: %v", b, err)
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if err := in.Exposed(pipe); err != nil {
		t.Error(err)
	}

	// There is no writer: an interrupt ends it.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := engine.NewInputs(ctx).ReadGiven(pipe); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	// Let the reader that was left behind end.
	w, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
}

func TestInputsExposed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	writeInput(t, path, "key")
	for mode, want := range map[os.FileMode]string{0o600: "", 0o400: "", 0o644: "(mode 0644)", 0o666: "(mode 0666)", 0o620: "(mode 0620)"} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		err := engine.NewInputs(t.Context()).Exposed(path)
		switch {
		case want == "" && err != nil:
			t.Errorf("mode %04o: %v", mode, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(engine.HintOf(err), "chmod 600 ")):
			t.Errorf("mode %04o: error is %v", mode, err)
		}
	}
}

func TestInputFiles(t *testing.T) {
	type nested struct {
		CA engine.File `check:"required,exists"`
	}
	spec := &struct {
		Files  []engine.File `check:"exists"`
		Sink   engine.File
		Nested *nested
		Any    any
		None   engine.File `check:"exists"`
	}{
		Files: []engine.File{{Name: "b"}, {Name: "a"}, {Name: "b"}}, Sink: engine.File{Name: "sink"},
		Nested: &nested{engine.File{Name: "ca"}},
	}
	var names []string
	for _, f := range engine.InputFiles(spec) {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "a b ca" {
		t.Errorf("files %s", got)
	}
}
