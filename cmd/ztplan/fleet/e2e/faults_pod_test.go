package e2e

import (
	"syscall"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// disrupted lets something happen to the pod of the first member in its gate, which is
// replaced without being a failure.
func disrupted(end func(*trial, corev1.Pod) error) func(*trial) string {
	return func(tr *trial) string {
		_, done := tr.start("fleet", "run", tr.file)
		tr.arrive(0, 1)
		p := tr.running(0)
		if err := end(tr, p); err != nil {
			tr.t.Fatal(err)
		}
		// The pod goes with its object.
		tr.waitFor("the pod's end", func() bool {
			pods := tr.tries()[name(0)]
			return len(pods) == 1 && pods[0].Name != p.Name
		})
		tr.arrive(0, 1)
		tr.pass(0, 1, 2)
		tr.has(<-done, "proved: 3 proved")
		tr.once(1, 1, 1, 1)
		return "replaced, and no failure: 3 proved"
	}
}

// killed lets the program of the first member's pod end by a signal, which counts.
func killed(sig syscall.Signal, cause string) func(*trial) string {
	return func(tr *trial) string {
		_, done := tr.start("fleet", "run", tr.file)
		tr.arrive(0, 1)
		tr.kill(tr.running(0), sig)
		o := <-done
		if o.code != 1 {
			tr.t.Errorf("want exit 1: %v", o)
		}
		tr.has(o, "crashed: member-0: "+cause, "stopped: 1 crashed, 2 held")
		tr.untouched(1, 2)
		tr.pass(0, 1, 2)
		tr.has(tr.resume(0), "3 clusters of 3", "proved: 3 proved")
		return "counts, exit 1; a resumption: 3 proved"
	}
}

func podFaults() []fault {
	all := setting{waves: onlyAll}
	return []fault{
		{"pod evicted by the eviction API", false, all, disrupted(func(tr *trial, p corev1.Pod) error {
			return tr.hub.client.PolicyV1().Evictions(namespace).Evict(tr.t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: namespace}})
		})},
		{"pod deleted", false, all, disrupted(func(tr *trial, p corev1.Pod) error {
			return tr.hub.client.CoreV1().Pods(namespace).Delete(tr.t.Context(), p.Name, metav1.DeleteOptions{})
		})},
		{"ztplan killed in the pod (137), no retries", false, all, killed(syscall.SIGKILL, "exit 137 without a verdict")},
		{"Go crash in the pod, no retries", false, all, killed(syscall.SIGABRT, "ztplan crashed: exit 134 without a verdict")},
		{"Go crash in the pod, tried again", false, setting{waves: onlyAll, retries: 1}, func(tr *trial) string {
			_, done := tr.start("fleet", "run", tr.file)
			tr.arrive(0, 1)
			tr.kill(tr.running(0), syscall.SIGABRT)
			tr.pass(1, 2)
			tr.arrive(0, 2)
			tr.pass(0)
			tr.has(<-done, "proved: 3 proved")
			tr.once(1, 2, 1, 1)
			return "counts, and is tried again: 3 proved"
		}},
	}
}
