package member

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// Held returns why the stop rule holds this cluster, "" if it does not. It is asked
// before the first contact with the cluster. A Job that was delivered into its cluster
// has no rule.
//
// A failure counts once its cluster is not tried again. The Job's status has it a moment
// after the Job controller replaced the failed pod, so that the failed pods count as
// well: the pod that made room for this one is among them.
func (m *Member) Held(ctx context.Context) (reason string, err error) {
	if m.Run.Pull {
		return "", nil
	}
	job, err := m.hub.BatchV1().Jobs(m.pod.Namespace).Get(ctx, m.pod.Job, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("the hub: %w", err)
	}
	if why, ok := job.Annotations[record.AnnotationStop]; ok {
		return "the fleet was stopped: " + why, nil
	}
	pods, err := m.hub.CoreV1().Pods(m.pod.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: batchv1.JobNameLabel + "=" + m.pod.Job, FieldSelector: "status.phase=" + string(corev1.PodFailed),
	})
	if err != nil {
		return "", fmt.Errorf("the hub: %w", err)
	}
	if failed := Failures(job, pods.Items, m.Run); len(failed) > m.Wave.Failures {
		return fmt.Sprintf("wave %s: %d of %d clusters failed, and %s may", m.Wave.Name, len(failed), m.Wave.Clusters, m.Wave.Limit), nil
	}
	return "", nil
}

// Failures returns the indexes of a Job that failed and are not tried again, without
// those that were held.
func Failures(job *batchv1.Job, failed []corev1.Pod, run record.Run) map[int]bool {
	out := make(map[int]bool)
	if job.Status.FailedIndexes != nil {
		for _, i := range Indexes(*job.Status.FailedIndexes) {
			out[i] = true
		}
	}
	for i := range failed {
		p := &failed[i]
		index, err := strconv.Atoi(p.Annotations[batchv1.JobCompletionIndexAnnotation])
		if err != nil {
			continue
		}
		switch code := exitCode(p); {
		case code == record.ExitHeld:
			delete(out, index)
		case final(p, code, run):
			out[index] = true
		}
	}
	return out
}

// final reports whether the failure of a pod is the last one of its index; see the
// failure policy in package objects.
func final(p *corev1.Pod, code int32, run record.Run) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			return false
		}
	}
	switch {
	case code == 130:
		return false
	case code == 3, code == 2 && run.Mode == fleet.ModeStatus:
		return true
	}
	before, err := strconv.Atoi(p.Annotations[batchv1.JobIndexFailureCountAnnotation])
	return err == nil && before >= run.Retries
}

// exitCode returns the exit code of the pod's container; -1 if it has none, as after a
// deadline.
func exitCode(p *corev1.Pod) int32 {
	for _, s := range p.Status.ContainerStatuses {
		if s.Name == objects.Container && s.State.Terminated != nil {
			return s.State.Terminated.ExitCode
		}
	}
	return -1
}

// Indexes reads a list such as "1,3-5", as the status of a Job has it.
func Indexes(text string) []int {
	var out []int
	for part := range strings.SplitSeq(text, ",") {
		low, high, span := strings.Cut(part, "-")
		from, err := strconv.Atoi(low)
		if err != nil {
			continue
		}
		to := from
		if span {
			if to, err = strconv.Atoi(high); err != nil {
				continue
			}
		}
		for i := from; i <= to; i++ {
			out = append(out, i)
		}
	}
	return out
}
