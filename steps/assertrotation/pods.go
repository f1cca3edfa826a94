package assertrotation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kubewatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

var podResource = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// A pod is the part of a Pod that matters here.
type pod struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Grace *int64 `json:"terminationGracePeriodSeconds"`
	} `json:"spec"`
	Status struct {
		Phase      string            `json:"phase"`
		Conditions conditions        `json:"conditions"`
		Containers []containerStatus `json:"containerStatuses"`
	} `json:"status"`
}

// A containerStatus says whether a container has ended.
type containerStatus struct {
	State struct {
		Terminated *struct{} `json:"terminated"`
	} `json:"state"`
}

func (p *pod) name() string { return p.Metadata.Namespace + "/" + p.Metadata.Name }

// defaultGrace is what the API server puts into a pod without a grace period.
const defaultGrace = 30 * time.Second

// grace is how long the pod may take to end.
func (p *pod) grace() time.Duration {
	if p.Spec.Grace == nil {
		return defaultGrace
	}
	return time.Duration(*p.Spec.Grace) * time.Second
}

func (p *pod) leaving() bool { return p.Metadata.DeletionTimestamp != nil }
func (p *pod) running() bool { return !p.leaving() && p.Status.Phase == "Running" }
func (p *pod) ready() bool   { return !p.leaving() && p.Status.Conditions.isTrue("Ready") }

// ended reports whether the pod's programs have ended: the kubelet says so some
// time before it removes the pod.
func (p *pod) ended() bool {
	return p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" || len(p.Status.Containers) > 0 &&
		!slices.ContainsFunc(p.Status.Containers, func(c containerStatus) bool { return c.State.Terminated == nil })
}

// state says in a few words what the pod is doing.
func (p *pod) state() string {
	text := p.Status.Phase
	switch {
	case p.leaving():
		text = "ending"
	case p.ready():
		text = "ready"
	case p.running():
		text = "running, not ready"
		if c := p.Status.Conditions.get("Ready"); c.Message != "" {
			text += ": " + oneLine(c.Message)
		}
	case text == "":
		text = "Pending"
	}
	return p.Metadata.Name + " " + text
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
		if out[i], err = decode[pod](&list.Items[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// remove deletes a pod, and not one of the same name that took its place.
func (p pods) remove(ctx context.Context, one *pod) error {
	uid := one.Metadata.UID
	err := p.client.Delete(ctx, one.Metadata.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if err != nil {
		return fmt.Errorf("pod %s: deleting it: %w", one.name(), kubekit.Classify(err))
	}
	return nil
}

// blind is how long await does without a watch that cannot be opened.
const blind = time.Second

// await returns when done says that the pods are as they should be. seen is told
// each state before that. The API server may be away for a while; what it
// refuses is an error.
func (p pods) await(ctx context.Context, done func([]*pod) bool, seen func(state string)) error {
	state := "nothing is known of the pods"
	for {
		// The watch is opened before the list, so that no change falls between.
		events, err := p.client.Watch(ctx, metav1.ListOptions{LabelSelector: p.selector})
		if err == nil {
			var ok bool
			ok, err = p.follow(ctx, events, done, func(s string) {
				state = s
				seen(s)
			})
			events.Stop()
			if ok {
				return nil
			}
		}
		if err = kubekit.Classify(err); ctx.Err() == nil && isPermanent(err) {
			return err
		}
		timer := time.NewTimer(blind)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%s: %w", state, context.Cause(ctx))
		case <-timer.C:
		}
	}
}

// follow lists the pods at first and after each event, until done says so or
// the watch ends.
func (p pods) follow(ctx context.Context, events kubewatch.Interface, done func([]*pod) bool, seen func(string)) (bool, error) {
	for {
		list, err := p.list(ctx)
		if err != nil {
			return false, err
		}
		if done(list) {
			return true, nil
		}
		seen(states(list))
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
