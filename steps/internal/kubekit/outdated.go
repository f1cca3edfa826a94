package kubekit

import (
	"cmp"
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// RevisionLabel is the label by which pods of StatefulSets and DaemonSets name
// the revision that they were made from.
const RevisionLabel = appsv1.ControllerRevisionHashLabelKey

// Outdated returns the pods of a StatefulSet or DaemonSet with the update
// strategy OnDelete that were made from another revision than the newest, and
// that one's name: of a StatefulSet the last pod first. There are none while the
// controller has not seen the last change. The currentRevision in the status of a
// StatefulSet does not tell: with OnDelete it stays for ever
// (kubernetes/kubernetes#73492).
func (c *Cluster) Outdated(ctx context.Context, obj *unstructured.Unstructured) (pods []corev1.Pod, revision string, err error) {
	observed, _, _ := unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	if !StaysUntilDeleted(obj) || observed < obj.GetGeneration() {
		return nil, "", nil
	}
	selector, err := podSelector(obj)
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
	for _, p := range owned(list.Items, obj) {
		if have := p.Labels[RevisionLabel]; have != "" && have != revision && p.DeletionTimestamp == nil {
			pods = append(pods, p)
		}
	}
	slices.SortFunc(pods, func(a, b corev1.Pod) int { // vault-10 comes after vault-9
		return cmp.Or(cmp.Compare(len(b.Name), len(a.Name)), cmp.Compare(b.Name, a.Name))
	})
	return pods, revision, nil
}

// newestRevision returns what pods made now have as RevisionLabel.
func (c *Cluster) newestRevision(ctx context.Context, obj *unstructured.Unstructured, selector string) (string, error) {
	if isKind(obj, "apps", "StatefulSet") {
		revision, _, _ := unstructured.NestedString(obj.Object, "status", "updateRevision")
		return revision, nil
	}
	list, err := c.client.AppsV1().ControllerRevisions(obj.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return "", err
	}
	var newest appsv1.ControllerRevision
	for _, r := range list.Items {
		if o := metav1.GetControllerOf(&r); o != nil && o.UID == obj.GetUID() && r.Revision > newest.Revision {
			newest = r
		}
	}
	return newest.Labels[RevisionLabel], nil
}

// StaysUntilDeleted reports whether pods of the workload stay what they are until
// they are deleted: those of a StatefulSet or DaemonSet with the update strategy
// OnDelete.
func StaysUntilDeleted(obj *unstructured.Unstructured) bool {
	return (isKind(obj, "apps", "StatefulSet") || isKind(obj, "apps", "DaemonSet")) && onDelete(obj)
}

// Images returns the images of a workload's pod template, by container.
func Images(obj *unstructured.Unstructured) map[string]string {
	containers, _, _ := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers")
	images := make(map[string]string, len(containers))
	for _, item := range containers {
		m, _ := item.(map[string]any)
		name, _ := m["name"].(string)
		images[name], _ = m["image"].(string)
	}
	return images
}
