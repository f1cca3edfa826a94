package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
)

const jobsNamespace = "jobs"

const (
	validPlan   = "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: good}\nsteps:\n- {id: root, uses: pkiRoot, with: {commonName: x}}\n"
	invalidPlan = "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: bad}\nsteps:\n- {id: root, uses: nosuchkind}\n"
	// endlessPlan waits for a Deployment that no node can run.
	endlessPlan = `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: endless}
steps:
- id: stuck
  uses: applyManifest
  with:
    namespace: jobs
    manifests:
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: stuck}
      spec:
        selector: {matchLabels: {app: stuck}}
        template:
          metadata: {labels: {app: stuck}}
          spec: {nodeSelector: {no: node}, containers: [{name: main, image: nginx}]}
`
)

// A jobLab is the shared lab with the objects that Jobs of ztplan's image need.
type jobLab struct {
	*lab
	mu   sync.Mutex
	pods map[string]*corev1.Pod // the last form of each, also of those that are gone
}

func newJobLab(t *testing.T) *jobLab {
	t.Helper()
	l := &jobLab{lab: shared(t), pods: map[string]*corev1.Pod{}}
	t.Parallel() // it waits more than it does
	ctx := t.Context()
	if _, err := l.api.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: jobsNamespace}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // t's context is over
		_ = l.api.CoreV1().Namespaces().Delete(context.Background(), jobsNamespace, metav1.DeleteOptions{})
	})
	for name, data := range map[string]map[string]string{
		"plans": {"0": validPlan, "1": invalidPlan},
		"access": {
			"kubeconfig": l.kubeconfig(t, "https://kubernetes.default.svc"), "direct": l.kubeconfig(t, l.config.Host),
			"endless.yaml": endlessPlan, "bad.yaml": invalidPlan,
		},
	} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}
		if _, err := l.api.CoreV1().Secrets(jobsNamespace).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	watch, err := l.api.CoreV1().Pods(jobsNamespace).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for event := range watch.ResultChan() {
			if pod, ok := event.Object.(*corev1.Pod); ok {
				l.mu.Lock()
				l.pods[pod.Name] = pod
				l.mu.Unlock()
			}
		}
	}()
	t.Cleanup(watch.Stop)
	return l
}

// kubeconfig returns a kubeconfig of the administrator for the lab at an address.
func (l *jobLab) kubeconfig(t *testing.T, server string) string {
	t.Helper()
	data, err := clientcmd.Write(clientcmdapi.Config{
		CurrentContext: "hub",
		Contexts:       map[string]*clientcmdapi.Context{"hub": {Cluster: "hub", AuthInfo: "admin"}},
		Clusters:       map[string]*clientcmdapi.Cluster{"hub": {Server: server, CertificateAuthorityData: l.config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"admin": {ClientCertificateData: l.config.CertData, ClientKeyData: l.config.KeyData}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// create makes an Indexed Job of ztplan's image.
func (l *jobLab) create(t *testing.T, name string, completions int32, edit func(*batchv1.JobSpec), args ...string) {
	t.Helper()
	exits := func(action batchv1.PodFailurePolicyAction, codes ...int32) batchv1.PodFailurePolicyRule {
		return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: codes,
		}}
	}
	spec := batchv1.JobSpec{
		CompletionMode: ptr.To(batchv1.IndexedCompletion), Completions: &completions, Parallelism: &completions,
		BackoffLimitPerIndex: ptr.To[int32](1), PodReplacementPolicy: ptr.To(batchv1.Failed),
		PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
			{Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}},
			exits(batchv1.PodFailurePolicyActionFailIndex, 3),
		}},
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: ptr.To[int64](600),
			Containers: []corev1.Container{{
				Name: "ztplan", Image: "ghcr.io/ztplan/ztplan:v1.0.0", Args: args,
				TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
				Env:                      []corev1.EnvVar{{Name: "KUBECONFIG", Value: "/access/kubeconfig"}},
				VolumeMounts: []corev1.VolumeMount{
					{Name: "access", MountPath: "/access"},
					{Name: "plans", MountPath: "/plan.yaml", SubPathExpr: "$(JOB_COMPLETION_INDEX)"},
				},
			}},
			Volumes: []corev1.Volume{
				{Name: "access", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "access"}}},
				{Name: "plans", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "plans"}}},
			},
		}},
	}
	if edit != nil {
		edit(&spec)
	}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	if _, err := l.api.BatchV1().Jobs(jobsNamespace).Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// job waits for a Job that is as wanted.
