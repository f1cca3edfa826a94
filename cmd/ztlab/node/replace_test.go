package node

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// A pod that its controller makes in place of a deleted one is there at once, as on a
// real node, and starts later: for a time no pod of the Deployment can do its work.
func TestReplacementStartsLater(t *testing.T) {
	t.Parallel()
	w := newTestNode(t)
	ownedBy := func(uid types.UID) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: string(uid), UID: uid, Controller: ptr.To(true)}}
		}
	}
	started := func(p *corev1.Pod) time.Time { return p.Status.ContainerStatuses[0].State.Running.StartedAt.Time }
	w.create("old", "lab/stubborn", ownedBy("one")) // does not end before it is killed
	w.await("old", "ready", ready)
	w.remove("old", 30)
	began := time.Now()
	w.create("new", "other/app", ownedBy("one"))
	w.create("beside", "other/app", ownedBy("another"))
	w.await("beside", "ready", ready)
	if w.agent.worker("uid-beside").notBefore != (time.Time{}) {
		t.Error("a pod of another controller waits, too")
	}
	// A status has whole seconds.
	if took := started(w.await("new", "ready", ready)).Sub(began.Truncate(time.Second)); took < leastStart {
		t.Errorf("the replacement started after %s, want at least %s", took, leastStart)
	}
}
