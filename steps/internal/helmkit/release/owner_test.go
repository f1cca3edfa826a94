package release

import (
	"testing"
)

func TestClaims(t *testing.T) {
	c := claims(t.TempDir())
	cl := c.claim()
	if got := c.owner(cl.ID); got != alive {
		t.Errorf("while it is held: %d, want alive", got)
	}
	if got := claims(t.TempDir()).owner(cl.ID); got != unknown {
		t.Errorf("on another machine: %d, want unknown", got)
	}
	cl.End(false) // as the death of the process does
	if got := c.owner(cl.ID); got != gone {
		t.Errorf("after it was dropped: %d, want gone", got)
	}
	done := c.claim()
	done.End(true)
	if got := c.owner(done.ID); got != unknown {
		t.Errorf("after it ended well: %d, want unknown", got)
	}
	if got := c.owner("../../etc/passwd"); got != unknown {
		t.Errorf("a claim that is a path: %d, want unknown", got)
	}
	none := claims("").claim()
	none.End(false)
	if none.ID == "" || claims("").owner(none.ID) != unknown {
		t.Error("without a cache a claim has a name and nothing else")
	}
}
