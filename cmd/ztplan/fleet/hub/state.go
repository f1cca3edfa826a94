package hub

import (
	"context"
	"fmt"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/member"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// exitAborted is the exit code of a container that SIGABRT ended: ztplan ends so when it
// crashes, unless it is process 1, to which the signal does nothing.
const exitAborted = 128 + 6

// A Pod is the state of a pod of a wave.
type Pod struct {
	Name    string
	Index   int
	Phase   corev1.PodPhase
	Exit    int32           // -1 while it has none
	Verdict *record.Verdict // nil if it wrote none
	Reason  string          // of a pod that waits or was ended: an image that cannot be pulled, eviction
	Created time.Time
}

// PodOf reads a pod of a wave.
func PodOf(p *corev1.Pod) Pod {
	out := Pod{Name: p.Name, Index: -1, Phase: p.Status.Phase, Exit: -1, Created: p.CreationTimestamp.Time, Reason: p.Status.Reason}
	if i, err := strconv.Atoi(p.Annotations[batchv1.JobCompletionIndexAnnotation]); err == nil {
		out.Index = i
	}
	for _, s := range p.Status.ContainerStatuses {
		if s.Name != objects.Container {
			continue
		}
		if t := s.State.Terminated; t != nil {
			out.Exit, out.Verdict = t.ExitCode, record.ParseVerdict(t.Message)
			if out.Verdict == nil && t.Message != "" {
				out.Reason = t.Message
			}
		}
		if w := s.State.Waiting; w != nil && w.Reason != "ContainerCreating" {
			out.Reason = w.Reason + ": " + w.Message
		}
	}
	return out
}

// Cause returns why a pod ended as it did; "" if that is not known, as for no pod.
func (p Pod) Cause() string {
	switch {
	case p.Name == "":
		return ""
	case p.Verdict != nil:
		return p.Verdict.Cause
	case p.Exit == 2 || p.Exit == exitAborted: // Go's own exit code, and that of a crash by signal
		return fmt.Sprintf("ztplan crashed: exit %d without a verdict; see the pod's log", p.Exit)
	case p.Reason != "":
		return p.Reason
	case p.Exit >= 0:
		return fmt.Sprintf("exit %d without a verdict; see the pod's log", p.Exit)
	}
	return ""
}

// A Wave is the state of a wave.
type Wave struct {
	record.Wave
	Job       string
	Made      bool // the Job is there
	Over      bool // it is complete, or has failed
	Suspended bool
	Stopped   string // why it was stopped
	Ended     time.Time
	Invalid   string // why the Job as a whole failed: the plan or the image is another one

	Succeeded map[int]bool // indexes
	Failed    map[int]bool
	Held      map[int]bool
	Live      int // pods that run, also those that are ending, or are about to run
}

// Read returns the state of a wave from its Job, nil if it is not there, and its pods;
// those that succeeded may be left out.
func Read(run record.Run, w record.Wave, job *batchv1.Job, pods []corev1.Pod) Wave {
	out := Wave{Wave: w, Job: objects.JobName(run, w.Name), Succeeded: make(map[int]bool), Held: make(map[int]bool), Failed: make(map[int]bool)}
	var failed []corev1.Pod
	for i := range pods {
		switch pods[i].Status.Phase {
		case corev1.PodFailed:
			failed = append(failed, pods[i])
		case corev1.PodSucceeded:
		default:
			out.Live++
		}
	}
	if job == nil {
		return out
	}
	out.Made = true
	out.Suspended = job.Spec.Suspend != nil && *job.Spec.Suspend
	out.Stopped = job.Annotations[record.AnnotationStop]
	for _, i := range member.Indexes(job.Status.CompletedIndexes) {
		out.Succeeded[i] = true
	}
	out.Failed = member.Failures(job, failed, run)
	for i := range failed {
		if p := PodOf(&failed[i]); p.Exit == record.ExitHeld {
			out.Held[p.Index] = true
			delete(out.Failed, p.Index)
		}
	}
	for _, c := range job.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete, batchv1.JobFailed:
			out.Over, out.Ended = true, c.LastTransitionTime.Time
			if c.Type == batchv1.JobFailed && c.Reason == batchv1.JobReasonPodFailurePolicy {
				out.Invalid = c.Message
			}
		}
	}
	return out
}

// Exceeded reports whether more clusters failed than may.
func (w Wave) Exceeded() bool { return len(w.Failed) > w.Failures }

// Rests reports whether no pod of the wave runs, and none will unless it is let go.
func (w Wave) Rests() bool {
	return w.Over || w.Live == 0 && (!w.Made || w.Suspended && w.Stopped != "")
}

// Holds returns why the wave holds those after it; "" if it does not, or not yet.
func (w Wave) Holds() string {
	switch {
	case !w.Made:
		return fmt.Sprintf("wave %s: its Job %s was deleted", w.Name, w.Job)
	case w.Stopped != "":
		return fmt.Sprintf("wave %s was stopped: %s", w.Name, w.Stopped)
	case w.Invalid != "":
		return fmt.Sprintf("wave %s: the pods found the plan invalid, so that it is not the one that was checked: %s", w.Name, w.Invalid)
	case w.Exceeded():
		return fmt.Sprintf("wave %s: %d of %d clusters failed, and %s may", w.Name, len(w.Failed), w.Clusters, w.Limit)
	}
	return ""
}

// Wave reads the state of a wave of a run.
func (h *Hub) Wave(ctx context.Context, run record.Run, w record.Wave) (Wave, error) {
	name := objects.JobName(run, w.Name)
	job, err := h.Client.BatchV1().Jobs(h.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		job, err = nil, nil
	}
	if err != nil {
		return Wave{}, h.explain(err)
	}
	pods, err := h.Client.CoreV1().Pods(h.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: batchv1.JobNameLabel + "=" + name, FieldSelector: "status.phase!=" + string(corev1.PodSucceeded),
	})
	if err != nil {
		return Wave{}, h.explain(err)
	}
	return Read(run, w, job, pods.Items), nil
}
