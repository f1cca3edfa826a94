package node

import (
	"context"
	"encoding/json"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A publisher writes the status of one pod. The newest status wins: while a
// write is under way, or the API server is away, those in between are dropped.
type publisher struct {
	a               *Agent
	namespace, name string
	uid             types.UID
	cancel          context.CancelFunc

	mu      sync.Mutex
	last    corev1.PodStatus  // the newest given
	pending *corev1.PodStatus // not yet written
	busy    bool              // a write is under way
	idle    *sync.Cond        // pending == nil && !busy may have become true
	ctx     context.Context   // ends with the pod; bounds retries
}

func newPublisher(a *Agent, pod *corev1.Pod) *publisher {
	p := &publisher{a: a, namespace: pod.Namespace, name: pod.Name, uid: pod.UID}
	p.idle = sync.NewCond(&p.mu)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// set has the status written, unless it is the one that was given last.
func (p *publisher) set(status corev1.PodStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if apiequality.Semantic.DeepEqual(p.last, status) {
		return
	}
	p.last = status
	p.pending = &status
	if !p.busy {
		p.busy = true
		p.a.running.Go(p.write)
	}
}

// conditions returns the conditions that were given last; at first, those that
// the API server has.
func (p *publisher) conditions(first []corev1.PodCondition) []corev1.PodCondition {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.Conditions == nil {
		return first
	}
	return p.last.Conditions
}

// write writes until nothing is pending.
func (p *publisher) write() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.pending != nil && p.ctx.Err() == nil {
		p.mu.Unlock()
		// An error means that the pod's worker has ended.
		_ = p.a.persist(p.ctx, "status of pod "+p.namespace+"/"+p.name, p.patch)
		p.mu.Lock()
	}
	p.busy = false
	p.idle.Broadcast()
}

// patch writes the newest status once. A pod that is gone, or whose name now
// belongs to another pod, has no status to write. Conditions of others, such as
// DisruptionTarget, stay: a strategic merge patch merges conditions by type.
func (p *publisher) patch() error {
	p.mu.Lock()
	status := p.pending
	p.mu.Unlock()
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": p.uid}, // a precondition
		"status":   status,
	})
	if err != nil {
		return err
	}
	_, err = p.a.client.CoreV1().Pods(p.namespace).Patch(p.ctx, p.name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending == status {
		p.pending = nil
	}
	return nil
}

// flush returns when everything given has been written, or ctx ends.
func (p *publisher) flush(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.idle.Broadcast()
	})
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for (p.pending != nil || p.busy) && ctx.Err() == nil {
		p.idle.Wait()
	}
}

// stop drops reports that have not been written.
func (p *publisher) stop() { p.cancel() }
