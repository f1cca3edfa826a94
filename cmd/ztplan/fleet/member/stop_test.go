package member_test

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/member"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// failedPod is a failed pod of an index with as many failures before it.
func failedPod(index, before int, code int32, conditions ...corev1.PodCondition) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
			batchv1.JobCompletionIndexAnnotation: strconv.Itoa(index), batchv1.JobIndexFailureCountAnnotation: strconv.Itoa(before),
		}},
		Status: corev1.PodStatus{Phase: corev1.PodFailed, Conditions: conditions, ContainerStatuses: []corev1.ContainerStatus{
			{Name: objects.Container, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}},
		}},
	}
}

func TestFailures(t *testing.T) {
	disrupted := corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}
	run := record.Run{Retries: 1}
	status := record.Run{Retries: 1, Mode: fleet.ModeStatus}
	for _, tc := range []struct {
		name   string
		run    record.Run
		status string // failed indexes of the Job
		pods   []corev1.Pod
		want   []int
	}{
		{"none", run, "", nil, nil},
		{"of the status", run, "1,3-5", nil, []int{1, 3, 4, 5}},
		{"tried again", run, "", []corev1.Pod{failedPod(2, 0, 1)}, nil},
		{"the last try, before the status has it", run, "", []corev1.Pod{failedPod(2, 0, 1), failedPod(2, 1, 1)}, []int{2}},
		{"in both", run, "2", []corev1.Pod{failedPod(2, 1, 1)}, []int{2}},
		{"held is no failure", run, "2,7", []corev1.Pod{failedPod(2, 0, record.ExitHeld)}, []int{7}},
		{"interrupted, disrupted", run, "", []corev1.Pod{failedPod(0, 1, 130), failedPod(1, 1, 137, disrupted)}, nil},
		{"invalid at once", run, "", []corev1.Pod{failedPod(4, 0, 3)}, []int{4}},
		{"a crash is tried again", run, "", []corev1.Pod{failedPod(4, 0, 2)}, nil},
		{"differences are not", status, "", []corev1.Pod{failedPod(4, 0, 2)}, []int{4}},
		{"a deadline has no exit code", run, "", []corev1.Pod{{ObjectMeta: failedPod(5, 1, 0).ObjectMeta}}, []int{5}},
	} {
		job := &batchv1.Job{}
		if tc.status != "" {
			job.Status.FailedIndexes = &tc.status
		}
		got := slices.Sorted(maps.Keys(member.Failures(job, tc.pods, tc.run)))
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
	}
}
