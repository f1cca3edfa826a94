package timeline

import (
	"slices"
	"testing"
	"time"

	"github.com/ztplan/ztplan/steps/evidence"
)

var start = time.Date(2026, 1, 18, 17, 0, 0, 0, time.UTC)

func after(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

func TestTimeline(t *testing.T) {
	for _, c := range []struct {
		name  string
		make  func(*Timeline)
		text  string
		last  Milestone
		lines []string
	}{
		{"nothing", func(*Timeline) {}, "none", "", []string{}},
		{
			"in order, whatever was recorded first", func(l *Timeline) {
				l.Set(Issuing, evidence.Hop{Seen: after(300)}, "Renewal")
				l.Mark(Asked, after(100), "")
			},
			"asked → 200ms issuing (200ms)", Issuing, []string{"+0.100s asked", "+0.300s issuing (Renewal, up to 200ms earlier)"},
		},
		{
			"the first mark of a milestone counts", func(l *Timeline) {
				l.Mark(Asked, after(100), "")
				l.Mark(Asked, after(900), "again")
			},
			"asked (0s)", Asked, []string{"+0.100s asked"},
		},
		{
			"an observation is replaced", func(l *Timeline) {
				l.Mark(Asked, after(100), "")
				l.Set(Secret, evidence.Hop{Seen: after(900)}, "")
				_ = l.String()
				l.Set(Secret, evidence.Hop{Seen: after(900), NotYet: after(850)}, "serial 01")
			},
			"asked → 800ms secret written (800ms)", Secret, []string{"+0.100s asked", "+0.900s secret written (serial 01, up to 50ms earlier)"},
		},
		{
			"without the time at which it was seen", func(l *Timeline) { l.Set(Signed, evidence.Hop{}, "") },
			"none", "", []string{},
		},
		{
			"dropped", func(l *Timeline) {
				l.Mark(Asked, after(100), "")
				l.Mark(FirstServed, after(200), "")
				_ = l.String()
				l.Drop(FirstServed)
			},
			"asked (0s)", Asked, []string{"+0.100s asked"},
		},
		{
			"a closer clock of the API server", func(l *Timeline) {
				l.Mark(Asked, after(100), "")
				l.Set(Created, evidence.Hop{Seen: after(9000), Created: start.Add(time.Second)}, "")
				_ = l.String()
				l.SetClock(evidence.Clock{Resolution: 1})
			},
			"asked → 1.9s request created (1.9s)", Created,
			[]string{"+0.100s asked", "+2.000s request created (up to 1s earlier, by the object's time)"},
		},
		{
			"only the order of observation is known", func(l *Timeline) {
				l.Mark(Disrupted, after(100), "")
				l.Set(Revision, evidence.Hop{Seen: after(200)}, "")
			},
			"restart begun → 100ms revision counted (as observed) (100ms)", Revision,
			[]string{"+0.100s restart begun", "+0.200s revision counted (order as observed)"},
		},
		{
			"counted from the first one", func(l *Timeline) {
				l.FromFirst = true
				l.Set(Issuing, evidence.Hop{Seen: after(300)}, "")
				l.Mark(FirstServed, after(400), "")
			},
			"issuing → 100ms first on the wire (100ms)", FirstServed, []string{"+0.000s issuing", "+0.100s first on the wire"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := Timeline{Start: start}
			c.make(&l)
			if got := l.String(); got != c.text {
				t.Errorf("text %q, want %q", got, c.text)
			}
			if got := l.Last(); got != c.last {
				t.Errorf("last %q, want %q", got, c.last)
			}
			if got := l.Lines(); !slices.Equal(got, c.lines) {
				t.Errorf("lines %q, want %q", got, c.lines)
			}
		})
	}
}

func TestWhenAndBetween(t *testing.T) {
	l := Timeline{Start: start}
	if got := l.Between(start); got != "before the renewal" {
		t.Errorf("without milestones: %q", got)
	}
	l.Mark(Asked, after(100), "")
	l.Set(Secret, evidence.Hop{Seen: after(500), NotYet: after(400)}, "")
	if at, ok := l.When(Secret); !ok || !at.Equal(after(500)) || !l.Earliest(Secret).Equal(after(400)) {
		t.Errorf("the Secret: from %s to %s, %t", l.Earliest(Secret), at, ok)
	}
	if _, ok := l.When(Retired); ok || !l.Earliest(Retired).IsZero() {
		t.Error("a milestone that was not reached has a time")
	}
	for ms, want := range map[int]string{
		0: "100ms before asked", 100: "0s after asked and 400ms before secret written", 600: "100ms after secret written",
	} {
		if got := l.Between(after(ms)); got != want {
			t.Errorf("at %d ms: %q, want %q", ms, got, want)
		}
	}
}

// Every milestone has a place in the order of causes, or it would sort last.
func TestEveryMilestoneHasItsPlace(t *testing.T) {
	all := []Milestone{
		Made, Overlap, TookOver, Asked, Issuing, Created, Approved, Signed, Secret, Disrupted, Unsealed, Restored,
		Revision, FirstServed, LastServed, CaughtUp, Reissued, Retired,
	}
	l := Timeline{Start: start}
	for _, m := range slices.Backward(all) {
		l.Mark(m, start, "")
	}
	for i, h := range l.Record() {
		if h.Name != string(all[i]) {
			t.Errorf("place %d has %s, want %s", i, h.Name, all[i])
		}
		if (h.Source == evidence.SourceRun) == Milestone(h.Name).watched() {
			t.Errorf("%s is known from %s", h.Name, h.Source)
		}
	}
}
