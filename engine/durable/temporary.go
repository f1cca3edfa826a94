package durable

import (
	"os"
	"path/filepath"
	"strings"
)

// The names of temporary files, which nothing else has: those of a killed process are
// removed.
const temporarySuffix = ".ztplan-tmp"

func temporaryPrefix(name string) string { return "." + filepath.Base(name) + "-" }

// createTemp creates a temporary file beside name and locks it, so that removeAbandoned of
// another process leaves it. Where there are no locks, nothing is removed.
func createTemp(name string) (f *os.File, locked bool, err error) {
	for {
		f, err := os.CreateTemp(filepath.Dir(name), temporaryPrefix(name)+"*"+temporarySuffix)
		if err != nil {
			return nil, false, err
		}
		if Lock(f) != nil {
			return f, false, nil
		}
		if is(f, f.Name()) {
			return f, true, nil
		}
		_ = f.Close() // removed before it was locked
	}
}

// removeAbandoned removes the temporary files beside name that no process has locked.
// Errors are ignored: the file itself is written.
func removeAbandoned(name string) {
	entries, err := os.ReadDir(filepath.Dir(name))
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), temporaryPrefix(name)) && strings.HasSuffix(e.Name(), temporarySuffix) {
			removeUnlocked(filepath.Join(filepath.Dir(name), e.Name()))
		}
	}
}

func removeUnlocked(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	if TryLock(f) == nil && is(f, path) {
		_ = os.Remove(path)
	}
}

// is reports whether path still names the open file.
func is(f *os.File, path string) bool {
	a, err := f.Stat()
	b, err2 := os.Lstat(path)
	return err == nil && err2 == nil && os.SameFile(a, b)
}
