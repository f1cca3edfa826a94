package release

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/durable"
)

// A Claim marks a release as being worked on by this process. It is a locked file:
// the operating system drops the lock when the process dies, however it dies,
// so that the next run on this machine can tell a killed run from a slow one.
type Claim struct {
	ID   string
	file *os.File
}

// keepClaims is how long claims of killed runs are kept.
const keepClaims = 30 * 24 * time.Hour

// claims is the directory of the claims of this machine's processes; "" if there is
// none.
type claims string

func claimsOf(env *engine.Env) claims {
	if env.CacheDir == "" {
		return ""
	}
	return claims(filepath.Join(env.CacheDir, "helm", "claims"))
}

// NewClaim makes a claim. Without a cache directory it has no file: other runs then
// wait until its time is over.
func NewClaim(env *engine.Env) Claim { return claimsOf(env).claim() }

func (c claims) claim() Claim {
	cl := Claim{ID: strings.ToLower(rand.Text())}
	if c == "" {
		return cl
	}
	dir := string(c)
	if os.MkdirAll(dir, 0o700) != nil {
		return cl
	}
	sweep(dir)
	f, err := os.OpenFile(filepath.Join(dir, cl.ID), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return cl
	}
	if durable.TryLock(f) != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return cl
	}
	cl.file = f
	return cl
}

// End gives the claim up. done means that the release was recorded: the claim is not
// needed any more.
func (cl Claim) End(done bool) {
	if cl.file == nil {
		return
	}
	if done {
		_ = os.Remove(cl.file.Name())
	}
	_ = cl.file.Close()
}

// gone reports whether the process that made the claim id is known to be dead. It is
// false for a claim that was made elsewhere.
func (c claims) gone(id string) bool {
	if c == "" || id == "" || strings.ContainsAny(id, `/\.`) {
		return false
	}
	f, err := os.OpenFile(filepath.Join(string(c), id), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return durable.TryLock(f) == nil
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
