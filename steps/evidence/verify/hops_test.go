package verify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// placed is a rotation whose hops have the observations that place them.
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
			_, checks := verify.Evidence(encoded(t, collect(t, events)))
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
	_, checks := verify.Evidence(encoded(t, collect(t, events)))
	if p := problems(checks); p != nil {
		t.Errorf("it does not verify:\n%s", strings.Join(p, "\n"))
	}
}
