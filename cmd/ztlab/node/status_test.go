package node

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// noComponent makes every container simulated.
func noComponent(string) string { return "" }

func podOf(policy corev1.RestartPolicy, init, main int) *corev1.Pod {
	pod := examplePod()
	pod.Spec.RestartPolicy = policy
	for i := range init {
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, corev1.Container{Name: "init" + string(rune('0'+i))})
	}
	for i := range main {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "main" + string(rune('0'+i))})
	}
	return pod
}

func TestPhase(t *testing.T) {
	now := time.Now()
	run := func(c *cont) { c.started(now) }
	end := func(code int32) func(pod *corev1.Pod, c *cont) {
		return func(pod *corev1.Pod, c *cont) { c.started(now); c.ended(pod, exit{code: code}, now) }
	}
	do := func(f func(*cont)) func(*corev1.Pod, *cont) { return func(_ *corev1.Pod, c *cont) { f(c) } }
	nothing := func(*corev1.Pod, *cont) {}
	tests := map[string]struct {
		policy     corev1.RestartPolicy
		init, main int
		states     []func(*corev1.Pod, *cont)
		terminal   bool
		want       corev1.PodPhase
	}{
		"new":                        {corev1.RestartPolicyAlways, 0, 1, []func(*corev1.Pod, *cont){nothing}, false, corev1.PodPending},
		"one of two runs":            {corev1.RestartPolicyAlways, 0, 2, []func(*corev1.Pod, *cont){do(run), nothing}, false, corev1.PodPending},
		"runs":                       {corev1.RestartPolicyAlways, 0, 2, []func(*corev1.Pod, *cont){do(run), do(run)}, false, corev1.PodRunning},
		"init runs":                  {corev1.RestartPolicyAlways, 1, 1, []func(*corev1.Pod, *cont){do(run), nothing}, false, corev1.PodPending},
		"init done, main runs":       {corev1.RestartPolicyAlways, 1, 1, []func(*corev1.Pod, *cont){end(0), do(run)}, false, corev1.PodRunning},
		"init failed, never":         {corev1.RestartPolicyNever, 1, 1, []func(*corev1.Pod, *cont){end(1), nothing}, false, corev1.PodFailed},
		"init failed, tried again":   {corev1.RestartPolicyOnFailure, 1, 1, []func(*corev1.Pod, *cont){end(1), nothing}, false, corev1.PodPending},
		"ended, restarted":           {corev1.RestartPolicyAlways, 0, 1, []func(*corev1.Pod, *cont){end(0)}, false, corev1.PodRunning},
		"failed, restarted":          {corev1.RestartPolicyOnFailure, 0, 1, []func(*corev1.Pod, *cont){end(1)}, false, corev1.PodRunning},
		"completed":                  {corev1.RestartPolicyOnFailure, 0, 1, []func(*corev1.Pod, *cont){end(0)}, false, corev1.PodSucceeded},
		"failed":                     {corev1.RestartPolicyNever, 0, 2, []func(*corev1.Pod, *cont){end(0), end(1)}, false, corev1.PodFailed},
		"completed and runs":         {corev1.RestartPolicyNever, 0, 2, []func(*corev1.Pod, *cont){end(0), do(run)}, false, corev1.PodRunning},
		"deleted after a clean end":  {corev1.RestartPolicyAlways, 0, 1, []func(*corev1.Pod, *cont){end(0)}, true, corev1.PodSucceeded},
		"deleted after a kill":       {corev1.RestartPolicyAlways, 0, 1, []func(*corev1.Pod, *cont){end(137)}, true, corev1.PodFailed},
		"deleted before it was born": {corev1.RestartPolicyAlways, 0, 1, []func(*corev1.Pod, *cont){nothing}, true, corev1.PodFailed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			pod := podOf(tt.policy, tt.init, tt.main)
			list := newContainers(pod, noComponent, now)
			for i, set := range tt.states {
				set(pod, list[i])
			}
			if got := phase(list, tt.terminal); got != tt.want {
				t.Errorf("phase = %s; want %s", got, tt.want)
			}
		})
	}
}

