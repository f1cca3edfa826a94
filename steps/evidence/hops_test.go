package evidence_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/steps/evidence"
)

// at returns a moment of the tests' run.
func at(seconds float64) time.Time {
	return time.Date(2026, 1, 18, 17, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

func names(hops []evidence.Hop) string {
	list := make([]string, len(hops))
	for i, h := range hops {
		list[i] = h.Name
		if h.Order != "" {
			list[i] += "?"
		}
	}
	return strings.Join(list, " ")
}

// The order and the times of hops, in any order in which the run heard of them.
func TestPlaceHops(t *testing.T) {
	run := func(name string, seconds float64) evidence.Hop {
		return evidence.Hop{Name: name, Source: evidence.SourceRun, Seen: at(seconds)}
	}
	seen := func(name string, seconds float64) evidence.Hop {
		return evidence.Hop{Name: name, Seen: at(seconds)}
	}
	clock := evidence.Clock{Least: 10, Most: 10.2, Resolution: 1}
	for _, c := range []struct {
		name  string
		hops  []evidence.Hop
		clock evidence.Clock
		order string
		of    string
		want  evidence.Hop // At, Earliest and Source of the hop
	}{
		{
			"the Secret is heard of before its request", []evidence.Hop{run("asked", 1), seen("secret", 2), seen("requested", 3), seen("signed", 2.5)}, evidence.Clock{},
			"asked requested signed secret", "requested", evidence.Hop{At: at(2), Earliest: at(1), Source: evidence.SourceEffect},
		},
		{
			"the wire is ahead of every watch", []evidence.Hop{run("asked", 1), run("first-on-wire", 2), seen("requested", 3), seen("secret", 4), seen("revision", 3.5)}, evidence.Clock{},
			"asked requested secret first-on-wire revision?", "secret", evidence.Hop{At: at(2), Earliest: at(1), Source: evidence.SourceEffect},
		},
		{
			"a read that does not find it", []evidence.Hop{run("asked", 1), {Name: "secret", Seen: at(3), NotYet: at(2.9)}}, evidence.Clock{},
			"asked secret", "secret", evidence.Hop{At: at(3), Earliest: at(2.9), Source: evidence.SourceObserved},
		},
		{
			"an object's time on a clock that is ahead", []evidence.Hop{run("asked", 1), {Name: "requested", Seen: at(9), Created: at(15)}}, clock,
			"asked requested", "requested", evidence.Hop{At: at(6), Earliest: at(4.8), Source: evidence.SourceObject},
		},
		{
			"the newest write may be a later one", []evidence.Hop{run("asked", 1), {Name: "secret", Seen: at(9), Written: at(15)}}, clock,
			"asked secret", "secret", evidence.Hop{At: at(6), Earliest: at(1), Source: evidence.SourceObject},
		},
		{
			"an object's time that cannot be", []evidence.Hop{run("asked", 8), {Name: "requested", Seen: at(9), Created: at(15)}}, clock,
			"asked requested", "requested", evidence.Hop{At: at(9), Earliest: at(8), Source: evidence.SourceObserved},
		},
		{
			"seen before it was asked for", []evidence.Hop{run("asked", 8), seen("issuing", 7), seen("requested", 9)}, evidence.Clock{},
			"issuing asked requested", "issuing", evidence.Hop{At: at(7), Source: evidence.SourceObserved},
		},
		{
			"only the order of observation is known", []evidence.Hop{run("asked", 1), seen("secret", 2), seen("revision", 3), run("first-on-wire", 4), run("fault", 2.5)}, evidence.Clock{},
			"asked secret fault revision? first-on-wire", "revision", evidence.Hop{At: at(3), Earliest: at(1), Source: evidence.SourceObserved},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			slices.Reverse(c.hops)
			got := evidence.PlaceHops(c.hops, c.clock)
			if names(got) != c.order {
				t.Errorf("order: %s, want %s", names(got), c.order)
			}
			for _, h := range got {
				if h.Name == c.of && (!h.At.Equal(c.want.At) || !h.Earliest.Equal(c.want.Earliest) || h.Source != c.want.Source) {
					t.Errorf("%s: from %s to %s by %q, want from %s to %s by %q", h.Name, h.Earliest, h.At, h.Source, c.want.Earliest, c.want.At, c.want.Source)
				}
			}
			if again := evidence.PlaceHops(got, c.clock); !slices.Equal(again, got) {
				t.Errorf("placed again: %v, want %v", again, got)
			}
		})
	}
}
