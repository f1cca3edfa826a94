package node

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	"k8s.io/utils/ptr"
)

const (
	// leastGrace is the grace period of a pod whose own is shorter, and
	// leastStop the time between SIGTERM and SIGKILL when a hook has used the
	// grace period up, as in the kubelet (pkg/kubelet: calculateEffectiveGracePeriod,
	// minimumGracePeriodInSeconds).
	leastGrace = time.Second
	leastStop  = 2 * time.Second
	// leastTermination is the shortest time from the deletion of a pod until
	// its object goes. A kubelet needs about as long, because it looks for ended
	// containers once a second. Clients rely on it: `kubectl delete` reads the
	// object and then lists it to wait for its end, and waits for ever when a
	// StatefulSet has made the next pod of that name in between.
	leastTermination = time.Second
)

// terminate ends a pod that is being deleted: its containers, its last status,
// and then the API object.
func (w *worker) terminate(ctx context.Context) {
	least := time.NewTimer(leastTermination)
	defer least.Stop()
	w.endContainers(ctx)
	w.publish(true)
	w.status.flush(ctx)
	select {
	case <-least.C:
	case <-ctx.Done():
		return // the next agent goes on
	}
	err := w.a.persist(ctx, "delete pod "+w.namespace+"/"+w.name, func() error {
		err := w.a.client.CoreV1().Pods(w.namespace).Delete(ctx, w.name, metav1.DeleteOptions{
			GracePeriodSeconds: ptr.To(int64(0)),
			Preconditions:      &metav1.Preconditions{UID: &w.uid},
		})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil
		}
		return err
	})
	if err == nil {
		w.a.finalize(w.uid)
		w.clean()
	}
}

// deadline is when the pod's activeDeadlineSeconds are over; zero for never, and
// for a pod that has ended.
func (w *worker) deadline() time.Time {
	seconds := w.pod.Spec.ActiveDeadlineSeconds
	if seconds == nil || w.overdue || podutil.IsPodPhaseTerminal(phase(w.containers, false)) {
		return time.Time{}
	}
	return w.startTime.Add(time.Duration(*seconds) * time.Second)
}

// expire ends the containers of a pod at its deadline. Its object stays: the pod
// has failed.
func (w *worker) expire(ctx context.Context) {
	w.a.events.Eventf(w.pod, corev1.EventTypeNormal, reasonDeadline, messageDeadline)
	w.endContainers(ctx)
	w.overdue = true
}

// gracePeriod is the deletion's grace period; for a pod whose object was
// removed by force, that of its specification: like a kubelet, the node gives
// the containers the time that they were promised.
func (w *worker) gracePeriod() time.Duration {
	seconds := ptr.Deref(w.pod.Spec.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)
	if s := w.pod.DeletionGracePeriodSeconds; s != nil {
		seconds = *s
	}
	return max(time.Duration(seconds)*time.Second, leastGrace)
}

// endContainers ends every container as a kubelet does: first its preStop hook,
// then SIGTERM, and SIGKILL when the grace period is over, which the hook counts
// into. The containers go on meanwhile, and their reports are published. A
// later deletion may make the grace period shorter; the end of ctx, when the lab
// stops, ends the hooks. It returns when no container runs.
func (w *worker) endContainers(ctx context.Context) {
	w.ending = true
	w.publish(false)
	grace := w.gracePeriod()
	hooks, expire := context.WithCancel(ctx)
	defer expire()
	timer := time.AfterFunc(grace, expire)
	defer timer.Stop()
	var enders sync.WaitGroup
	defer enders.Wait()
	for _, c := range w.containers {
		c.replacing, c.final = false, true
		for _, done := range c.restarted {
			done <- errEnded
		}
		c.restarted = nil
		if !c.running() {
			c.done = true
			continue
		}
		w.a.events.Eventf(w.pod, corev1.EventTypeNormal, "Killing", "Stopping container %s", c.spec.Name)
		pod, run, child := w.pod, c.run, c.child
		enders.Go(func() {
			w.preStop(hooks, pod, c.spec)
			if child == nil {
				w.send(event{c: c, run: run, exit: &exit{}})
				return
			}
			kill, cancel := context.WithCancel(context.WithoutCancel(ctx))
			defer cancel()
			least := time.AfterFunc(leastStop, func() { context.AfterFunc(hooks, cancel) })
			defer least.Stop()
			child.Stop(kill)
		})
	}
	for w.running() {
		select {
		case e := <-w.events:
			w.handle(e)
			if w.running() {
				w.publish(false)
			}
		case cmd := <-w.commands:
			w.obeyLast(cmd)
		case <-w.wake:
			w.take()
			if shorter := w.gracePeriod(); shorter < grace {
				grace = shorter
				timer.Reset(grace)
			}
		}
	}
}

// running reports whether a container runs.
func (w *worker) running() bool {
	for _, c := range w.containers {
		if c.running() {
			return true
		}
	}
	return false
}

// obeyLast carries out a command for a pod that ends: nothing is restarted any
// more.
func (w *worker) obeyLast(cmd command) {
	for _, c := range w.containers {
		if c.spec.Name == cmd.container && cmd.kill && c.running() && c.child != nil {
			c.killed = append(c.killed, cmd.done)
			c.child.Kill()
			return
		}
	}
	cmd.done <- errEnded
}
