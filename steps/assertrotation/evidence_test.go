package assertrotation_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/assertrotation"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// collect makes the evidence of a run whose only step was the proof, as a run
// would: proved, or failed with the findings that do not hold.
func (r *result) collect(t *testing.T, began, ended time.Time) *evidence.Document {
	t.Helper()
	c := evidence.NewCollector(
		evidence.Plan{Name: "demo", File: "plan.yaml", Digest: strings.Repeat("cd", 32)},
		evidence.Run{Mode: evidence.ModeApply, Version: "v0", Platform: "linux/amd64"},
	)
	seconds := ended.Sub(began).Seconds()
	summary := engine.Summary{Proved: 1, WallSeconds: seconds, CriticalSeconds: seconds, CriticalPath: []string{"rotation"}}
	events := []engine.Event{{Time: began, Action: engine.ActionPlan}, {Time: began, Action: engine.ActionStart}}
	for _, rec := range r.records {
		events = append(events, engine.Event{Time: ended, Action: engine.ActionEvidence, Name: evidence.RecordRotation, Data: rec})
	}
	for _, rec := range r.rollovers {
		events = append(events, engine.Event{Time: ended, Action: engine.ActionEvidence, Name: evidence.RecordRollover, Data: rec})
	}
	end := engine.Event{Time: ended, Action: engine.ActionProved, Seconds: seconds}
	for _, f := range r.findings {
		action := engine.ActionFinding
		if !f.Holds {
			action = engine.ActionViolated
			end.Action, end.Error = engine.ActionFail, "does not hold"
			summary.Proved, summary.Failed = 0, 1
		}
		events = append(events, engine.Event{Time: ended, Action: action, Path: f.Rule, Have: f.Have, Want: f.Want, Message: f.Detail})
	}
	events = append(events, end)
	for i := range events {
		events[i].Step, events[i].Kind = "rotation", "assertRotation"
	}
	events = append(events, engine.Event{Time: ended, Action: engine.ActionEnd, Seconds: seconds, Summary: &summary})
	for _, e := range events {
		e.Plan = "demo"
		c.Event(e)
	}
	d, err := c.Document(false)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The record of a proof must verify, whether the proof holds or not, and break
// the rule of its fault.
func TestEvidence(t *testing.T) {
	tests := []struct {
		name      string
		break_    func(*world)
		spec      func(*assertrotation.Spec)
		limit     time.Duration
		rotations int
		broken    []string // rules on record
	}{
		{name: "good", rotations: 1},
		{name: "three", spec: func(s *assertrotation.Spec) { s.Rotations = 3 }, rotations: 3},
		{
			name: "many probes", rotations: 1,
			spec: func(s *assertrotation.Spec) {
				s.Jitter, s.Probe.Rate = engine.Duration(4*time.Second), 100
			},
		},
		{
			name: "never taken over", break_: func(w *world) { w.noPush = func(int, int) bool { return true } },
			rotations: 1, broken: []string{"switched", "consecutiveNew"},
		},
		{
			name: "refused", break_: func(w *world) { w.rotating = func(_ int, r *replica, on bool) { r.refuse.Store(on) } },
			spec:      func(s *assertrotation.Spec) { s.MaxGap = engine.Duration(300 * time.Millisecond) },
			rotations: 1, broken: []string{"maxFailures", "maxGap"},
		},
		{
			name: "hanging", break_: func(w *world) { w.rotating = func(_ int, r *replica, on bool) { r.hang.Store(on) } },
			rotations: 1, broken: []string{"maxFailures"},
		},
		{
			name: "missing routes", break_: func(w *world) { w.rotating = func(_ int, r *replica, on bool) { r.missing.Store(on) } },
			rotations: 1, broken: []string{"maxFailures"},
		},
		{
			name: "dropped", break_: func(w *world) { w.rotating = func(_ int, r *replica, on bool) { r.server.Drop() } },
			rotations: 1, broken: []string{"maxLost"},
		},
		{
			name: "one worker stale", break_: func(w *world) { old := w.pair; w.rotating = func(_ int, r *replica, _ bool) { r.stale.Store(old) } },
			rotations: 1, broken: []string{"switched", "consecutiveNew"},
		},
		{name: "denied", break_: func(w *world) { w.fail = "denied" }, rotations: 1, broken: []string{"issued"}},
		{name: "pending", break_: func(w *world) { w.pending = "sealed" }, limit: 5 * time.Second, rotations: 1, broken: []string{"issued"}},
		{name: "nothing answers", break_: func(w *world) { w.replicas[0].refuse.Store(true) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2)
				defer w.close()
				if tt.break_ != nil {
					tt.break_(w)
				}
				s := w.newSpec()
				if tt.spec != nil {
					tt.spec(s)
				}
				limit := tt.limit
				if limit == 0 {
					limit = 5 * time.Minute
				}
				began := time.Now()
				r, _ := w.prove(s, limit)
				doc := r.collect(t, began, time.Now())
				b, err := doc.Encode()
				if err != nil {
					t.Fatal(err)
				}
				_, checks := verify.Evidence(b)
				for _, c := range checks {
					for _, p := range c.Problems {
						t.Errorf("the evidence does not verify: %s: %s", c.Name, p)
					}
				}
				if len(doc.Records) > 0 || len(doc.Rotations) != tt.rotations {
					t.Fatalf("%d rotations on record and %d records without form, want %d and none", len(doc.Rotations), len(doc.Records), tt.rotations)
				}
				var broken []string
				for _, rec := range doc.Rotations {
					for _, rule := range rec.Rules {
						if !rule.Holds {
							broken = append(broken, rule.Name)
						}
					}
				}
				for _, want := range tt.broken {
					if !slices.Contains(broken, want) {
						t.Errorf("broken rules on record: %q, want %q among them", broken, want)
					}
				}
				if len(tt.broken) == 0 && broken != nil {
					t.Errorf("broken rules on record: %q, want none", broken)
				}
			})
		})
	}
}

// The record of a good rotation.
func TestEvidenceOfAGoodRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close()
		w.lag = func(replica int) time.Duration { return time.Duration(1+replica) * time.Second }
		r, err := w.prove(w.newSpec(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		rec := r.records[0]
		var hops []string
		for _, h := range rec.Hops {
			hops = append(hops, h.Name)
		}
		if got := strings.Join(hops, " "); got != "asked issuing requested approved signed secret revision first-on-wire last-on-wire" {
			t.Errorf("hops: %s", got)
		}
		if len(rec.Certs) != 2 || len(rec.Certs[0].Chain) != 1 || rec.Certs[0].Serial != r.out.OldSerial || rec.Certs[1].PublicKey != r.out.NewKey {
			t.Errorf("%d certificates: %+v", len(rec.Certs), rec.Certs)
		}
		attempts := 0
		for i, e := range rec.Endpoints {
			attempts += e.Attempts
			counts := [2]int{}
			for _, s := range e.Samples {
				counts[s.Cert]++
			}
			// The old one for the lag, and for up to a second before that.
			if least := 10 * (1 + i); counts[0] < least || counts[0] > least+10 || counts[1] < 6 {
				t.Errorf("%s: %d old and %d new", e.Address, counts[0], counts[1])
			}
			for _, phase := range []string{"before", "during", "after"} {
				if _, ok := e.Latency[phase]["p99"]; !ok {
					t.Errorf("%s: no percentiles %s the switch: %v", e.Address, phase, e.Latency)
				}
			}
		}
		if attempts != r.out.Attempts {
			t.Errorf("%d attempts on record, %d in the outputs", attempts, r.out.Attempts)
		}
	})
}
