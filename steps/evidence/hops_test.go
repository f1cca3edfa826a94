package evidence_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

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

// What is known of the order and of the time of hops, whatever the run heard of
// first.
func TestPlaceHops(t *testing.T) {
	run := func(name string, at float64) evidence.Hop {
		return evidence.Hop{Name: name, Source: evidence.SourceRun, Seen: after(at)}
	}
	seen := func(name string, at float64) evidence.Hop { return evidence.Hop{Name: name, Seen: after(at)} }
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
			"asked requested signed secret", "requested", evidence.Hop{At: after(2), Earliest: after(1), Source: evidence.SourceEffect},
		},
		{
			"the wire is ahead of every watch", []evidence.Hop{run("asked", 1), run("first-on-wire", 2), seen("requested", 3), seen("secret", 4), seen("revision", 3.5)}, evidence.Clock{},
			"asked requested secret first-on-wire revision?", "secret", evidence.Hop{At: after(2), Earliest: after(1), Source: evidence.SourceEffect},
		},
		{
			"a read that does not find it", []evidence.Hop{run("asked", 1), {Name: "secret", Seen: after(3), NotYet: after(2.9)}}, evidence.Clock{},
			"asked secret", "secret", evidence.Hop{At: after(3), Earliest: after(2.9), Source: evidence.SourceObserved},
		},
		{
			"an object's time on a clock that is ahead", []evidence.Hop{run("asked", 1), {Name: "requested", Seen: after(9), Created: after(15)}}, clock,
			"asked requested", "requested", evidence.Hop{At: after(6), Earliest: after(4.8), Source: evidence.SourceObject},
		},
		{
			"the newest write may be a later one", []evidence.Hop{run("asked", 1), {Name: "secret", Seen: after(9), Written: after(15)}}, clock,
			"asked secret", "secret", evidence.Hop{At: after(6), Earliest: after(1), Source: evidence.SourceObject},
		},
		{
			"an object's time that cannot be", []evidence.Hop{run("asked", 8), {Name: "requested", Seen: after(9), Created: after(15)}}, clock,
			"asked requested", "requested", evidence.Hop{At: after(9), Earliest: after(8), Source: evidence.SourceObserved},
		},
		{
			"seen before it was asked for", []evidence.Hop{run("asked", 8), seen("issuing", 7), seen("requested", 9)}, evidence.Clock{},
			"issuing asked requested", "issuing", evidence.Hop{At: after(7), Source: evidence.SourceObserved},
		},
		{
			"only the order of observation is known", []evidence.Hop{run("asked", 1), seen("secret", 2), seen("revision", 3), run("first-on-wire", 4), run("fault", 2.5)}, evidence.Clock{},
			"asked secret fault revision? first-on-wire", "revision", evidence.Hop{At: after(3), Earliest: after(1), Source: evidence.SourceObserved},
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

// placed is a rotation whose hops say what they are placed by.
func (w *world) placed() evidence.Rotation {
	r := w.rotation(0)
	for i := range r.Hops {
		h := &r.Hops[i]
		h.Seen = h.At
		switch h.Name {
		case "issuing", "requested", "approved", "signed", "revision":
		case "secret":
			h.NotYet = h.At.Add(-100 * time.Millisecond)
		default:
			h.Source = evidence.SourceRun
		}
	}
	r.Clock = evidence.Clock{Least: -0.2, Most: 0.3, Resolution: 1}
	r.Hops = evidence.PlaceHops(r.Hops, r.Clock)
	for i := range r.Rules {
		if r.Rules[i].Name == "maxSwitch" {
			r.Rules[i].Saw = 1.5 // from the read that did not find it
		}
	}
	return r
}

// verify computes again where hops belong and how long the switch took at most.
func TestPlacedHopsAreVerified(t *testing.T) {
	hop := func(r *evidence.Rotation, name string) *evidence.Hop {
		return &r.Hops[slices.IndexFunc(r.Hops, func(h evidence.Hop) bool { return h.Name == name })]
	}
	for name, c := range map[string]struct {
		change func(*evidence.Rotation)
		want   string
	}{
		"good":         {func(*evidence.Rotation) {}, ""},
		"later":        {func(r *evidence.Rotation) { hop(r, "signed").At = hop(r, "secret").At }, "is not what was observed"},
		"not earlier":  {func(r *evidence.Rotation) { hop(r, "secret").Earliest = hop(r, "secret").At }, "is not what was observed"},
		"another read": {func(r *evidence.Rotation) { hop(r, "secret").NotYet = hop(r, "secret").At }, "is not what was observed"},
		"source":       {func(r *evidence.Rotation) { hop(r, "secret").Source = evidence.SourceObject }, "is not what was observed"},
		"certain":      {func(r *evidence.Rotation) { hop(r, "approved").Order = evidence.OrderObserved }, "is not what was observed"},
		"swapped":      {func(r *evidence.Rotation) { r.Hops[1], r.Hops[2] = r.Hops[2], r.Hops[1] }, "is not what was observed"},
		"clock":        {func(r *evidence.Rotation) { r.Clock.Least = 1 }, "clock is ahead by 1 s to 0.3 s"},
		"only as observed": {func(r *evidence.Rotation) {
			r.Rules[slices.IndexFunc(r.Rules, func(r evidence.Rule) bool { return r.Name == "maxSwitch" })].Saw = 1.4
		}, "the switch took 1.500 s, the rule saw 1.4"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			events := w.events(t, 0)
			i := slices.IndexFunc(events, func(e engine.Event) bool { return e.Name == evidence.RecordRotation })
			r := w.placed()
			c.change(&r)
			events[i].Data = r
			_, checks := evidence.Verify(encoded(t, collect(t, events)))
			got := strings.Join(problems(checks), "\n")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("problems:\n%s\nwant %q", got, c.want)
			}
		})
	}
}

// Probes that are under way when a rotation begins were begun before it; there
// may be a gap between them, too.
func TestGapBetweenProbesBegunBefore(t *testing.T) {
	w := newWorld(t)
	events := w.events(t, 0)
	i := slices.IndexFunc(events, func(e engine.Event) bool { return e.Name == evidence.RecordRotation })
	r := w.rotation(0)
	e := &r.Endpoints[0]
	e.Samples[0].At, e.Samples[1].At, e.LongestGapSeconds = -0.3, -0.05, 0.25
	r.Rules[slices.IndexFunc(r.Rules, func(r evidence.Rule) bool { return r.Name == "maxGap" })].Saw = 0.25
	events[i].Data = r
	_, checks := evidence.Verify(encoded(t, collect(t, events)))
	if p := problems(checks); p != nil {
		t.Errorf("it does not verify:\n%s", strings.Join(p, "\n"))
	}
}
