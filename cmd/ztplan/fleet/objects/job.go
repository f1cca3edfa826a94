package objects

import (
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// Container is the name of the container in the pods.
const Container = "ztplan"

// Paths in the container.
const (
	pathRun        = "/ztplan/run"
	pathEntry      = "/ztplan/cluster.json"
	pathKubeconfig = "/ztplan/kubeconfig"
	pathWork       = "/ztplan/work"
	pathIdentity   = "/var/run/secrets/kubernetes.io/serviceaccount"
	pathVerdict    = "/dev/termination-log"
)

// graceSeconds is how long a pod that is ended may take: a run finishes its edit.
const graceSeconds = 600

// job returns the Job of a wave.
func (r *Round) job(f *fleet.Fleet, w record.Wave, entries, access []string) *batchv1.Job {
	name := JobName(r.Record, w.Name)
	n := int32(w.Clusters)
	parallel := min(int32(w.Parallel), n)
	podLabels := labels(r.Record, "pod", w.Name)
	return &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: r.meta(f, name, "job", w.Name),
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
	exit := func(action batchv1.PodFailurePolicyAction, codes ...int32) batchv1.PodFailurePolicyRule {
		return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			ContainerName: ptr.To(Container), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: codes,
		}}
	}
	p := &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
		{Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
			{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
		}},
		exit(batchv1.PodFailurePolicyActionIgnore, 130),
		exit(batchv1.PodFailurePolicyActionFailIndex, record.ExitHeld),
		exit(batchv1.PodFailurePolicyActionFailJob, 3),
	}}
	if mode == fleet.ModeStatus {
		p.Rules = append(p.Rules, exit(batchv1.PodFailurePolicyActionFailIndex, 2))
	}
	return p
}

// pod returns the pod that runs a cluster of a wave. It fits the restricted Pod Security
// Standard.
func (r *Round) pod(f *fleet.Fleet, w record.Wave, entries, access []string) corev1.PodSpec {
	volumes := []corev1.Volume{
		{Name: "run", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: Name(r.Record)}}}},
		{Name: "work", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr.To(resource.MustParse("512Mi"))}}},
	}
	clusters := &corev1.ProjectedVolumeSource{}
	for _, name := range entries {
		clusters.Sources = append(clusters.Sources, corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: name}}})
	}
	volumes = append(volumes, corev1.Volume{Name: "clusters", VolumeSource: corev1.VolumeSource{Projected: clusters}})
	mounts := []corev1.VolumeMount{
		{Name: "run", MountPath: pathRun, ReadOnly: true},
		{Name: "work", MountPath: pathWork},
		{Name: "clusters", MountPath: pathEntry, SubPathExpr: "$(JOB_COMPLETION_INDEX)", ReadOnly: true},
	}
	args := []string{
		"fleet", "member", "--run=" + pathRun, "--cluster=" + pathEntry, "--work=" + pathWork,
		"--identity=" + pathIdentity, "--verdict=" + pathVerdict, "--wave=" + w.Name,
	}
	for _, from := range slices.Sorted(maps.Keys(f.Mirrors)) {
		args = append(args, "--mirror="+from+"="+f.Mirrors[from])
	}
	if len(access) > 0 {
		secrets := &corev1.ProjectedVolumeSource{DefaultMode: ptr.To(int32(0o440))}
		for _, name := range access {
			secrets.Sources = append(secrets.Sources, corev1.VolumeProjection{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: name}}})
		}
		volumes = append(volumes, corev1.Volume{Name: "access", VolumeSource: corev1.VolumeSource{Projected: secrets}})
		mounts = append(mounts, corev1.VolumeMount{Name: "access", MountPath: pathKubeconfig, SubPathExpr: "$(JOB_COMPLETION_INDEX)", ReadOnly: true})
		args = append(args, "--kubeconfig="+pathKubeconfig)
	}
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	return corev1.PodSpec{
		ServiceAccountName:            ServiceAccount(r.Record.Fleet, w.Name),
		RestartPolicy:                 corev1.RestartPolicyNever,
		ActiveDeadlineSeconds:         ptr.To(int64(r.Record.Timeout.Std().Seconds()) + graceSeconds),
		TerminationGracePeriodSeconds: ptr.To(int64(graceSeconds)),
		EnableServiceLinks:            ptr.To(false),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To(int64(65532)), RunAsGroup: ptr.To(int64(65532)), FSGroup: ptr.To(int64(65532)),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: Container, Image: r.Record.Image, Args: args, VolumeMounts: mounts,
			Env: []corev1.EnvVar{
				field("ZTPLAN_POD_NAME", "metadata.name"), field("ZTPLAN_POD_UID", "metadata.uid"), field("ZTPLAN_POD_NAMESPACE", "metadata.namespace"),
				{Name: "ZTPLAN_JOB_NAME", Value: JobName(r.Record, w.Name)},
				{Name: "HOME", Value: pathWork}, {Name: "TMPDIR", Value: pathWork},
			},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("128Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
			},
		}},
		Volumes: volumes,
	}
}

// rights returns the ServiceAccount of a wave and what its pods may do on the hub: read
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
