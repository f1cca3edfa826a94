package e2e

import (
	"slices"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// A witness remembers the pods of a fleet, also those whose objects are gone: a Job that is
// suspended and an eviction delete them.
type witness struct {
	mu   sync.Mutex
	pods map[types.UID]*sighting
}

// A sighting is the last state of a pod that the hub had, and when its object was deleted.
type sighting struct {
	pod     *corev1.Pod
	deleted time.Time
}

func watchPods(t testing.TB, client kubernetes.Interface, fleet string) *witness {
	t.Helper()
	w := &witness{pods: make(map[types.UID]*sighting)}
	f := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace), informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.LabelSelector = record.LabelFleet + "=" + fleet + "," + record.LabelKind + "=pod"
	}))
	informer := f.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { w.see(o, time.Time{}) },
		UpdateFunc: func(_, o any) { w.see(o, time.Time{}) },
		DeleteFunc: func(o any) { w.see(o, time.Now()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop); f.Shutdown() })
	f.Start(stop)
	f.WaitForCacheSync(stop)
	return w
}

func (w *witness) see(object any, deleted time.Time) {
	if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pods[pod.UID] = &sighting{pod, deleted}
}

// A span is the time in which a pod's program ran, in whole seconds as the hub has it.
type span struct{ from, to time.Time }

// spans returns when the pods of each cluster ran, in order. entries has the clusters by
// Job and index.
func (w *witness) spans(entries map[string]string) map[string][]span {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[string][]span)
	for _, s := range w.pods {
		cluster := entries[s.pod.Labels[batchv1.JobNameLabel]+"/"+s.pod.Annotations[batchv1.JobCompletionIndexAnnotation]]
		for _, c := range s.pod.Status.ContainerStatuses {
			switch run, end := c.State.Running, c.State.Terminated; {
			case end != nil && !end.StartedAt.IsZero():
				out[cluster] = append(out[cluster], span{end.StartedAt.Time, end.FinishedAt.Time})
			case run != nil && !s.deleted.IsZero():
				out[cluster] = append(out[cluster], span{run.StartedAt.Time, s.deleted.Truncate(time.Second)})
			case run != nil:
				out[cluster] = append(out[cluster], span{run.StartedAt.Time, time.Now()})
			}
		}
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b span) int { return a.from.Compare(b.from) })
	}
	return out
}

// knows reports whether the witness has seen a pod end, or its object go.
func (w *witness) knows(p corev1.Pod) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.pods[p.UID]
	return s != nil && (!s.deleted.IsZero() || s.pod.Status.Phase == p.Status.Phase)
}

// countTwice counts runs of one cluster at the same time.
func (tr *trial) countTwice() {
	tr.t.Helper()
	// The watch begins anew some time after an outage of the hub.
	tr.waitFor("what the watch shows to be what the hub has", func() bool {
		for _, pods := range tr.tries() {
			if slices.ContainsFunc(pods, func(p corev1.Pod) bool { return !tr.witness.knows(p) }) {
				return false
			}
		}
		return true
	})
	for cluster, spans := range tr.witness.spans(tr.entries()) {
		for i := 1; i < len(spans); i++ {
			if spans[i].from.Before(spans[i-1].to) {
				tr.toll.twice++
				tr.t.Errorf("%s ran twice at once: %v", cluster, spans)
			}
		}
	}
}
