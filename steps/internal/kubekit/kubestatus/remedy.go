package kubestatus

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// PodHint returns the hint for a pod that does not get ready; "" if there is none for
// its state.
func PodHint(p *corev1.Pod) string {
	for _, cs := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if w := cs.State.Waiting; w != nil {
			if hint := waitingHint(p, &cs, w.Reason); hint != "" {
				return hint
			}
		}
		if last := cs.LastTerminationState.Terminated; last != nil && last.ExitCode != 0 && !cs.Ready {
			return crashed(p, &cs, last.Reason)
		}
	}
	if c := PodCondition(p, corev1.PodScheduled); c.Status == corev1.ConditionFalse {
		return fmt.Sprintf("no node takes the pod: compare its requests, affinity, tolerations and volume claims with the nodes: kubectl -n %s describe pod %s", p.Namespace, p.Name)
	}
	return ""
}

// PodsHint is PodHint of the first pod that is not ready and has one.
func PodsHint(pods []corev1.Pod) string {
	for _, p := range pods {
		if p.Status.Phase == corev1.PodSucceeded || PodReady(&p) {
			continue
		}
		if hint := PodHint(&p); hint != "" {
			return hint
		}
	}
	return ""
}

// waitingHint is the hint for a container that waits for a reason of the kubelet
// (pkg/kubelet/images/types.go, pkg/kubelet/container/sync_result.go).
func waitingHint(p *corev1.Pod, cs *corev1.ContainerStatus, reason string) string {
	switch reason {
	case "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "RegistryUnavailable", "InvalidImageName":
		return fmt.Sprintf("image %s cannot be pulled: check its name and tag, whether the nodes reach its registry, and imagePullSecrets if it wants credentials: kubectl -n %s describe pod %s", imageOf(p, cs), p.Namespace, p.Name)
	case "CrashLoopBackOff", "RunContainerError", "StartError":
		last := cs.LastTerminationState.Terminated
		if last == nil {
			last = new(corev1.ContainerStateTerminated)
		}
		return crashed(p, cs, last.Reason)
	case "CreateContainerConfigError", "CreateContainerError":
		return fmt.Sprintf("container %s cannot be made as its pod asks: a Secret, a ConfigMap or a key that it names is missing: kubectl -n %s describe pod %s", cs.Name, p.Namespace, p.Name)
	}
	return ""
}

func crashed(p *corev1.Pod, cs *corev1.ContainerStatus, reason string) string {
	if reason == "OOMKilled" {
		return fmt.Sprintf("container %s needs more memory than its limit: raise resources.limits.memory", cs.Name)
	}
	return fmt.Sprintf("container %s starts and ends: mend what it says: kubectl -n %s logs %s -c %s --previous", cs.Name, p.Namespace, p.Name, cs.Name)
}

// imageOf returns the image as the pod names it.
func imageOf(p *corev1.Pod, cs *corev1.ContainerStatus) string {
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		if c.Name == cs.Name && c.Image != "" {
			return c.Image
		}
	}
	return cs.Image
}
