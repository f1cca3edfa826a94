package node

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	kubeletstatus "k8s.io/kubernetes/pkg/kubelet/status"
	"k8s.io/utils/ptr"
)

// publish computes the pod's status and makes it visible, to the API server and
// to the agent's methods. terminal: no container will be started any
// more.
func (w *worker) publish(terminal bool) {
	pod, now := w.pod, metav1.Now()
	s := podStatus(pod, w.containers, w.mounted, terminal, w.overdue, w.startTime, w.status.conditions(pod.Status.Conditions), now)
	w.a.publish(w.uid, w.snapshot()) // first: a state that the API server has got holds on the node
	w.status.set(s)
}

// podStatus computes a pod's status from its containers, with the conditions that are the
// node's. mounted: the volumes are filled; terminal, that no container will be started any
// more; overdue, that the pod was ended at its activeDeadlineSeconds; previous are the
// conditions that were published last.
func podStatus(pod *corev1.Pod, containers []*cont, mounted, terminal, overdue bool, start metav1.Time, previous []corev1.PodCondition, now metav1.Time) corev1.PodStatus {
	old := &pod.Status
	s := corev1.PodStatus{
		ObservedGeneration: podutil.CalculatePodStatusObservedGeneration(pod),
		HostIP:             pod.Status.HostIP,
		HostIPs:            pod.Status.HostIPs,
		PodIP:              pod.Status.PodIP,
		PodIPs:             pod.Status.PodIPs,
		StartTime:          &start,
	}
	for _, c := range containers {
		status := c.status()
		if c.init || c.sidecar {
			s.InitContainerStatuses = append(s.InitContainerStatuses, status)
		} else {
			s.ContainerStatuses = append(s.ContainerStatuses, status)
		}
	}
	s.Phase = phase(containers, terminal)
	if overdue {
		s.Phase, s.Reason, s.Message = corev1.PodFailed, reasonDeadline, messageDeadline
	}
	if old.Phase == corev1.PodSucceeded || old.Phase == corev1.PodFailed {
		s.Phase = old.Phase // a phase that is final stays
	}
	all := slices.Concat(s.InitContainerStatuses, s.ContainerStatuses)
	ready := kubeletstatus.GenerateContainersReadyCondition(pod, old, all, s.Phase)
	conditions := []corev1.PodCondition{
		{Type: corev1.PodReadyToStartContainers, Status: conditionStatus(mounted), ObservedGeneration: s.ObservedGeneration},
		kubeletstatus.GeneratePodInitializedCondition(pod, old, all, s.Phase),
		kubeletstatus.GeneratePodReadyCondition(pod, old, old.Conditions, all, s.Phase),
		ready,
	}
	for _, c := range conditions {
		s.Conditions = append(s.Conditions, since(c, previous, now))
	}
	return s
}

// Reason and message of a pod that was ended at its deadline, as in the kubelet
// (pkg/kubelet/active_deadline.go).
const (
	reasonDeadline  = "DeadlineExceeded"
	messageDeadline = "Pod was active on the node longer than the specified deadline"
)

func conditionStatus(b bool) corev1.ConditionStatus {
	if b {
		return corev1.ConditionTrue
	}
	return corev1.ConditionFalse
}

// since gives a condition the time of the last change of its status.
func since(c corev1.PodCondition, old []corev1.PodCondition, now metav1.Time) corev1.PodCondition {
	c.LastTransitionTime = now
	if _, before := podutil.GetPodConditionFromList(old, c.Type); before != nil && before.Status == c.Status {
		c.LastTransitionTime = before.LastTransitionTime
	}
	return c
}

// status is the container's status as the API shows it.
func (c *cont) status() corev1.ContainerStatus {
	s := corev1.ContainerStatus{
		Name:                 c.spec.Name,
		State:                c.state,
		LastTerminationState: c.last,
		Ready:                c.running() && c.ready && !c.init,
		Started:              ptr.To(c.running() && !c.init),
		RestartCount:         c.restarts,
		Image:                c.spec.Image,
		ContainerID:          c.id,
	}
	if c.id != "" {
		s.ImageID = c.imageID()
	}
	if t := c.state.Terminated; c.init && t != nil {
		s.Ready = t.ExitCode == 0
	}
	return s
}

// phase follows the kubelet's getPhase (pkg/kubelet/kubelet_pods.go).
func phase(containers []*cont, terminal bool) corev1.PodPhase {
	var pending, running, waiting, stopped, final, succeeded int
	for _, c := range containers {
		ran := c.state.Terminated
		if ran == nil && c.state.Waiting != nil {
			ran = c.last.Terminated
		}
		switch {
		case c.init:
			switch {
			case ran == nil, c.running():
				pending++
			case ran.ExitCode != 0 && c.done:
				return corev1.PodFailed
			case ran.ExitCode != 0:
				pending++
			}
		case c.running():
			running++
		case c.sidecar:
			if ran == nil {
				pending++
			}
		case ran == nil:
			waiting++
		default:
			stopped++
			if c.done {
				final++
			}
			if ran.ExitCode == 0 {
				succeeded++
			}
		}
	}
	switch {
	case terminal && running == 0 && (pending > 0 || waiting > 0):
		return corev1.PodFailed // deleted before it ran to its end
	case pending > 0, waiting > 0:
		return corev1.PodPending
	case running > 0:
		return corev1.PodRunning
	case !terminal && stopped != final:
		return corev1.PodRunning // something will be restarted
	case stopped == succeeded:
		return corev1.PodSucceeded
	default:
		return corev1.PodFailed
	}
}
