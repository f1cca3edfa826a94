package kubekit

import (
	"cmp"
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// Outdated returns the pods of a StatefulSet or DaemonSet with the update
// strategy OnDelete that were made from another revision than the newest, and
// that one's name: of a StatefulSet the last pod first. There are none while the
// controller has not seen the last change. The currentRevision in the status of a
// StatefulSet is of no use: with OnDelete it stays for ever
// (kubernetes/kubernetes#73492).
func (c *Cluster) Outdated(ctx context.Context, obj *unstructured.Unstructured) (pods []corev1.Pod, revision string, err error) {
	if !kubestatus.StaysUntilDeleted(obj) || !kubestatus.Observed(obj) {
		return nil, "", nil
	}
	selector, err := kubestatus.PodSelector(obj)
	if err != nil || selector == "" {
		return nil, "", err
	}
	if revision, err = c.newestRevision(ctx, obj, selector); err != nil || revision == "" {
		return nil, "", err
	}
	list, err := c.client.CoreV1().Pods(obj.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, "", err
	}
	for _, p := range kubestatus.Owned(list.Items, obj) {
		if have := p.Labels[kubestatus.RevisionLabel]; have != "" && have != revision && p.DeletionTimestamp == nil {
			pods = append(pods, p)
		}
	}
	slices.SortFunc(pods, func(a, b corev1.Pod) int { // vault-10 comes after vault-9
		return cmp.Or(cmp.Compare(len(b.Name), len(a.Name)), cmp.Compare(b.Name, a.Name))
	})
	return pods, revision, nil
}

// newestRevision returns the kubestatus.RevisionLabel of pods that are made now.
func (c *Cluster) newestRevision(ctx context.Context, obj *unstructured.Unstructured, selector string) (string, error) {
	if obj.GetKind() == "StatefulSet" {
		revision, _, _ := unstructured.NestedString(obj.Object, "status", "updateRevision")
		return revision, nil
	}
	list, err := c.client.AppsV1().ControllerRevisions(obj.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return "", err
	}
	var newest appsv1.ControllerRevision
	for _, r := range list.Items {
		if metav1.IsControlledBy(&r, obj) && r.Revision > newest.Revision {
			newest = r
		}
	}
	return newest.Labels[kubestatus.RevisionLabel], nil
}