func (l *jobLab) job(t *testing.T, name, what string, ok func(batchv1.JobStatus) bool) *batchv1.Job {
	t.Helper()
	var job *batchv1.Job
	waitFor(t, name+" is "+what, func() bool {
		var err error
		job, err = l.api.BatchV1().Jobs(jobsNamespace).Get(t.Context(), name, metav1.GetOptions{})
		return err == nil && ok(job.Status)
	})
	return job
}

// over reports whether a Job has ended.
func over(s batchv1.JobStatus) bool {
	_, failed := jobCondition(s, batchv1.JobFailed)
	_, complete := jobCondition(s, batchv1.JobComplete)
	return failed || complete
}

func jobCondition(s batchv1.JobStatus, kind batchv1.JobConditionType) (batchv1.JobCondition, bool) {
	for _, c := range s.Conditions {
		if c.Type == kind && c.Status == corev1.ConditionTrue {
			return c, true
		}
	}
	return batchv1.JobCondition{}, false
}

// of lists the pods that a Job has had.
func (l *jobLab) of(job string) []*corev1.Pod {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*corev1.Pod
	for _, pod := range l.pods {
		if pod.Labels[batchv1.JobNameLabel] == job {
			list = append(list, pod)
		}
	}
	return list
}

// ended returns the pods of a Job that is over. The Job controller may have seen their
// end earlier than this test.
func (l *jobLab) ended(t *testing.T, job string, count int) (pods []*corev1.Pod) {
	t.Helper()
	waitFor(t, fmt.Sprintf("%s has %d pods that have ended", job, count), func() bool {
		pods = l.of(job)
		return len(pods) == count && !slices.ContainsFunc(pods, func(p *corev1.Pod) bool {
			return len(p.Status.ContainerStatuses) != 1 || p.Status.ContainerStatuses[0].State.Terminated == nil
		})
	})
	return pods
}

// terminated returns how the container of a Job's only pod ended.
func (l *jobLab) terminated(t *testing.T, job string) (*corev1.Pod, *corev1.ContainerStateTerminated) {
	t.Helper()
	pod := l.ended(t, job, 1)[0]
	return pod, pod.Status.ContainerStatuses[0].State.Terminated
}

// running waits until the only pod of a Job's endless plan waits for its Deployment.
func (l *jobLab) running(t *testing.T, job string) (pod string) {
	t.Helper()
	waitFor(t, job+" runs", func() bool {
		pods := l.of(job)
		if len(pods) != 1 {
			return false
		}
		pod = pods[0].Name
		log, err := l.api.CoreV1().Pods(jobsNamespace).GetLogs(pod, &corev1.PodLogOptions{}).DoRaw(t.Context())
		return err == nil && strings.Contains(string(log), "stuck")
	})
	return pod
}

