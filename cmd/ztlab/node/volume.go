package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	resourcehelper "k8s.io/kubernetes/pkg/api/v1/resource"
	"k8s.io/kubernetes/pkg/volume/configmap"
	"k8s.io/kubernetes/pkg/volume/secret"
	volumeutil "k8s.io/kubernetes/pkg/volume/util"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// A source is an object that a pod takes files or variables from.
type source struct {
	kind sourceKind
	name string
}

// sourcesOf lists the objects that a pod refers to.
func sourcesOf(pod *corev1.Pod) map[source]bool {
	set := map[source]bool{}
	podutil.VisitPodConfigmapNames(pod, func(name string) bool { set[source{configMapSource, name}] = true; return true })
	podutil.VisitPodSecretNames(pod, func(name string) bool { set[source{secretSource, name}] = true; return true })
	for _, v := range pod.Spec.Volumes {
		if name := claimName(pod, v); name != "" {
			set[source{claimSource, name}] = true
		}
	}
	return set
}

// claimName is the PersistentVolumeClaim behind a volume, or "".
func claimName(pod *corev1.Pod, v corev1.Volume) string {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName
	case v.Ephemeral != nil:
		return pod.Name + "-" + v.Name // fixed by the ephemeral volume controller
	default:
		return ""
	}
}

// volumes are the volumes of one pod on the host.
type volumes struct {
	dir    string // holds one directory per volume that the agent fills itself
	tokens tokens
	from   objects
	claims func(ctx context.Context, name string) (hostPath string, err error)
	host   map[string]string // volume name to directory
}

// sync fills every volume of the pod, or brings it up to date. It returns the
// first problem; volumes filled before it stay.
func (v *volumes) sync(ctx context.Context, pod *corev1.Pod) error {
	host := map[string]string{}
	for _, volume := range pod.Spec.Volumes {
		dir, err := v.fill(ctx, pod, volume)
		if err != nil {
			return fmt.Errorf("volume %s: %w", volume.Name, err)
		}
		host[volume.Name] = dir
	}
	v.host = host
	return nil
}

// fill provides one volume and returns its directory.
func (v *volumes) fill(ctx context.Context, pod *corev1.Pod, volume corev1.Volume) (string, error) {
	own := filepath.Join(v.dir, volume.Name)
	switch src := volume.VolumeSource; {
	case src.HostPath != nil:
		return src.HostPath.Path, nil
	case claimName(pod, volume) != "":
		return v.claims(ctx, claimName(pod, volume))
	case src.ConfigMap != nil:
		files, err := configMapFiles(ctx, v.from, src.ConfigMap.Name, src.ConfigMap.Items, src.ConfigMap.DefaultMode, src.ConfigMap.Optional)
		return own, errors.Join(err, writeFiles(own, files, err))
	case src.Secret != nil:
		files, err := secretFiles(ctx, v.from, src.Secret.SecretName, src.Secret.Items, src.Secret.DefaultMode, src.Secret.Optional)
		return own, errors.Join(err, writeFiles(own, files, err))
	case src.DownwardAPI != nil:
		files, err := downwardFiles(pod, src.DownwardAPI.Items)
		return own, errors.Join(err, writeFiles(own, files, err))
	case src.Projected != nil:
		files, err := v.projectedFiles(ctx, pod, volume.Name, src.Projected)
		return own, errors.Join(err, writeFiles(own, files, err))
	default:
		// emptyDir, and everything that a virtual node has no driver for.
		return own, os.MkdirAll(own, 0o700)
	}
}

// files maps a path in a volume to its content.
type files = map[string]volumeutil.FileProjection

// privateMode bounds the mode of every file: the user who runs the lab, and
// no other, is every container's user.
const privateMode = 0o700

// writeFiles makes dir hold exactly the files, all at once, with the kubelet's
// own writer. It does nothing when collecting them ended in an error.
func writeFiles(dir string, content files, collected error) error {
	if collected != nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, f := range content {
		f.Mode = f.Mode&privateMode | 0o600
		content[name] = f
	}
	w, err := volumeutil.NewAtomicWriter(dir, "")
	if err != nil {
		return err
	}
	return w.Write(content, nil)
}

// defaultFileMode is the API's default for the mode of a volume's files.
const defaultFileMode = corev1.ConfigMapVolumeSourceDefaultMode

func modeOr(mode *int32) *int32 {
	if mode != nil {
		return mode
	}
	m := defaultFileMode
	return &m
}

func configMapFiles(ctx context.Context, from objects, name string, items []corev1.KeyToPath, mode *int32, optional *bool) (files, error) {
	m, err := from.ConfigMap(ctx, name)
	if absent(err, optional) {
		m, err = &corev1.ConfigMap{}, nil
	}
	if err != nil {
		return nil, err
	}
	return configmap.MakePayload(items, m, modeOr(mode), optional != nil && *optional)
}

func secretFiles(ctx context.Context, from objects, name string, items []corev1.KeyToPath, mode *int32, optional *bool) (files, error) {
	s, err := from.Secret(ctx, name)
	if absent(err, optional) {
		s, err = &corev1.Secret{}, nil
	}
	if err != nil {
		return nil, err
	}
	return secret.MakePayload(items, s, modeOr(mode), optional != nil && *optional)
}

