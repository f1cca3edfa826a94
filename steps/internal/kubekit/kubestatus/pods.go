package kubestatus

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// PodRuns reports whether every container of the pod has started, ready or
// not, and if not, the state of the pod as the end of a sentence about it.
func PodRuns(p *corev1.Pod) (bool, string) {
	if p.DeletionTimestamp != nil {
		return false, "is being deleted"
	}
	for _, cs := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if w := cs.State.Waiting; w != nil && w.Reason != "" && w.Reason != "PodInitializing" && w.Reason != "ContainerCreating" {
			if w.Message == "" {
				return false, fmt.Sprintf("waits: container %s is in %s", cs.Name, w.Reason)
			}
			return false, fmt.Sprintf("waits: container %s is in %s: %s", cs.Name, w.Reason, w.Message)
		}
	}
	scheduled := PodCondition(p, corev1.PodScheduled)
	switch {
	case p.Status.Phase == corev1.PodRunning:
	case scheduled.Status == corev1.ConditionFalse && scheduled.Message != "":
		return false, "is not scheduled: " + scheduled.Message
	case p.Status.Phase == "":
		return false, "is Pending"
	default:
		return false, "is " + string(p.Status.Phase)
	}
	for _, cs := range p.Status.ContainerStatuses {
		if cs.State.Running == nil {
			return false, fmt.Sprintf("waits for container %s to start", cs.Name)
		}
	}
	return true, ""
}

// PodCondition returns the condition of the type, zero if the pod has none.
func PodCondition(p *corev1.Pod, conditionType corev1.PodConditionType) corev1.PodCondition {
	for _, c := range p.Status.Conditions {
		if c.Type == conditionType {
			return c
		}
	}
	return corev1.PodCondition{}
}

// PodReady reports whether the pod's condition Ready holds.
func PodReady(p *corev1.Pod) bool {
	return PodCondition(p, corev1.PodReady).Status == corev1.ConditionTrue
}

// WhyNotReady returns the name and the state of the first pod that is not ready; "" if
// all are, or none exists.
func WhyNotReady(pods []corev1.Pod) string {
	for _, p := range pods {
		if p.Status.Phase == corev1.PodSucceeded || PodReady(&p) {
			continue
		}
		if runs, why := PodRuns(&p); !runs {
			return "pod " + p.Name + " " + OneLine(why)
		}
		return "pod " + p.Name + " runs and is not ready"
	}
	return ""
}
