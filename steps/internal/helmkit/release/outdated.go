package release

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// An Outdated pod was made before its workload was changed, and stays so because the
// workload has the update strategy OnDelete.
type Outdated struct {
	cluster  *kubekit.Cluster
	workload kubekit.Ref
	selector string // of the workload's pods, "" if it has one pod
	pod      corev1.Pod
	revision string         // that the workload asks for
	have     map[string]any // the fields of the pod that differ
	want     map[string]any
}

// Outdated returns the pods of the release's workloads that are not as the
// workload asks and stay so until they are deleted; those of a StatefulSet
// from the last to the first, and one that calls itself the active server at the end.
func (s *State) Outdated(ctx context.Context) ([]Outdated, error) {
	var all []Outdated
	for _, st := range s.have {
		if st.Object == nil {
			continue
		}
		pods, revision, err := s.cluster.Outdated(ctx, st.Object)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", st.Ref, kubekit.Classify(err))
		}
		slices.SortStableFunc(pods, func(a, b corev1.Pod) int { return rank(&a) - rank(&b) })
		selector := ""
		if replicas, found, _ := unstructured.NestedInt64(st.Object.Object, "spec", "replicas"); found && replicas > 1 {
			if selector, err = kubestatus.PodSelector(st.Object); err != nil {
				return nil, fmt.Errorf("%s: %w", st.Ref, err)
			}
		}
		images := kubestatus.Images(st.Object)
		for _, p := range pods {
			o := Outdated{cluster: s.cluster, workload: st.Ref, selector: selector, pod: p, revision: revision, have: map[string]any{}, want: map[string]any{}}
			o.have["revision"], o.want["revision"] = p.Labels[kubestatus.RevisionLabel], revision
			for _, c := range p.Spec.Containers {
				if image, ok := images[c.Name]; ok && image != c.Image {
					path := "containers[" + c.Name + "]/image"
					o.have[path], o.want[path] = c.Image, image
				}
			}
			all = append(all, o)
		}
	}
	return all, nil
}

func rank(p *corev1.Pod) int {
	if kubekit.Active(p.Labels) {
		return 1
	}
	return 0
}

// String describes the pod.
func (o Outdated) String() string {
	text := fmt.Sprintf("Pod/%s/%s still runs what it ran before %s was changed", o.pod.Namespace, o.pod.Name, o.workload)
	for _, c := range o.pod.Spec.Containers {
		if image, ok := o.want["containers["+c.Name+"]/image"]; ok {
			text += fmt.Sprintf(" (image %s, not %s)", c.Image, image)
			break
		}
	}
	return text + ", whose update strategy is OnDelete"
}

// Restart returns the edit that deletes the pod, so that its workload makes it
// anew. With wait it is over when all pods of the workload run again.
//
// Of several pods it is deleted only while all others are ready, and with wait it is over
// when the new one is ready too: their server needs most of them.
func (o Outdated) Restart(wait bool) engine.Edit {
	return engine.Edit{
		Path: "Pod/" + o.pod.Namespace + "/" + o.pod.Name,
		Have: o.have,
		Want: o.want,
		Note: fmt.Sprintf("deleted: %s makes it anew", o.workload),
		Apply: func(ctx context.Context) error {
			if err := o.othersReady(ctx); err != nil {
				return err
			}
			err := o.cluster.Client().CoreV1().Pods(o.pod.Namespace).Delete(ctx, o.pod.Name, metav1.DeleteOptions{
				Preconditions: &metav1.Preconditions{UID: &o.pod.UID},
			})
			if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
				err = nil // it is another already
			}
			if err != nil || !wait {
				return kubekit.Classify(err)
			}
			if err := o.cluster.Until(ctx, o.workload, func(st kubekit.Status) (bool, error) { return st.Done || st.Object == nil, nil }); err != nil {
				if o.selector != "" && ctx.Err() != nil {
					err = engine.WithHint(err, o.readyHint())
				}
				return err
			}
			return o.allReady(ctx)
		},
	}
}

// pods lists the pods of a workload of several, with none for another.
func (o Outdated) pods(ctx context.Context) (*corev1.PodList, error) {
	if o.selector == "" {
		return new(corev1.PodList), nil
	}
	list, err := o.cluster.Client().CoreV1().Pods(o.pod.Namespace).List(ctx, metav1.ListOptions{LabelSelector: o.selector})
	if err != nil {
		return nil, kubekit.Classify(err)
	}
	return list, nil
}

func (o Outdated) othersReady(ctx context.Context) error {
	list, err := o.pods(ctx)
	if err != nil {
		return err
	}
	pods := slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.UID == o.pod.UID })
	if why := kubestatus.WhyNotReady(pods); why != "" {
		return engine.WithHint(fmt.Errorf("%s is not deleted while %s: too few might be left", o.pod.Name, why), o.readyHint())
	}
	return nil
}

func (o Outdated) readyHint() string {
	return "one pod after another is replaced; a Vault that needs key shares is unsealed by a vaultUnseal step: give that step onDelete: restart instead, and helmInstall keep"
}

// allReady waits until every pod of several is ready. If ctx ends before, the error names
// the pod that is not ready, whichever request was under way.
func (o Outdated) allReady(ctx context.Context) error {
	why := "pod " + o.pod.Name + " was replaced and is not ready yet"
	for {
		list, err := o.pods(ctx)
		if err == nil {
			if why = kubestatus.WhyNotReady(list.Items); why == "" {
				return nil
			}
			err = o.cluster.AwaitChange(ctx, kubekit.Watch{
				Ref: kubekit.Ref{APIVersion: "v1", Kind: "Pod", Namespace: o.pod.Namespace}, Selector: o.selector, ResourceVersion: list.ResourceVersion,
			})
		} else if ctx.Err() == nil {
			return err
		}
		if ctx.Err() != nil {
			return engine.WithHint(fmt.Errorf("%s: %w", why, err), o.readyHint())
		}
	}
}
