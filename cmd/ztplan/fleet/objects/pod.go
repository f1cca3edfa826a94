package objects

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// Names in the pods: of the container, and of the volume with the kubeconfigs.
const (
	Container    = "ztplan"
	VolumeAccess = "access"
)

// Paths in the container.
const (
	pathRun        = "/ztplan/run"
	pathEntry      = "/ztplan/cluster.json"
	pathKubeconfig = "/ztplan/kubeconfig"
	pathWork       = "/ztplan/work"
	pathRegistry   = "/ztplan/registry"
	pathIdentity   = "/var/run/secrets/kubernetes.io/serviceaccount"
	pathVerdict    = "/dev/termination-log"
)

// graceSeconds is how long a pod that is ended may take: a run finishes its edit.
const graceSeconds = 600

// A template is a pod of ztplan in the making.
type template struct {
	args    []string
	volumes []corev1.Volume
	mounts  []corev1.VolumeMount
}

func newTemplate(args ...string) *template {
	t := &template{args: args}
	t.mount("work", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr.To(resource.MustParse("512Mi"))}}, corev1.VolumeMount{MountPath: pathWork})
	return t
}

// mount adds a volume that is mounted once.
func (t *template) mount(name string, from corev1.VolumeSource, at corev1.VolumeMount) {
	at.Name = name
	t.volumes = append(t.volumes, corev1.Volume{Name: name, VolumeSource: from})
	t.mounts = append(t.mounts, at)
}

// mountRun adds the record of a run.
func (t *template) mountRun(r record.Run) {
	t.mount("run", configMap(Name(r)), corev1.VolumeMount{MountPath: pathRun, ReadOnly: true})
}

func configMap(name string) corev1.VolumeSource {
	return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}
}

// spec returns the pod. It fits the restricted Pod Security Standard.
func (t *template) spec(image, account, job string) corev1.PodSpec {
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	return corev1.PodSpec{
		ServiceAccountName:            account,
		RestartPolicy:                 corev1.RestartPolicyNever,
		TerminationGracePeriodSeconds: ptr.To(int64(graceSeconds)),
		EnableServiceLinks:            ptr.To(false),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To(int64(65532)), RunAsGroup: ptr.To(int64(65532)), FSGroup: ptr.To(int64(65532)),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: Container, Image: image, Args: t.args, VolumeMounts: t.mounts,
			Env: []corev1.EnvVar{
				field("ZTPLAN_POD_NAME", "metadata.name"), field("ZTPLAN_POD_UID", "metadata.uid"), field("ZTPLAN_POD_NAMESPACE", "metadata.namespace"),
				{Name: "ZTPLAN_JOB_NAME", Value: job},
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
		Volumes: t.volumes,
	}
}