func TestPodStatusThroughALife(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	pod := podOf(corev1.RestartPolicyAlways, 0, 1)
	pod.Generation = 1
	list := newContainers(pod, func(string) string { return "vault" }, start)
	c := list[0]
	var previous []corev1.PodCondition
	compute := func(now time.Time) corev1.PodStatus {
		s := podStatus(pod, list, true, false, false, metav1.NewTime(start), previous, metav1.NewTime(now))
		previous = s.Conditions
		return s
	}
	condition := func(s corev1.PodStatus, kind corev1.PodConditionType) corev1.PodCondition {
		for _, c := range s.Conditions {
			if c.Type == kind {
				return c
			}
		}
		return corev1.PodCondition{}
	}

	s := compute(at(0))
	if s.Phase != corev1.PodPending || s.ContainerStatuses[0].State.Waiting.Reason != "ContainerCreating" {
		t.Errorf("new pod: %s, %+v", s.Phase, s.ContainerStatuses[0].State)
	}

	// A sealed Vault: Running, started, not Ready.
	c.started(at(1))
	c.reported(container.Report{Listen: map[int]string{8200: "127.0.0.1:1"}, Ready: ptr.To(false), Message: "Vault is sealed"})
	s = compute(at(1))
	status := s.ContainerStatuses[0]
	if s.Phase != corev1.PodRunning || status.Ready || status.Started == nil || !*status.Started || c.message != "Vault is sealed" {
		t.Errorf("sealed: phase %s, status %+v, message %q", s.Phase, status, c.message)
	}
	ready := condition(s, corev1.PodReady)
	if ready.Status != corev1.ConditionFalse || ready.Reason != "ContainersNotReady" || ready.Message != "containers with unready status: [main0]" {
		t.Errorf("sealed: Ready = %+v", ready)
	}

	c.reported(container.Report{Ready: ptr.To(true)})
	s = compute(at(2))
	if got := condition(s, corev1.PodReady); got.Status != corev1.ConditionTrue || !got.LastTransitionTime.Time.Equal(at(2)) {
		t.Errorf("unsealed: Ready = %+v", got)
	}
	if c.listen[8200] == "" || c.message != "" {
		t.Errorf("unsealed: listen %v, message %q", c.listen, c.message)
	}
	s = compute(at(3))
	if got := condition(s, corev1.PodReady).LastTransitionTime.Time; !got.Equal(at(2)) {
		t.Errorf("Ready changed at %v without a change; want %v", got, at(2))
	}

	// Killed: the first restart is immediate, the second is not.
	c.ended(pod, exit{code: exitKilled}, at(4))
	if c.done || c.startAt.After(at(4)) || c.listen != nil {
		t.Errorf("after the first kill: done %v, start at %v, listen %v", c.done, c.startAt, c.listen)
	}
	c.started(at(4))
	c.ended(pod, exit{code: exitKilled}, at(5))
	s = compute(at(5))
	status = s.ContainerStatuses[0]
	if status.State.Waiting == nil || status.State.Waiting.Reason != "CrashLoopBackOff" || !c.startAt.Equal(at(6)) || s.Phase != corev1.PodRunning {
		t.Errorf("after the second kill: phase %s, %+v, start at %v", s.Phase, status.State, c.startAt)
	}
	if got := status.LastTerminationState.Terminated; got == nil || got.ExitCode != 137 || got.Reason != "Error" {
		t.Errorf("last state = %+v", got)
	}
	c.started(at(6))
	if s = compute(at(6)); s.ContainerStatuses[0].RestartCount != 2 {
		t.Errorf("restartCount = %d; want 2", s.ContainerStatuses[0].RestartCount)
	}

	// Restarted on request: no back-off in any case.
	c.replacing = true
	c.ended(pod, exit{}, at(7))
	if c.done || !c.startAt.Equal(at(7)) {
		t.Errorf("after a restart: done %v, start at %v", c.done, c.startAt)
	}
}

func TestBackoff(t *testing.T) {
	var b backoff
	var got []time.Duration
	for range 9 {
		got = append(got, b.next(time.Second))
	}
	s := time.Second
	want := []time.Duration{0, s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("delays (-want +got):\n%s", diff)
	}
	if got := b.next(3 * time.Minute); got != 0 {
		t.Errorf("delay after a long run = %v; want 0", got)
	}
}

func TestResumeAfterARestartOfTheAgent(t *testing.T) {
	now := time.Now()
	pod := podOf(corev1.RestartPolicyAlways, 1, 1)
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "init0", ContainerID: "ztlab://a", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}}}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main0", ContainerID: "ztlab://b", RestartCount: 2, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(now.Add(-time.Hour))}}}}
	list := newContainers(pod, noComponent, now)
	if !list[0].done {
		t.Error("an init container that completed would run again")
	}
	if list[1].done || list[1].state.Terminated == nil {
		t.Errorf("a container that ran: done %v, state %+v", list[1].done, list[1].state)
	}
	list[1].started(now)
	if list[1].restarts != 3 || list[1].last.Terminated.Reason != "ContainerStatusUnknown" {
		t.Errorf("after its next start: restarts %d, last %+v", list[1].restarts, list[1].last.Terminated)
	}
}
