package release

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// An Outdated pod was made before its workload was changed, and stays so because the
// workload has the update strategy OnDelete.
type Outdated struct {
	cluster  *kubekit.Cluster
	workload kubekit.Ref
	pod      corev1.Pod
	revision string         // that the workload asks for
	have     map[string]any // the fields of the pod that differ
	want     map[string]any
}

// Outdated returns the pods of the release's workloads that are not as the
// workload asks and stay so until they are deleted; those of a StatefulSet
// from the last to the first.
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
		images := kubestatus.Images(st.Object)
		for _, p := range pods {
			o := Outdated{cluster: s.cluster, workload: st.Ref, pod: p, revision: revision, have: map[string]any{}, want: map[string]any{}}
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
func (o Outdated) Restart(wait bool) engine.Edit {
	return engine.Edit{
		Path: "Pod/" + o.pod.Namespace + "/" + o.pod.Name,
		Have: o.have,
		Want: o.want,
		Note: fmt.Sprintf("deleted: %s makes it anew", o.workload),
		Apply: func(ctx context.Context) error {
			err := o.cluster.Client().CoreV1().Pods(o.pod.Namespace).Delete(ctx, o.pod.Name, metav1.DeleteOptions{
				Preconditions: &metav1.Preconditions{UID: &o.pod.UID},
			})
			if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
				err = nil // it is another already
			}
			if err != nil || !wait {
				return kubekit.Classify(err)
			}
			return o.cluster.Until(ctx, o.workload, func(st kubekit.Status) (bool, error) { return st.Done || st.Object == nil, nil })
		},
	}
}
