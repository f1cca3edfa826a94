package release

import (
	"os"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
)

func TestClaims(t *testing.T) {
	c := claims(t.TempDir())
	cl := c.claim()
	if got := c.gone(cl.ID); got {
		t.Errorf("while it is held: gone is %v", got)
	}
	if got := claims(t.TempDir()).gone(cl.ID); got {
		t.Errorf("on another machine: gone is %v", got)
	}
	cl.End(false) // as the death of the process does
	if got := c.gone(cl.ID); !got {
		t.Errorf("after it was dropped: gone is %v", got)
	}
	done := c.claim()
	done.End(true)
	if got := c.gone(done.ID); got {
		t.Errorf("after it ended well: gone is %v", got)
	}
	if got := c.gone("../../etc/passwd"); got {
		t.Errorf("a claim that is a path: gone is %v", got)
	}
	none := claims("").claim()
	none.End(false)
	if none.ID == "" || claims("").gone(none.ID) {
		t.Error("without a cache a claim has a name and nothing else")
	}
}

// Claims of runs that were killed long ago are removed, and no others.
func TestOldClaimsAreRemoved(t *testing.T) {
	env := &engine.Env{CacheDir: t.TempDir()}
	c := claimsOf(env)
	killed, recent := c.claim(), c.claim()
	killed.End(false)
	recent.End(false)
	old := time.Now().Add(-keepClaims - time.Hour)
	if err := os.Chtimes(killed.file.Name(), old, old); err != nil {
		t.Fatal(err)
	}
	next := NewClaim(env)
	defer next.End(true)
	if next.ID == killed.ID || next.ID == recent.ID {
		t.Error("two claims have one name")
	}
	for name, claim := range map[string]struct {
		Claim
		want bool
	}{"an old one": {killed, false}, "a recent one": {recent, true}, "the new one": {next, true}} {
		if _, err := os.Stat(claim.file.Name()); (err == nil) != claim.want {
			t.Errorf("%s is there: %v", name, err == nil)
		}
	}
	if NewClaim(&engine.Env{}).file != nil || claimsOf(&engine.Env{}).gone(killed.ID) {
		t.Error("without a cache directory there are claims")
	}
	if c.gone("") || c.gone(".") || c.gone("a/../"+recent.ID) {
		t.Error("what is no name of a claim is gone")
	}
}
