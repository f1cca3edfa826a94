package kubestatus

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// SurgeHint is the way out of a rolling update that cannot end.
const SurgeHint = "let the old pod go first, by the update strategy Recreate or maxUnavailable: 1 (for the injector of the chart vault: values injector.strategy.type: Recreate), or add a node"

// BlockedSurge returns why the rolling update of a Deployment cannot end: its new
// pod may not be on a node with the old one, there is no other node for it, and
// the old one stays until the new one is ready. It is "" if the update can end.
func BlockedSurge(obj *unstructured.Unstructured, pods []corev1.Pod) string {
	if !isKind(obj, "apps", "Deployment") || !keepsAll(obj) {
		return ""
	}
	for _, p := range pods {
		c := PodCondition(&p, corev1.PodScheduled)
		if c.Status != corev1.ConditionFalse || c.Reason != corev1.PodReasonUnschedulable || !strings.Contains(c.Message, "anti-affinity") {
			continue
		}
		for _, old := range pods {
			if old.Labels["pod-template-hash"] == p.Labels["pod-template-hash"] || old.Spec.NodeName == "" {
				continue
			}
			if old.DeletionTimestamp != nil {
				return "" // its place gets free
			}
			if shuns(&p, &old) {
				return "the update cannot end: pod " + p.Name + " must not be on a node with pod " + old.Name +
					", which stays until the other is ready: " + OneLine(c.Message)
			}
		}
	}
	return ""
}

// keepsAll reports whether a rolling update removes no pod before a new one is
// ready. Source of the defaults and of the rounding:
// https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#max-unavailable
func keepsAll(obj *unstructured.Unstructured) bool {
	strategy, _, _ := unstructured.NestedMap(obj.Object, "spec", "strategy")
	if strategy["type"] == "Recreate" {
		return false
	}
	most := intstr.FromString("25%")
	rolling, _ := strategy["rollingUpdate"].(map[string]any)
	switch v := rolling["maxUnavailable"].(type) {
	case string:
		most = intstr.Parse(v)
	case int64:
		most = intstr.FromInt32(int32(v))
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(&most, int(replicas(obj)), false)
	return err == nil && n == 0
}

// shuns reports whether p must not be on a node with other, a pod of the same
// namespace.
func shuns(p, other *corev1.Pod) bool {
	if p.Spec.Affinity == nil || p.Spec.Affinity.PodAntiAffinity == nil {
		return false
	}
	for _, term := range p.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
		selector, err := metav1.LabelSelectorAsSelector(term.LabelSelector)
		if err == nil && selector.Matches(labels.Set(other.Labels)) {
			return true
		}
	}
	return false
}
