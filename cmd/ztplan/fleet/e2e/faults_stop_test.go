package e2e

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
)

// states fails the test unless the members are in these states.
func (tr *trial) states(want ...string) {
	tr.t.Helper()
	leaves := tr.leaves()
	var got []string
	for i := range tr.members {
		got = append(got, leaves[name(i)].State)
	}
	if !slices.Equal(got, want) {
		tr.t.Errorf("members are %q, want %q", got, want)
	}
}

func stopFaults() []fault {
	wave := func(more string) setting { return setting{waves: "waves: [{name: all, " + more + "}]\n"} }
	return []fault{
		{"limit of 34% of 3 clusters: two fail", false, wave("parallel: 1, stop: {failures: 34%}"), func(tr *trial) string {
			tr.fail(0, 1)
			tr.pass(2)
			tr.has(tr.do(1, "fleet", "run", tr.file), "2 of 3 clusters failed, and 34% may", "stopped: 2 failed, 1 held")
			tr.untouched(2)
			tr.pass(0, 1)
			tr.has(tr.resume(0), "proved: 3 proved")
			return "the third is held; a resumption: 3 proved"
		}},
		{"limit of 1: one fails", false, wave("parallel: 1, stop: {failures: 1}"), func(tr *trial) string {
			tr.fail(0)
			tr.pass(1, 2)
			tr.has(tr.do(1, "fleet", "run", tr.file), "failed: 2 proved, 1 failed")
			tr.pass(0)
			tr.has(tr.resume(0, 1, 2), "1 cluster of 3", "proved: 3 proved")
			return "no other is held; a resumption takes up one: 3 proved"
		}},
		{"two at once: one fails while the other runs", false, wave("parallel: 2"), func(tr *trial) string {
			_, done := tr.start("fleet", "run", tr.file)
			tr.arrive(0, 1)
			tr.arrive(1, 1)
			tr.fail(0)
			tr.waitFor("the pod that is held", func() bool {
				list := tr.tries()[name(2)]
				return len(list) == 1 && list[0].Status.Phase == corev1.PodFailed
			})
			tr.pass(1, 2)
			tr.has(<-done, "stopped: 1 proved, 1 failed, 1 held")
			tr.untouched(2)
			tr.pass(0)
			tr.has(tr.resume(0, 1), "2 clusters of 3", "proved: 3 proved")
			return "it finishes, the third is held; a resumption takes up two: 3 proved"
		}},
		{"a failure that is tried again", false, setting{waves: onlyAll, retries: 1}, func(tr *trial) string {
			tr.gate.answer(tr.path(0), false, true)
			tr.pass(1, 2)
			tr.has(tr.do(0, "fleet", "run", tr.file), "proved: 3 proved")
			tr.once(1, 2, 1, 1)
			return "does not count: 3 proved, none held"
		}},
		{"driver dead when the limit is reached", false, setting{waves: onlyAll}, func(tr *trial) string {
			cmd, done := tr.start("fleet", "run", tr.file)
			tr.arrive(0, 1)
			killDriver(cmd, done)
			tr.fail(0)
			tr.waitFor("the end of the wave", func() bool { return ended(tr.job("all")) != nil })
			tr.states(ledger.Failed, ledger.Held, ledger.Held)
			tr.untouched(1, 2)
			tr.pass(0, 1, 2)
			tr.has(tr.resume(0), "3 clusters of 3", "proved: 3 proved")
			return "the pods hold themselves; a resumption: 3 proved"
		}},
		{"stop in mid-wave", false, setting{waves: onlyAll}, func(tr *trial) string {
			_, done := tr.start("fleet", "run", tr.file)
			tr.arrive(0, 1)
			tr.has(tr.do(0, "fleet", "stop", tr.file, "--reason", "change freeze"), "stopped in 1 wave")
			tr.pass(0, 1, 2)
			tr.has(<-done, "change freeze", "stopped: 1 proved, 2 held")
			tr.untouched(1, 2)
			tr.has(tr.resume(0, 0), "2 clusters of 3", "proved: 3 proved")
			return "the one that runs finishes, two are held; a resumption takes up these: 3 proved"
		}},
		{"stop --now, and a resumption at once", true, wave("parallel: 2"), func(tr *trial) string {
			_, done := tr.start("fleet", "run", tr.file)
			tr.arrive(0, 1)
			tr.arrive(1, 1)
			tr.do(0, "fleet", "stop", tr.file, "--now")
			tr.has(<-done, "was stopped")
			for cluster, pods := range tr.tries() {
				for _, p := range pods {
					for _, s := range p.Status.ContainerStatuses {
						if end := s.State.Terminated; s.Name == objects.Container && (end == nil || end.ExitCode != 130) {
							tr.t.Errorf("the pod of %s ended so: %+v", cluster, s.State)
						}
					}
				}
			}
			tr.states(ledger.Waiting, ledger.Waiting, ledger.Waiting)
			tr.untouched(2)
			tr.pass(0, 1, 2)
			tr.has(tr.resume(0), "3 clusters of 3", "proved: 3 proved")
			return "pods end with 130 and are no failures; a resumption: 3 proved"
		}},
		{"stop --now without a driver, and a resumption at once", false, wave("parallel: 2"), func(tr *trial) string {
			cmd, done := tr.start("fleet", "run", tr.file)
			tr.arrive(0, 1)
			tr.arrive(1, 1)
			killDriver(cmd, done)
			tr.do(0, "fleet", "stop", tr.file, "--now")
			tr.pass(0, 1, 2)
			tr.has(tr.resume(0), "of 3", "proved: 3 proved")
			return "it waits for the pods that end: 3 proved"
		}},
		{"a wave of an earlier round let go by hand", false, setting{}, func(tr *trial) string {
			tr.fail(0)
			tr.has(tr.do(1, "fleet", "run", tr.file), "1 failed")
			left := tr.job("rest")
			tr.untouched(1, 2)
			tr.pass(0, 1, 2)
			tr.has(tr.resume(0), "3 clusters of 3", "proved: 3 proved")
			before := []int{tr.touches(1), tr.touches(2)}
			if _, err := tr.hub.client.BatchV1().Jobs(namespace).Patch(tr.t.Context(), left.Name, types.MergePatchType, []byte(`{"spec":{"suspend":false}}`), metav1.PatchOptions{}); err != nil {
				tr.t.Fatal(err)
			}
			tr.waitFor("the end of that Job", func() bool {
				for _, j := range tr.jobs() {
					if j.Name == left.Name {
						return ended(&j) != nil
					}
				}
				return false
			})
			for i, n := range before {
				if more := tr.touches(i+1) - n; more != 0 {
					tr.toll.unheld++
					tr.t.Errorf("%s got %d requests", name(i+1), more)
				}
			}
			return "its pods are held: a later round has replaced it"
		}},
	}
}
