package assertrotation_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// Between two rotations nothing is asked for during the idle gap, while the
// probes go on; jitter comes before each.
func TestIdleAndJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		s := w.newSpec()
		s.Rotations, s.Idle, s.Jitter = 2, engine.Duration(20*time.Second), engine.Duration(10*time.Second)
		r, err := w.prove(s, 5*time.Minute)
		if err != nil || r.violated() != nil || w.asked != 2 {
			t.Fatalf("error %v, violated %q, asked %d times", err, r.violated(), w.asked)
		}
		var asked []time.Time
		for _, rec := range r.records {
			asked = append(asked, rec.Hops[0].At)
		}
		if pause := asked[0].Sub(r.records[0].Began); pause > 11*time.Second {
			t.Errorf("the first renewal was asked for after %s", pause)
		}
		switch pause := asked[1].Sub(r.records[0].Ended); {
		case pause < 20*time.Second, pause > 31*time.Second:
			t.Errorf("the second renewal was asked for %s after the first rotation, want 20s to 30s", pause)
		case r.records[1].Endpoints[0].Attempts < int(pause.Seconds())*10:
			t.Errorf("%d probes in a pause of %s", r.records[1].Endpoints[0].Attempts, pause)
		}
		if text := strings.Join(r.status, "\n"); !strings.Contains(text, "pause before the renewal, ") {
			t.Errorf("the status never spoke of a pause: %s", text)
		}
	})
}
