package kubekit

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// podRuns reports whether every container of the pod has started, ready or
// not, and if not says what the pod is doing instead.
func podRuns(p *corev1.Pod) (bool, string) {
	if p.DeletionTimestamp != nil {
		return false, "is being deleted"
	}
	for _, cs := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
		if w := cs.State.Waiting; w != nil && w.Reason != "" && w.Reason != "PodInitializing" && w.Reason != "ContainerCreating" {
			if w.Message == "" {
				return false, fmt.Sprintf("waits: container %s is in %s", cs.Name, w.Reason)
			}
			return false, fmt.Sprintf("waits: container %s is in %s: %s", cs.Name, w.Reason, w.Message)
		}
	}
	if p.Status.Phase != corev1.PodRunning {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Message != "" {
				return false, "is not scheduled: " + c.Message
			}
		}
		if p.Status.Phase == "" {
			return false, "is Pending"
		}
		return false, "is " + string(p.Status.Phase)
	}
	for _, cs := range p.Status.ContainerStatuses {
		if cs.State.Running == nil {
			return false, fmt.Sprintf("waits for container %s to start", cs.Name)
		}
	}
	return true, ""
}

func podReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// whyNotReady says what keeps the first pod that is not ready from being so;
// "" if all are, or none exists.
func whyNotReady(pods []corev1.Pod) string {
	for _, p := range pods {
		if p.Status.Phase == corev1.PodSucceeded || podReady(&p) {
			continue
		}
		if runs, why := podRuns(&p); !runs {
			return "pod " + p.Name + " " + OneLine(why)
		}
		return "pod " + p.Name + " runs and is not ready"
	}
	return ""
}
