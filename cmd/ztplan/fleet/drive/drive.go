// Package drive lets the waves of a run go, one after the other, and watches them.
//
// The truth is on the hub: a driver that ends, however it ends, is continued by the next
// one. It makes nothing that is there already, and a wave that was let go goes on without
// a driver. Between waves nothing is let go without one.
package drive

import (
	"context"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/hub"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/engine"
)

// A Snapshot is the state of the wave that runs.
type Snapshot struct {
	hub.Wave
	Running []hub.Pod // the oldest first
	Failing []hub.Pod // failed pods of clusters that are tried again or have failed, the newest first
	Waiting []hub.Pod // pods that cannot start, with the reason
	Settled []hub.Pod // pods of clusters that are settled, in no order
	Soaking time.Time // until then, once the wave is over
}

// A Driver drives a round of a run.
type Driver struct {
	Hub *hub.Hub
	Run record.Run
	// Progress is called with the state of a wave, at most four times a second.
	Progress func(Snapshot)
	Now      func() time.Time
}

// An Outcome is the end of a round.
type Outcome struct {
	Waves   []hub.Wave
	Stopped string // why no further wave was let go; "" if all were
}

// Drive lets the waves go and returns when the last one is over, or when the stop rule
// holds the next one.
func (d *Driver) Drive(ctx context.Context) (Outcome, error) {
	var out Outcome
	for _, w := range d.Run.Waves {
		if w.Clusters == 0 {
			continue
		}
		if n := len(out.Waves); n > 0 {
			if err := d.soak(ctx, out.Waves[n-1]); err != nil {
				return out, err
			}
		}
		state, err := d.wave(ctx, w)
		if err != nil {
			return out, err
		}
		out.Waves = append(out.Waves, state)
		if out.Stopped = state.Holds(); out.Stopped != "" {
			return out, nil
		}
	}
	return out, nil
}

// soak waits until the soak of a wave is over.
func (d *Driver) soak(ctx context.Context, w hub.Wave) error {
	until := w.Ended.Add(w.Soak.Std())
	left := until.Sub(d.Now())
	if left <= 0 {
		return nil
	}
	d.Progress(Snapshot{Wave: w, Soaking: until})
	return engine.Pause(ctx, left)
}

// wave lets a wave go, unless it was stopped, and returns its state when it is over.
func (d *Driver) wave(ctx context.Context, w record.Wave) (hub.Wave, error) {
	name := objects.JobName(d.Run, w.Name)
	state, err := d.Hub.Wave(ctx, d.Run, w)
	switch {
	case err != nil:
		return state, err
	case state.Rests():
		d.Progress(Snapshot{Wave: state})
		return state, nil
	case state.Suspended && state.Stopped == "":
		if err := d.Hub.LetGo(ctx, name); err != nil {
			return state, err
		}
	}
	return d.watch(ctx, w)
}

// watch follows the Job and its pods until the wave rests.
func (d *Driver) watch(ctx context.Context, w record.Wave) (hub.Wave, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	name := objects.JobName(d.Run, w.Name)
	changed := make(chan struct{}, 1)
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { signal(changed) },
		UpdateFunc: func(any, any) { signal(changed) },
		DeleteFunc: func(any) { signal(changed) },
	}
	jobs := informers.NewSharedInformerFactoryWithOptions(d.Hub.Client, 0, informers.WithNamespace(d.Hub.Namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector("metadata.name", name).String()
		}))
	pods := informers.NewSharedInformerFactoryWithOptions(d.Hub.Client, 0, informers.WithNamespace(d.Hub.Namespace), informers.WithTransform(slim),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = batchv1.JobNameLabel + "=" + name }))
	jobLister, podLister := jobs.Batch().V1().Jobs(), pods.Core().V1().Pods()
	for _, i := range []cache.SharedIndexInformer{jobLister.Informer(), podLister.Informer()} {
		if _, err := i.AddEventHandler(handler); err != nil {
			return hub.Wave{}, err
		}
	}
	jobs.Start(ctx.Done())
	pods.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), jobLister.Informer().HasSynced, podLister.Informer().HasSynced) {
		return hub.Wave{}, context.Cause(ctx)
	}
	ended := make(map[types.UID]hub.Pod)
	for {
		job, err := jobLister.Lister().Jobs(d.Hub.Namespace).Get(name)
		if err != nil && !apierrors.IsNotFound(err) {
			return hub.Wave{}, err
		}
		var list []corev1.Pod
		for _, o := range podLister.Informer().GetStore().List() {
			list = append(list, *o.(*corev1.Pod))
		}
		s := snapshot(d.Run, w, job, list, ended)
		d.Progress(s)
		if s.Rests() {
			return s.Wave, nil
		}
		if err := engine.Pause(ctx, settle); err != nil {
			return s.Wave, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s.Wave, context.Cause(ctx)
		}
	}
}

