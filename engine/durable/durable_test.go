//go:build unix

package durable_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ztplan/ztplan/engine/durable"
)

// The file is replaced whole and has the mode, over any other file, and nothing is
// left beside it. A link is replaced: its target keeps its content.
func TestWriteFile(t *testing.T) {
	dir, target := t.TempDir(), filepath.Join(t.TempDir(), "target")
	if err := os.WriteFile(target, []byte("target"), 0o644); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "file")
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
	for mode, text := range map[os.FileMode]string{0o600: "one", 0o644: "other"} {
		if err := durable.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(name)
		if data, _ := os.ReadFile(name); err != nil || string(data) != text || info.Mode() != mode {
			t.Errorf("%v, %v: %q", err, info.Mode(), data)
		}
	}
	if data, _ := os.ReadFile(target); string(data) != "target" {
		t.Errorf("the link was followed: %q", data)
	}
	wantAlone(t, dir)
}

// Temporary files of a killed process go with the next write; those that a living one
// has locked, and files of other names, stay.
func TestWriteFileAfterAKill(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".file-1.ztplan-tmp", ".file-2.ztplan-tmp", ".file-3", ".files-4.ztplan-tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	living, err := os.Open(filepath.Join(dir, ".file-2.ztplan-tmp"))
	if err != nil {
		t.Fatal(err)
	}
	defer living.Close()
	if err := durable.Lock(living); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{".file-2.ztplan-tmp", ".file-3", ".files-4.ztplan-tmp", "file"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("there are %q, %v, want %q", names, err, want)
	}
}

// A file that cannot be replaced stays as it is, and nothing is left beside it.
func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "file"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600); err == nil {
		t.Error("a directory was replaced")
	}
	wantAlone(t, dir)
}

func wantAlone(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

// An open file of the same name is another owner of the lock, in one process too.
func TestLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	open := func() *os.File {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	first, second := open(), open()
	if durable.Locked(name) {
		t.Error("locked before anything was locked")
	}
	if err := durable.Lock(first); err != nil {
		t.Fatal(err)
	}
	if !durable.Locked(name) || !errors.Is(durable.TryLock(second), durable.ErrLocked) {
		t.Error("the lock does not hold")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if durable.Locked(name) || durable.TryLock(second) != nil {
		t.Error("the lock outlives its file")
	}
	if durable.Locked(name + ".none") {
		t.Error("a file that does not exist is locked")
	}
}
