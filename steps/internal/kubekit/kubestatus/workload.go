package kubestatus

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// RevisionLabel is the label by which pods of StatefulSets and DaemonSets name
// the revision that they were made from.
const RevisionLabel = appsv1.ControllerRevisionHashLabelKey

func isKind(obj *unstructured.Unstructured, group string, kinds ...string) bool {
	gk := obj.GroupVersionKind().GroupKind()
	return gk.Group == group && slices.Contains(kinds, gk.Kind)
}

// RunsPods reports whether the object is a workload, which makes pods.
func RunsPods(obj *unstructured.Unstructured) bool {
	return isKind(obj, "apps", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet") || isKind(obj, "batch", "Job")
}

// StaysUntilDeleted reports whether pods of the workload stay as they are until
// they are deleted: those of a StatefulSet or DaemonSet with the update strategy
// OnDelete.
func StaysUntilDeleted(obj *unstructured.Unstructured) bool {
	strategy, _, _ := unstructured.NestedString(obj.Object, "spec", "updateStrategy", "type")
	return isKind(obj, "apps", "StatefulSet", "DaemonSet") && strategy == "OnDelete"
}

// Vanishes reports whether the cluster removes an object as the manifest has it
// when it has run to its end: a Job with ttlSecondsAfterFinished, and a Pod that
// is not restarted.
func Vanishes(obj *unstructured.Unstructured) bool {
	_, limited, _ := unstructured.NestedFieldNoCopy(obj.Object, "spec", "ttlSecondsAfterFinished")
	policy, _, _ := unstructured.NestedString(obj.Object, "spec", "restartPolicy")
	return isKind(obj, "batch", "Job") && limited || isKind(obj, "", "Pod") && (policy == "Never" || policy == "OnFailure")
}

// Ended judges a Job or Pod by whether it has run to its end, even one that is being
// deleted.
func Ended(obj *unstructured.Unstructured) Result {
	if obj.GetKind() == "Job" {
		return currentJob(obj)
	}
	phase, _, _ := unstructured.NestedString(obj.Object, "status", "phase")
	if phase == "Failed" {
		return Result{Failed: true, Message: "the pod failed"}
	}
	return Result{Done: phase == "Succeeded"}
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

// PodSelector returns the label selector of a workload's pods, "" if it has none.
func PodSelector(obj *unstructured.Unstructured) (string, error) {
	m, _, err := unstructured.NestedMap(obj.Object, "spec", "selector")
	if err != nil {
		return "", err
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m, &selector); err != nil {
		return "", err
	}
	if len(selector.MatchLabels)+len(selector.MatchExpressions) == 0 {
		return "", nil // would match every pod
	}
	return metav1.FormatLabelSelector(&selector), nil
}

// Owned keeps the pods that the object controls; never nil.
func Owned(pods []corev1.Pod, obj *unstructured.Unstructured) []corev1.Pod {
	kept := []corev1.Pod{}
	for _, p := range pods {
		if metav1.IsControlledBy(&p, obj) {
			kept = append(kept, p)
		}
	}
	return kept
}