// settle bounds how often the state is computed.
const settle = 250 * time.Millisecond

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// slim keeps the fields that the state of a pod is read from.
func slim(o any) (any, error) {
	p, ok := o.(*corev1.Pod)
	if !ok {
		return o, nil
	}
	s := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, UID: p.UID, ResourceVersion: p.ResourceVersion, CreationTimestamp: p.CreationTimestamp, Annotations: make(map[string]string)},
		Status:     corev1.PodStatus{Phase: p.Status.Phase, Reason: p.Status.Reason},
	}
	for _, a := range []string{batchv1.JobCompletionIndexAnnotation, batchv1.JobIndexFailureCountAnnotation} {
		if v, ok := p.Annotations[a]; ok {
			s.Annotations[a] = v
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.DisruptionTarget {
			s.Status.Conditions = append(s.Status.Conditions, c)
		}
	}
	for _, c := range p.Status.ContainerStatuses {
		s.Status.ContainerStatuses = append(s.Status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, State: c.State})
	}
	return s, nil
}

// snapshot reads the state of a wave. Pods that have ended are read once: they are kept in
// ended.
func snapshot(run record.Run, w record.Wave, job *batchv1.Job, pods []corev1.Pod, ended map[types.UID]hub.Pod) Snapshot {
	s := Snapshot{Wave: hub.Read(run, w, job, pods)}
	for i := range pods {
		uid := pods[i].UID
		p, ok := ended[uid]
		if !ok {
			p = hub.PodOf(&pods[i])
		}
		switch {
		case p.Phase == corev1.PodRunning:
			s.Running = append(s.Running, p)
		case p.Phase == corev1.PodPending && p.Reason != "":
			s.Waiting = append(s.Waiting, p)
		case p.Phase == corev1.PodFailed && p.Exit != record.ExitHeld:
			s.Failing = append(s.Failing, p)
			ended[uid] = p
		case p.Phase == corev1.PodSucceeded:
			// The Job's status has it a moment later.
			s.Succeeded[p.Index] = true
			s.Settled = append(s.Settled, p)
			ended[uid] = p
		}
	}
	oldest := func(a, b hub.Pod) int { return a.Created.Compare(b.Created) }
	slices.SortFunc(s.Running, oldest)
	slices.SortFunc(s.Waiting, oldest)
	slices.SortFunc(s.Failing, func(a, b hub.Pod) int { return b.Created.Compare(a.Created) })
	return s
}

// Stop stops the waves of a round that are not over and returns how many these are. With
// now, their pods are ended.
func Stop(ctx context.Context, h *hub.Hub, run record.Run, reason string, now bool) (int, error) {
	n := 0
	for _, w := range run.Waves {
		if w.Clusters == 0 {
			continue
		}
		state, err := h.Wave(ctx, run, w)
		if err != nil {
			return n, err
		}
		if !state.Made || state.Over {
			continue
		}
		n++
		if state.Stopped == "" {
			if err := h.Stop(ctx, state.Job, reason); err != nil {
				return n, err
			}
		}
		if now && !state.Suspended {
			if err := h.Suspend(ctx, state.Job); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}