func downwardFiles(pod *corev1.Pod, items []corev1.DownwardAPIVolumeFile) (files, error) {
	content := files{}
	for _, item := range items {
		var value string
		var err error
		switch {
		case item.FieldRef != nil:
			value, err = podField(pod, item.FieldRef.FieldPath)
		case item.ResourceFieldRef != nil:
			value, err = resourcehelper.ExtractResourceValueByContainerNameAndNodeAllocatable(item.ResourceFieldRef, pod, item.ResourceFieldRef.ContainerName, allocatable)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", item.Path, err)
		}
		content[path.Clean(item.Path)] = volumeutil.FileProjection{Data: []byte(value), Mode: *modeOr(item.Mode)}
	}
	return content, nil
}

// projectedFiles collects the files of a projected volume, later sources
// winning.
func (v *volumes) projectedFiles(ctx context.Context, pod *corev1.Pod, name string, p *corev1.ProjectedVolumeSource) (files, error) {
	all := files{}
	for _, src := range p.Sources {
		var part files
		var err error
		switch {
		case src.ConfigMap != nil:
			part, err = configMapFiles(ctx, v.from, src.ConfigMap.Name, src.ConfigMap.Items, p.DefaultMode, src.ConfigMap.Optional)
		case src.Secret != nil:
			part, err = secretFiles(ctx, v.from, src.Secret.Name, src.Secret.Items, p.DefaultMode, src.Secret.Optional)
		case src.DownwardAPI != nil:
			part, err = downwardFiles(pod, src.DownwardAPI.Items)
		case src.ServiceAccountToken != nil:
			var token string
			if token, err = v.tokens.get(ctx, name, src.ServiceAccountToken); err == nil {
				part = files{path.Clean(src.ServiceAccountToken.Path): {Data: []byte(token), Mode: *modeOr(p.DefaultMode)}}
			}
		default:
			err = errors.New("the node agent does not know one of the projected sources")
		}
		if err != nil {
			return nil, err
		}
		maps.Copy(all, part)
	}
	return all, nil
}

// mounts maps the container's mount paths to the host.
func (v *volumes) mounts(c *corev1.Container, env map[string]string) (map[string]string, error) {
	m := map[string]string{}
	for _, mount := range c.VolumeMounts {
		dir, ok := v.host[mount.Name]
		if !ok {
			return nil, fmt.Errorf("volumeMount %s: the pod has no such volume", mount.Name)
		}
		sub := mount.SubPath
		if mount.SubPathExpr != "" {
			var missing []string
			sub = expansion.Expand(mount.SubPathExpr, func(name string) string {
				if env[name] == "" {
					missing = append(missing, name)
				}
				return env[name]
			})
			if len(missing) > 0 {
				return nil, fmt.Errorf("volumeMount %s: subPathExpr %s: missing value for %s", mount.Name, mount.SubPathExpr, strings.Join(missing, ", "))
			}
		}
		if sub != "" {
			if !filepath.IsLocal(filepath.FromSlash(sub)) {
				return nil, fmt.Errorf("volumeMount %s: subPath %q leaves the volume", mount.Name, sub)
			}
			dir = filepath.Join(dir, filepath.FromSlash(sub))
			if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
				if err := os.MkdirAll(dir, 0o700); err != nil {
					return nil, fmt.Errorf("volumeMount %s: %w", mount.Name, err)
				}
			}
		}
		m[path.Clean(mount.MountPath)] = dir
	}
	return m, nil
}

// serviceAccountDir is where admission mounts every pod's own identity.
const serviceAccountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// identity returns the files of the container's own ServiceAccount. A pod that
// does not mount them has no token; it still learns the cluster's CA.
func identity(mounts map[string]string, caFile string) (token, ca string) {
	dir, ok := mounts[serviceAccountDir]
	if !ok {
		return "", caFile
	}
	return filepath.Join(dir, "token"), filepath.Join(dir, "ca.crt")
}

// claimPath returns the directory of the volume that a claim is bound to.
func (a *Agent) claimPath(ctx context.Context, namespace, name string) (string, error) {
	claim, err := a.client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if claim.Status.Phase != corev1.ClaimBound || claim.Spec.VolumeName == "" {
		return "", fmt.Errorf("persistentvolumeclaim %q is not bound", name)
	}
	pv, err := a.client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	var dir string
	switch {
	case pv.Spec.HostPath != nil:
		dir = pv.Spec.HostPath.Path
	case pv.Spec.Local != nil:
		dir = pv.Spec.Local.Path
	default:
		return "", fmt.Errorf("persistentvolume %q is neither hostPath nor local: the virtual node has no driver for it", pv.Name)
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// A volume that cannot be filled is tried again when something that the pod
// refers to changes, and at this interval.
const volumeRetry = time.Second

// mountProblem turns an error into the words of a container's status.
func mountProblem(err error) string {
	if apierrors.IsNotFound(err) {
		return strings.TrimSuffix(err.Error(), ".")
	}
	return err.Error()
}
