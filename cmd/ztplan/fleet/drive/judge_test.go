package drive

import (
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/hub"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/engine"
)

// The Job and the pod decide the outcome of a cluster, and evidence counts only as theirs.
func TestJudge(t *testing.T) {
	verdict := func(cluster string, exit int, evidence string) record.Verdict {
		return record.Verdict{Schema: record.VerdictSchema, Cluster: cluster, Exit: exit, Evidence: evidence, Result: engine.ResultProved, Cause: map[bool]string{true: "it broke"}[exit != 0]}
	}
	well, failed := verdict("a", 0, "e1"), verdict("a", 1, "e1")
	pod := func(exit int32, v *record.Verdict) []hub.Pod { return []hub.Pod{{Name: "p", Exit: exit, Verdict: v}} }
	kept := func(v record.Verdict) []hub.Try { return []hub.Try{{ConfigMap: "p", Verdict: v}} }
	one := map[int]bool{0: true}
	for _, tc := range []struct {
		name  string
		wave  hub.Wave
		pods  []hub.Pod
		tries []hub.Try
		want  string
		cause string
		count bool // its evidence counts
	}{
		{"well", hub.Wave{Succeeded: one}, pod(0, &well), kept(well), ledger.Proved, "", true},
		{"failed", hub.Wave{Failed: one}, pod(1, &failed), kept(failed), ledger.Failed, "", true},
		{"failed before its run", hub.Wave{Failed: one}, pod(1, &record.Verdict{Cluster: "a", Exit: 1}), nil, ledger.Failed, "", false},
		{"not begun", hub.Wave{}, nil, nil, ledger.Waiting, "", false},
		{"not begun, forged", hub.Wave{}, nil, kept(well), ledger.Waiting, "", false},
		{"held, forged", hub.Wave{Held: one}, pod(4, &record.Verdict{Cluster: "a", Exit: 4, Cause: "full"}), kept(well), ledger.Held, "full", false},
		{"failed, forged under another name", hub.Wave{Failed: one}, pod(1, &failed), append(kept(failed), hub.Try{ConfigMap: "q", Verdict: well}), ledger.Failed, "", true},
		{"failed, forged under its name", hub.Wave{Failed: one}, pod(1, &failed), kept(well), ledger.Failed, "refused", false},
		{"killed after its evidence was kept", hub.Wave{Failed: one}, pod(137, nil), kept(well), ledger.Crashed, "exit 137", false},
		{"made anew", hub.Wave{Succeeded: one}, pod(0, &well), kept(verdict("a", 0, "e2")), ledger.Failed, "refused", false},
		{"removed", hub.Wave{Succeeded: one}, pod(0, &well), nil, ledger.Failed, "lost", false},
		{"of another cluster", hub.Wave{Succeeded: one}, pod(0, new(verdict("b", 0, "e1"))), kept(verdict("b", 0, "e1")), ledger.Failed, "not one of this cluster", false},
		{"a verdict that says the opposite", hub.Wave{Failed: one}, pod(1, &well), kept(well), ledger.Failed, "not how the pod ended", false},
		{"pod gone", hub.Wave{Succeeded: one}, nil, kept(well), ledger.Proved, "", true},
		{"pod gone, and evidence", hub.Wave{Succeeded: one}, nil, nil, ledger.Failed, "no evidence", false},
		{"interrupted", hub.Wave{}, pod(130, new(verdict("a", 130, "e1"))), kept(verdict("a", 130, "e1")), ledger.Waiting, "it broke", false},
	} {
		pods := &podList{of: map[string][]hub.Pod{indexKey(tc.wave.Job, 0): tc.pods}}
		tries := newTryList(tc.tries)
		l := &ledger.Leaf{Cluster: "a"}
		got := judge(l, record.Run{}, tc.wave, 0, pods, tries)
		if l.State != tc.want || !strings.Contains(l.Cause, tc.cause) || (got != nil) != tc.count {
			t.Errorf("%s: %s, %q, counts %v", tc.name, l.State, l.Cause, got != nil)
		}
		if (l.State == ledger.Proved) != (l.Verdict != nil && l.Verdict.Settled()) {
			t.Errorf("%s: %s with the verdict %+v", tc.name, l.State, l.Verdict)
		}
	}
}

// A round is over when no pod of it runs and none will.
func TestOver(t *testing.T) {
	over := hub.Wave{Made: true, Over: true, Ended: time.Unix(1, 0)}
	exceeded := over
	exceeded.Failed = map[int]bool{0: true}
	waits := hub.Wave{Made: true, Suspended: true}
	runs := hub.Wave{Made: true, Live: 1}
	with := func(w hub.Wave, reason string) hub.Wave { w.Stopped = reason; return w }
	ending := hub.Wave{Made: true, Suspended: true, Stopped: "now", Live: 1}
	for _, tc := range []struct {
		name          string
		waves         []hub.Wave
		over, stopped bool
	}{
		{"all over", []hub.Wave{over, over}, true, false},
		{"the next one waits for a driver", []hub.Wave{over, waits}, false, false},
		{"one runs", []hub.Wave{runs, waits}, false, false},
		{"too many failed", []hub.Wave{exceeded, waits}, true, true},
		{"stopped while it runs", []hub.Wave{with(runs, "freeze"), with(waits, "freeze")}, false, true},
		{"stopped before it began", []hub.Wave{over, with(waits, "freeze")}, true, true},
		{"stopped, pods are ending", []hub.Wave{ending}, false, true},
		{"a Job deleted", []hub.Wave{{}, waits}, true, true},
		{"a Job deleted, pods are ending", []hub.Wave{{Live: 1}, waits}, false, true},
	} {
		r := &Result{Waves: tc.waves}
		if over, stopped := r.Over(); over != tc.over || stopped != tc.stopped {
			t.Errorf("%s: over %v, stopped %v", tc.name, over, stopped)
		}
	}
}
