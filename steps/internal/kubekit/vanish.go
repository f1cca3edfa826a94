package kubekit

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// Vanishes reports whether the cluster removes an object as the manifest has it
// when it has run to its end: a Job with ttlSecondsAfterFinished, and a Pod that
// is not restarted.
func Vanishes(o *unstructured.Unstructured) bool {
	switch {
	case isKind(o, "batch", "Job"):
		_, found, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "ttlSecondsAfterFinished")
		return found
	case isKind(o, "", "Pod"):
		policy, _, _ := unstructured.NestedString(o.Object, "spec", "restartPolicy")
		return policy == "Never" || policy == "OnFailure"
	}
	return false
}
