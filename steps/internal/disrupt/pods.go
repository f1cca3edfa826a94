package disrupt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kubewatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

var podResource = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// defaultGrace is the grace period that the API server sets in a pod without one.
const defaultGrace = 30 * time.Second

// A pod is a Pod with the questions that a disruption asks.
type pod struct{ corev1.Pod }

func (p *pod) name() string { return p.Namespace + "/" + p.Name }

// grace returns how long the pod may take to end.
func (p *pod) grace() time.Duration {
	if p.Spec.TerminationGracePeriodSeconds == nil {
		return defaultGrace
	}
	return time.Duration(*p.Spec.TerminationGracePeriodSeconds) * time.Second
}

func (p *pod) leaving() bool { return p.DeletionTimestamp != nil }
func (p *pod) running() bool { return !p.leaving() && p.Status.Phase == corev1.PodRunning }
func (p *pod) ready() bool   { return !p.leaving() && kubestatus.PodReady(&p.Pod) }

// ended reports whether the pod's programs have ended: the kubelet reports that some
// time before it removes the pod.
func (p *pod) ended() bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed || len(p.Status.ContainerStatuses) > 0 &&
		!slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.State.Terminated == nil })
}

// state renders the pod's state in a few words.
func (p *pod) state() string {
	text := string(p.Status.Phase)
	switch {
	case p.leaving():
		text = "ending"
	case p.ready():
		text = "ready"
	case p.running():
		text = "running, not ready"
		if c := kubestatus.PodCondition(&p.Pod, corev1.PodReady); c.Message != "" {
			text += ": " + kubestatus.OneLine(c.Message)
		}
	case text == "":
		text = "Pending"
	}
	return p.Name + " " + text
}

func states(pods []*pod) string {
	if len(pods) == 0 {
		return "there is no pod"
	}
	parts := make([]string, len(pods))
	for i, p := range pods {
		parts[i] = p.state()
	}
	return "pod " + strings.Join(parts, ", ")
}

func names(list []*pod) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.name()
	}
	return out
}

// pods are the pods of one part.
type pods struct {
	client   dynamic.ResourceInterface
	selector string
}

func (p pods) list(ctx context.Context) ([]*pod, error) {
	list, err := p.client.List(ctx, metav1.ListOptions{LabelSelector: p.selector})
	if err != nil {
		return nil, fmt.Errorf("pods %s: %w", p.selector, kubekit.Classify(err))
	}
	out := make([]*pod, len(list.Items))
	for i := range list.Items {
		out[i] = new(pod)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, &out[i].Pod); err != nil {
			return nil, fmt.Errorf("pod %s/%s: %w", list.Items[i].GetNamespace(), list.Items[i].GetName(), err)
		}
	}
	return out, nil
}

// remove deletes a pod, and not one of the same name that replaced it.
func (p pods) remove(ctx context.Context, one *pod) error {
	uid := one.UID
	err := p.client.Delete(ctx, one.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if err != nil {
		return fmt.Errorf("pod %s: deleting it: %w", one.name(), kubekit.Classify(err))
	}
	return nil
}

// retryPause is the time between two watches that end or cannot be opened.
const retryPause = time.Second

// await returns when done accepts the pods. It reports each state before that. The
// API server may be away for a while; a refusal is an error.
func (p pods) await(ctx context.Context, done func([]*pod) bool, report func(state string)) error {
	state := "nothing is known of the pods"
	for {
		// The watch is opened before the list, so that no change falls between.
		events, err := p.client.Watch(ctx, metav1.ListOptions{LabelSelector: p.selector})
		if err == nil {
			var ok bool
			ok, err = p.awaitEvents(ctx, events, done, func(s string) {
				state = s
				report(s)
			})
			events.Stop()
			if ok {
				return nil
			}
		}
		if err = kubekit.Classify(err); ctx.Err() == nil && errors.Is(err, engine.ErrPermanent) {
			return err
		}
		if ended := engine.Pause(ctx, retryPause); ended != nil {
			return fmt.Errorf("%s: %w", state, ended)
		}
	}
}

// awaitEvents lists the pods at first and after each event, until done accepts
// them or the watch ends.
func (p pods) awaitEvents(ctx context.Context, events kubewatch.Interface, done func([]*pod) bool, report func(string)) (bool, error) {
	for {
		list, err := p.list(ctx)
		if err != nil {
			return false, err
		}
		if done(list) {
			return true, nil
		}
		report(states(list))
		select {
		case _, open := <-events.ResultChan():
			if !open {
				return false, nil
			}
		case <-ctx.Done():
			return false, nil
		}
	}
}
