package kubestatus_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// The hint for a pod follows from its state: more time helps none of these.
func TestPodHint(t *testing.T) {
	waits := func(reason string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: "web", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}
	}
	ended := func(reason string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: "web", LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: reason}}}
	}
	unscheduled := corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/1 nodes are available"}
	for name, c := range map[string]struct {
		status corev1.PodStatus
		want   string // "" for no hint
	}{
		"no image":        {corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{waits("ImagePullBackOff")}}, "image registry.example/web:9 cannot be pulled: check its name and tag"},
		"a wrong name":    {corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{waits("InvalidImageName")}}, "image registry.example/web:9 cannot be pulled"},
		"it crashes":      {corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{waits("CrashLoopBackOff")}}, "kubectl -n a logs web-0 -c web --previous"},
		"it ended":        {corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{ended("Error")}}, "kubectl -n a logs web-0 -c web --previous"},
		"no memory":       {corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{ended("OOMKilled")}}, "resources.limits.memory"},
		"no Secret":       {corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{waits("CreateContainerConfigError")}}, "a Secret, a ConfigMap or a key"},
		"no node":         {corev1.PodStatus{Conditions: []corev1.PodCondition{unscheduled}}, "no node takes the pod"},
		"it only starts":  {corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{waits("ContainerCreating")}}, ""},
		"nothing is said": {corev1.PodStatus{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web-0"},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "registry.example/web:9"}}},
				Status:     c.status,
			}
			got := kubestatus.PodsHint([]corev1.Pod{{Status: corev1.PodStatus{Phase: corev1.PodSucceeded}}, p})
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || strings.Contains(got, "timeout") {
				t.Errorf("hint %q, want %q", got, c.want)
			}
		})
	}
}
