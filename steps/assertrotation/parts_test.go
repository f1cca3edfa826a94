package assertrotation_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"

	"github.com/ztplan/ztplan/engine"
)

// A part is a program in pods of the world: it plays the part's controller and
// the kubelet when a pod is deleted.
type part struct {
	w         *world
	namespace string
	labels    map[string]any
	grace     time.Duration // from the deletion of a pod until it is gone
	first     time.Duration // the same for the pods that are there at first; 0 for grace
	start     time.Duration // from then until another one runs
	early     bool          // another one starts as soon as a pod is deleted, as with a Deployment
	ended     time.Duration // of grace, how long a pod that has ended is still there
	sealed    bool          // a pod that has started is ready only when somebody opens it
	stuck     bool          // a pod that has started is never ready
	working   atomic.Int64  // how many pods do their work
	opened    atomic.Int64  // how often it was opened
	changed   func(n int, up bool)
	made      atomic.Int64
	deleted   atomic.Int64
	key       chan struct{}
}

// newPart makes a part with pods that are ready.
func (w *world) newPart(namespace, name string, n int, labels ...string) *part {
	p := &part{w: w, namespace: namespace, labels: map[string]any{}, grace: time.Second, start: 2 * time.Second, key: make(chan struct{}, 1)}
	for i := 0; i < len(labels); i += 2 {
		p.labels[labels[i]] = labels[i+1]
	}
	for i := range n {
		p.put(p.pod(fmt.Sprintf("%s-%d", name, i), "Running", true))
	}
	p.working.Store(int64(n))
	ctx := w.ctx
	w.client.PrependReactor("delete", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if action.GetNamespace() != namespace {
			return false, nil, nil
		}
		p.deleted.Add(1)
		w.wg.Go(func() { p.replace(ctx, action.(clienttesting.DeleteAction).GetName()) })
		return true, nil, nil
	})
	return p
}

func (p *part) pod(name, phase string, ready bool) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"labels": maps.Clone(p.labels)}}}
	u.SetAPIVersion("v1")
	u.SetKind("Pod")
	u.SetNamespace(p.namespace)
	u.SetName(name)
	u.SetUID(types.UID(fmt.Sprint("pod-", p.made.Add(1))))
	p.condition(u, phase, ready)
	return u
}

func (p *part) condition(u *unstructured.Unstructured, phase string, ready bool) {
	_ = unstructured.SetNestedField(u.Object, phase, "status", "phase")
	setCondition(u, "Ready", map[bool]string{true: "True", false: "False"}[ready], "", "")
}

func (p *part) put(u *unstructured.Unstructured) {
	client := p.w.client.Resource(podResource).Namespace(p.namespace)
	_, err := client.Update(context.Background(), u, metav1.UpdateOptions{})
	if err != nil {
		_, err = client.Create(context.Background(), u, metav1.CreateOptions{})
	}
	if err != nil {
		p.w.t.Error(err)
	}
}

// setGrace gives the pods a grace period.
func (p *part) setGrace(seconds int64) {
	list, err := p.w.client.Resource(podResource).Namespace(p.namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		p.w.t.Error(err)
		return
	}
	for i := range list.Items {
		_ = unstructured.SetNestedField(list.Items[i].Object, seconds, "spec", "terminationGracePeriodSeconds")
		p.put(&list.Items[i])
	}
}

// replace plays the controller after the deletion of a pod.
func (p *part) replace(ctx context.Context, name string) {
	client := p.w.client.Resource(podResource).Namespace(p.namespace)
	u, err := client.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		p.w.t.Error(err)
		return
	}
	now := metav1.Now()
	u = u.DeepCopy()
	u.SetDeletionTimestamp(&now)
	p.put(u)
	grace := p.grace
	if p.first > 0 && !strings.Contains(name, ".") {
		grace = p.first
	}
	if p.early {
		end := strings.LastIndex(name, "-")
		next := fmt.Sprintf("%s.%d%s", strings.Split(name[:end], ".")[0], p.made.Load(), name[end:])
		p.w.wg.Go(func() { p.bring(ctx, next) })
	} else {
		p.turn(name, false)
	}
	if engine.Pause(ctx, grace-p.ended) != nil {
		return
	}
	if p.early {
		p.turn(name, false)
	}
	if p.ended > 0 {
		p.condition(u, "Succeeded", false)
		p.put(u)
		if engine.Pause(ctx, p.ended) != nil {
			return
		}
	}
	if err := p.w.client.Tracker().Delete(podResource, p.namespace, name); err != nil {
		p.w.t.Error(err)
	}
	if !p.early {
		p.bring(ctx, name)
	}
}

// bring plays the start of a pod.
func (p *part) bring(ctx context.Context, name string) {
	next := p.pod(name, "Pending", false)
	p.put(next)
	if engine.Pause(ctx, p.start) != nil {
		return
	}
	if p.sealed || p.stuck {
		p.condition(next, "Running", false)
		p.put(next)
		if p.stuck {
			return
		}
		select {
		case <-p.key:
		case <-ctx.Done():
			return
		}
		next = next.DeepCopy()
	}
	p.turn(name, true) // a pod does its work before it is known to be ready
	p.condition(next, "Running", true)
	p.put(next)
}

func (p *part) turn(name string, up bool) {
	p.working.Add(map[bool]int64{true: 1, false: -1}[up])
	if p.changed != nil {
		p.changed(int(name[len(name)-1]-'0'), up)
	}
}

// up reports whether the part does its work.
func (p *part) up() bool { return p.working.Load() > 0 }

// open plays the unsealing.
func (p *part) open(context.Context) error {
	p.opened.Add(1)
	p.key <- struct{}{}
	return nil
}

// there returns when the part does its work; false when ctx ends before.
func (p *part) there(ctx context.Context) bool {
	for p != nil && !p.up() {
		if engine.Pause(ctx, 100*time.Millisecond) != nil {
			return false
		}
	}
	return ctx.Err() == nil
}
