package helmkit

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A claim says that this process is at work on a release. It is a locked file:
// the operating system drops the lock when the process dies, however it dies,
// so that the next run on this machine can tell a killed run from a slow one.
type claim struct {
	id   string
	file *os.File
}

type ownerState int

const (
	unknown ownerState = iota // the claim was made elsewhere
	alive
	gone
)

// keepClaims is how long claims of killed runs are kept.
const keepClaims = 30 * 24 * time.Hour

// claim makes a claim. Without a cache it only has a name, and only time tells
// others that its owner is gone.
func (c cache) claim() claim {
	cl := claim{id: strings.ToLower(rand.Text())}
	if c == "" {
		return cl
	}
	dir := filepath.Join(string(c), "claims")
	if os.MkdirAll(dir, 0o700) != nil {
		return cl
	}
	sweep(dir)
	f, err := os.OpenFile(filepath.Join(dir, cl.id), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return cl
	}
	if !lock(f) {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return cl
	}
	cl.file = f
	return cl
}

// end gives the claim up. done says that the release was recorded, so that
// nobody will ask for the claim any more.
func (cl claim) end(done bool) {
	if cl.file == nil {
		return
	}
	if done {
		_ = os.Remove(cl.file.Name())
	}
	_ = cl.file.Close()
}

// owner tells what became of whoever made the claim id.
func (c cache) owner(id string) ownerState {
	if c == "" || id == "" || strings.ContainsAny(id, `/\.`) {
		return unknown
	}
	f, err := os.OpenFile(filepath.Join(string(c), "claims", id), os.O_RDWR, 0)
	if err != nil {
		return unknown
	}
	defer f.Close()
	if lock(f) {
		return gone
	}
	return alive
}

func sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > keepClaims {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
