package objects

import (
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// job returns the Job of a wave.
func (r *Round) job(f *fleet.Fleet, w record.Wave, entries, access []string) *batchv1.Job {
	name := JobName(r.Record, w.Name)
	n := int32(w.Clusters)
	parallel := min(int32(w.Parallel), n)
	podLabels := labels(r.Record, "pod", w.Name)
	return &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: r.meta(name, "job", w.Name),
		Spec: batchv1.JobSpec{
			Suspend:              ptr.To(true),
			CompletionMode:       ptr.To(batchv1.IndexedCompletion),
			Completions:          &n,
			Parallelism:          &parallel,
			BackoffLimitPerIndex: ptr.To(int32(r.Record.Retries)),
			PodReplacementPolicy: ptr.To(batchv1.Failed),
			PodFailurePolicy:     failurePolicy(r.Record.Mode),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: podLabels},
				Spec:       r.pod(f, w, entries, access),
			},
		},
	}
}

// failurePolicy maps the exit codes of ztplan to the Job's actions; the first rule that
// matches wins.
//
//   - A pod that is disrupted (drained node, eviction) is no failure, nor is one that was
//     interrupted (130).
//   - Held by the stop rule (4): it is not tried again; a resumption takes it up.
//   - Invalid (3): every cluster was validated before, so that the image or the plan is
//     another one, for all of them.
//   - 2 in a status: differences do not go away. In a run, 2 is a crash of Go's runtime,
//     and is tried again as every other failure.
func failurePolicy(mode string) *batchv1.PodFailurePolicy {
	p := ignoring(
		onExit(batchv1.PodFailurePolicyActionFailIndex, record.ExitHeld),
		onExit(batchv1.PodFailurePolicyActionFailJob, 3),
	)
	if mode == fleet.ModeStatus {
		p.Rules = append(p.Rules, onExit(batchv1.PodFailurePolicyActionFailIndex, 2))
	}
	return p
}

// ignoring returns a failure policy to which a disruption and an interruption are no
// failures, with more rules.
func ignoring(more ...batchv1.PodFailurePolicyRule) *batchv1.PodFailurePolicy {
	return &batchv1.PodFailurePolicy{Rules: append([]batchv1.PodFailurePolicyRule{
		{Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
			{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
		}},
		onExit(batchv1.PodFailurePolicyActionIgnore, 130),
	}, more...)}
}

func onExit(action batchv1.PodFailurePolicyAction, codes ...int32) batchv1.PodFailurePolicyRule {
	return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
		ContainerName: ptr.To(Container), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: codes,
	}}
}

// pod returns the pod that runs a cluster of a wave.
func (r *Round) pod(f *fleet.Fleet, w record.Wave, entries, access []string) corev1.PodSpec {
	t := r.member(f, w.Name)
	clusters := &corev1.ProjectedVolumeSource{}
	for _, name := range entries {
		clusters.Sources = append(clusters.Sources, corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: name}}})
	}
	t.mount("clusters", corev1.VolumeSource{Projected: clusters}, corev1.VolumeMount{MountPath: pathEntry, SubPathExpr: "$(JOB_COMPLETION_INDEX)", ReadOnly: true})
	if len(access) > 0 {
		secrets := &corev1.ProjectedVolumeSource{DefaultMode: ptr.To(int32(0o440))}
		for _, name := range access {
			secrets.Sources = append(secrets.Sources, corev1.VolumeProjection{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: name}}})
		}
		t.mount(VolumeAccess, corev1.VolumeSource{Projected: secrets}, corev1.VolumeMount{MountPath: pathKubeconfig, SubPathExpr: "$(JOB_COMPLETION_INDEX)", ReadOnly: true})
		t.args = append(t.args, "--kubeconfig="+pathKubeconfig)
	}
	spec := t.spec(r.Record.Image, ServiceAccount(r.Record.Fleet, w.Name), JobName(r.Record, w.Name))
	spec.ActiveDeadlineSeconds = r.deadline()
	return spec
}

// member returns the pod of a cluster, without the entry of the cluster.
func (r *Round) member(f *fleet.Fleet, wave string) *template {
	t := newTemplate("fleet", "member", "--run="+pathRun, "--cluster="+pathEntry, "--work="+pathWork,
		"--identity="+pathIdentity, "--verdict="+pathVerdict, "--wave="+wave)
	t.mountRun(r.Record)
	for _, from := range slices.Sorted(maps.Keys(f.Mirrors)) {
		t.args = append(t.args, "--mirror="+from+"="+f.Mirrors[from])
	}
	if reg := r.Record.Registry; reg != nil && reg.Secret != "" {
		t.mount("registry", corev1.VolumeSource{
			Secret: &corev1.SecretVolumeSource{SecretName: reg.Secret, DefaultMode: ptr.To(int32(0o440))},
		}, corev1.VolumeMount{MountPath: pathRegistry, ReadOnly: true})
		t.args = append(t.args, "--registry="+pathRegistry+"/"+corev1.DockerConfigJsonKey)
	}
	return t
}

// deadline is the end of a pod in seconds: the timeout of a try, and the grace period.
func (r *Round) deadline() *int64 {
	return ptr.To(int64(r.Record.Timeout.Std().Seconds()) + graceSeconds)
}

// rights returns the ServiceAccount of a wave and the rights of its pods on the hub: read
// the Job and its failed pods for the stop rule, add evidence without changing or reading
// any, and, with access.keyless, ask for tokens of their own ServiceAccount.
func rights(run record.Run, namespace, wave string) []runtime.Object {
	name := ServiceAccount(run.Fleet, wave)
	meta := metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{
		record.LabelFleet: run.Fleet, record.LabelWave: wave, "app.kubernetes.io/managed-by": "ztplan",
	}}
	return []runtime.Object{
		&corev1.ServiceAccount{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: meta},
		&rbacv1.Role{
			TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"}, ObjectMeta: meta,
			Rules: []rbacv1.PolicyRule{
				{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"get"}},
				{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}},
				{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create"}},
				{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{name}, Verbs: []string{"create"}},
			},
		},
		&rbacv1.RoleBinding{
			TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"}, ObjectMeta: meta,
			RoleRef:  rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: namespace}},
		},
	}
}
