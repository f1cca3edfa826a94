package drive

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/hub"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

func podOf(name, index string, phase corev1.PodPhase, state corev1.ContainerState) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Annotations: map[string]string{batchv1.JobCompletionIndexAnnotation: index, batchv1.JobIndexFailureCountAnnotation: "0"}},
		Status:     corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{Name: objects.Container, State: state}}},
	}
}

// A cluster is settled once its pod has succeeded: the Job's status has it later.
func TestSettledAtOnce(t *testing.T) {
	ended := func(code int32) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}
	}
	pods := []corev1.Pod{
		podOf("a", "0", corev1.PodSucceeded, ended(0)),
		podOf("b", "1", corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}),
		podOf("c", "2", corev1.PodFailed, ended(1)),
		podOf("d", "3", corev1.PodFailed, ended(record.ExitHeld)),
		podOf("e", "4", corev1.PodPending, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}),
	}
	known := make(map[types.UID]hub.Pod)
	for range 2 {
		s := snapshot(record.Run{Retries: 1}, record.Wave{Name: "all", Clusters: 5}, &batchv1.Job{}, pods, known)
		if !s.Succeeded[0] || len(s.Settled) != 1 || len(s.Running) != 1 || len(s.Failing) != 1 || len(s.Failed) != 0 || !s.Held[3] || len(s.Waiting) != 1 {
			t.Errorf("%+v", s)
		}
	}
	if len(known) != 2 {
		t.Errorf("%d pods are kept as ended: %v", len(known), known)
	}
}
