package diagnosis

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// pods reads the pods of a namespace, and the logs of containers that are not well.
func (r *reader) pods(ctx context.Context, namespace string) error {
	list, err := r.cluster.Client().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{Limit: 500})
	if err != nil {
		return kubekit.Classify(err)
	}
	for _, p := range list.Items {
		state := podState(&p)
		r.mu.Lock()
		r.out.Pods = append(r.out.Pods, state)
		r.mu.Unlock()
		if state.Ready || p.Status.Phase == corev1.PodSucceeded {
			continue
		}
		for _, cs := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if !cs.Ready && (cs.State.Running != nil || cs.State.Terminated != nil || cs.LastTerminationState.Terminated != nil) {
				r.read("log of "+p.Namespace+"/"+p.Name+" "+cs.Name, func() error { return r.log(ctx, &p, &cs) })
			}
		}
	}
	return nil
}

func podState(p *corev1.Pod) evidence.PodState {
	s := evidence.PodState{Namespace: p.Namespace, Name: p.Name, Ready: kubestatus.PodReady(p), State: "ready", Node: p.Spec.NodeName}
	for _, cs := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		s.Restarts += int(cs.RestartCount)
	}
	if s.Ready {
		return s
	}
	runs, why := kubestatus.PodRuns(p)
	if runs {
		why = "runs and is not ready"
	}
	s.State = short(why)
	return s
}

// log reads the end of a container's log: of its last run if it waits to be started again.
func (r *reader) log(ctx context.Context, p *corev1.Pod, cs *corev1.ContainerStatus) error {
	r.mu.Lock()
	full := len(r.out.Logs) >= mostLogs
	if !full {
		r.out.Logs = append(r.out.Logs, evidence.LogTail{Pod: p.Namespace + "/" + p.Name, Container: cs.Name})
	}
	at := len(r.out.Logs) - 1
	r.mu.Unlock()
	if full {
		return nil
	}
	options := &corev1.PodLogOptions{
		Container: cs.Name, Previous: cs.State.Waiting != nil && cs.LastTerminationState.Terminated != nil,
	}
	lines, err := r.cluster.LogLines(ctx, p, options, mostLines)
	r.mu.Lock()
	defer r.mu.Unlock()
	tail := &r.out.Logs[at]
	tail.Previous = options.Previous
	for _, l := range lines {
		tail.Lines = append(tail.Lines, short(l))
	}
	return err
}

// events reads the recent events of a namespace.
func (r *reader) events(ctx context.Context, namespace string) error {
	list, err := r.cluster.Client().CoreV1().Events(namespace).List(ctx, metav1.ListOptions{Limit: 1000})
	if err != nil {
		return kubekit.Classify(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range list.Items {
		note := evidence.ClusterNote{
			At: lastSeen(&e), Type: e.Type, Reason: e.Reason, Message: short(e.Message), Count: max(int(e.Count), 1),
			Object: strings.Join([]string{e.InvolvedObject.Kind, e.InvolvedObject.Namespace, e.InvolvedObject.Name}, "/"),
		}
		if e.Series != nil {
			note.Count = int(e.Series.Count)
		}
		if r.out.At.Sub(note.At) <= recent {
			r.out.Events = append(r.out.Events, note)
		}
	}
	return nil
}

// lastSeen is when an event came last: which field has it depends on the client that
// wrote it.
func lastSeen(e *corev1.Event) time.Time {
	var series time.Time
	if e.Series != nil {
		series = e.Series.LastObservedTime.Time
	}
	return cmp.Or(series, e.LastTimestamp.Time, e.EventTime.Time, e.FirstTimestamp.Time, e.CreationTimestamp.Time)
}

// conditions returns the conditions of an object.
func conditions(o *unstructured.Unstructured) []evidence.Condition {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	var out []evidence.Condition
	for _, item := range list {
		m, _ := item.(map[string]any)
		kind, _ := m["type"].(string)
		c, ok := kubestatus.Condition(o, kind)
		if !ok {
			continue
		}
		out = append(out, evidence.Condition{
			Type: c.Type, Status: string(c.Status), Reason: c.Reason, Message: short(kubestatus.OneLine(c.Message)), Since: c.LastTransitionTime.Time,
		})
	}
	return out
}