// The real Job controller, the real eviction API and ztplan's own program.
func TestIndexedJobsOfPlans(t *testing.T) {
	l := newJobLab(t)
	endless := []string{"run", "--no-lock", "--no-color", "/access/endless.yaml"}

	// Created at once: the Job controller backs off for ten seconds.
	l.create(t, "plans", 2, nil, "validate", "/plan.yaml")
	l.create(t, "whole", 1, func(s *batchv1.JobSpec) {
		s.PodFailurePolicy.Rules[1].Action = batchv1.PodFailurePolicyActionFailJob
	}, "validate", "/access/bad.yaml")
	l.create(t, "retried", 1, func(s *batchv1.JobSpec) { s.PodFailurePolicy = nil }, "validate", "/access/bad.yaml")
	l.create(t, "shell", 1, func(s *batchv1.JobSpec) {
		s.BackoffLimitPerIndex = ptr.To[int32](0)
		s.Template.Spec.Containers[0].Command = []string{"sh", "-c"}
	}, "ztplan version")
	l.create(t, "version", 1, func(s *batchv1.JobSpec) {
		s.Template.Spec.Containers[0].Command = []string{"ztplan"}
		s.Template.Spec.Containers[0].Image = "mirror.example:5000/else/ztplan@sha256:" + strings.Repeat("0", 64)
	}, "version")
	l.create(t, "late", 1, func(s *batchv1.JobSpec) {
		s.BackoffLimitPerIndex = ptr.To[int32](0)
	}, endless...)
	l.create(t, "evicted", 1, nil, endless...)
	l.create(t, "suspended", 1, nil, append(endless, "--kubeconfig=/access/direct")...) // as that of another lab

	t.Run("exit codes by index", func(t *testing.T) {
		job := l.job(t, "plans", "over", over)
		if job.Status.CompletedIndexes != "0" || ptr.Deref(job.Status.FailedIndexes, "") != "1" {
			t.Errorf("completed %q, failed %q; want 0 and 1", job.Status.CompletedIndexes, ptr.Deref(job.Status.FailedIndexes, ""))
		}
		for _, pod := range l.ended(t, "plans", 2) {
			end := pod.Status.ContainerStatuses[0].State.Terminated
			switch index := pod.Labels[batchv1.JobCompletionIndexAnnotation]; {
			case index == "0" && (end.ExitCode != 0 || end.Message != ""), index == "1" && (end.ExitCode != 3 || !strings.Contains(end.Message, "nosuchkind")):
				t.Errorf("index %s: exit code %d, message %q", index, end.ExitCode, end.Message)
			}
		}
	})
	t.Run("one code fails the Job", func(t *testing.T) {
		job := l.job(t, "whole", "over", over)
		if c, failed := jobCondition(job.Status, batchv1.JobFailed); !failed || c.Reason != batchv1.JobReasonPodFailurePolicy {
			t.Errorf("conditions %+v", job.Status.Conditions)
		}
	})
	t.Run("another command", func(t *testing.T) {
		l.job(t, "shell", "over", over)
		if _, end := l.terminated(t, "shell"); end.ExitCode != 128 || end.Reason != "StartError" {
			t.Errorf("ended with %+v", end)
		}
	})
	t.Run("a mirror", func(t *testing.T) {
		l.job(t, "version", "over", over)
		if pod, end := l.terminated(t, "version"); end.ExitCode != 0 {
			t.Errorf("%s ended with %+v", pod.Name, end)
		}
	})
	t.Run("eviction", func(t *testing.T) {
		name := l.running(t, "evicted")
		if err := l.api.PolicyV1().Evictions(jobsNamespace).Evict(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: jobsNamespace}}); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the pod is replaced", func() bool { return len(l.of("evicted")) == 2 })
		for _, pod := range l.of("evicted") {
			if pod.Name == name {
				wantDisrupted(t, pod)
			}
		}
		if job := l.job(t, "evicted", "running again", func(s batchv1.JobStatus) bool { return s.Active == 1 }); job.Status.Failed != 0 {
			t.Errorf("%d failures; an evicted pod is none", job.Status.Failed)
		}
	})
	t.Run("suspend", func(t *testing.T) {
		l.running(t, "suspended")
		if _, err := l.api.BatchV1().Jobs(jobsNamespace).Patch(t.Context(), "suspended", types.MergePatchType, []byte(`{"spec":{"suspend":true}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		l.job(t, "suspended", "suspended", func(s batchv1.JobStatus) bool {
			_, suspended := jobCondition(s, batchv1.JobSuspended)
			return suspended && s.Active == 0 && ptr.Deref(s.Terminating, 0) == 0
		})
		if pod, end := l.terminated(t, "suspended"); end.ExitCode != 130 || pod.Status.Phase != corev1.PodFailed {
			t.Errorf("phase %s, ended with %+v", pod.Status.Phase, end)
		}
	})
	t.Run("deadline of the pod", func(t *testing.T) {
		// It counts from the pod's start, and the program needs a moment to begin.
		name := l.running(t, "late")
		if _, err := l.api.CoreV1().Pods(jobsNamespace).Patch(t.Context(), name, types.MergePatchType, []byte(`{"spec":{"activeDeadlineSeconds":1}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		l.job(t, "late", "over", over)
		if pod, _ := l.terminated(t, "late"); pod.Status.Phase != corev1.PodFailed || pod.Status.Reason != "DeadlineExceeded" {
			t.Errorf("pod: %s %s", pod.Status.Phase, pod.Status.Reason)
		}
	})
	t.Run("retries of an index", func(t *testing.T) {
		job := l.job(t, "retried", "over", over)
		if job.Status.Failed != 2 || ptr.Deref(job.Status.FailedIndexes, "") != "0" {
			t.Errorf("%d failures, failed indexes %q; want the first try and one more", job.Status.Failed, ptr.Deref(job.Status.FailedIndexes, ""))
		}
	})
}

// wantDisrupted checks the last status of an evicted pod.
func wantDisrupted(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	disrupted := false
	for _, c := range pod.Status.Conditions {
		disrupted = disrupted || c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue
	}
	state := pod.Status.ContainerStatuses[0].State.Terminated
	if !disrupted || pod.Status.Phase != corev1.PodFailed || state == nil || state.ExitCode != 130 {
		text, _ := json.Marshal(pod.Status)
		t.Errorf("the last status of the evicted pod: %s", text)
	}
}
