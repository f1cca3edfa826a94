package release

import (
	"testing"
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
