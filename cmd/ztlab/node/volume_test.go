package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// tree lists the visible files below dir with their content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	content := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "..") {
			continue
		}
		full := filepath.Join(dir, e.Name())
		info, err := os.Stat(full)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			for name, text := range tree(t, full) {
				content[e.Name()+"/"+name] = text
			}
			continue
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v; want nothing for others", full, info.Mode())
		}
		data, err := os.ReadFile(full)
		if err != nil {
			t.Fatal(err)
		}
		content[e.Name()] = string(data)
	}
	return content
}

func newVolumes(t *testing.T, objects fakeObjects) *volumes {
	issued := 0
	return &volumes{
		dir:  t.TempDir(),
		from: objects,
		tokens: tokens{now: time.Now, request: func(_ context.Context, spec authenticationv1.TokenRequestSpec) (*authenticationv1.TokenRequestStatus, error) {
			issued++
			return &authenticationv1.TokenRequestStatus{
				Token:               strings.Join(spec.Audiences, ",") + "#" + string(rune('0'+issued)),
				ExpirationTimestamp: metav1.NewTime(time.Now().Add(time.Duration(*spec.ExpirationSeconds) * time.Second)),
			}, nil
		}},
		claims: func(_ context.Context, name string) (string, error) {
			if name == "unbound" {
				return "", errors.New(`persistentvolumeclaim "unbound" is not bound`)
			}
			return "/claims/" + name, nil
		},
	}
}

func TestVolumes(t *testing.T) {
	objects := fakeObjects{
		configMaps: map[string]map[string]string{"conf": {"a": "1", "b": "2"}, "kube-root-ca.crt": {"ca.crt": "CA"}},
		secrets:    map[string]map[string]string{"tls": {"tls.crt": "CERT", "tls.key": "KEY"}},
	}
	name := func(n string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: n} }
	pod := examplePod()
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "conf", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: name("conf"), Items: []corev1.KeyToPath{{Key: "a", Path: "deep/a.txt"}}}}},
		{Name: "tls", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "tls"}}},
		{Name: "none", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "none", Optional: ptr.To(true)}}},
		{Name: "info", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}},
			{Path: "ip", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}},
		}}}},
		{Name: "kube-api-access", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: ptr.To[int64](3607)}},
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "vault", Audience: "vault", ExpirationSeconds: ptr.To[int64](600)}},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: name("kube-root-ca.crt")}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"}}}}},
		}}}},
		{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-web-0"}}},
		{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/etc"}}},
	}
	v := newVolumes(t, objects)
	if err := v.sync(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]string{
		"conf":            {"deep/a.txt": "1"},
		"tls":             {"tls.crt": "CERT", "tls.key": "KEY"},
		"none":            {},
		"info":            {"labels": `tier="front"`, "ip": "10.244.0.9"},
		"kube-api-access": {"token": "#1", "vault": "vault#2", "ca.crt": "CA", "namespace": "apps"},
		"scratch":         {},
	}
	for volume, files := range want {
		if diff := cmp.Diff(files, tree(t, v.host[volume])); diff != "" {
			t.Errorf("volume %s (-want +got):\n%s", volume, diff)
		}
	}
	if v.host["data"] != "/claims/data-web-0" || v.host["host"] != "/etc" {
		t.Errorf("claim at %s, host path at %s", v.host["data"], v.host["host"])
	}

	// An update replaces the files and keeps those that a container wrote elsewhere.
	kept := filepath.Join(v.host["scratch"], "kept")
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	objects.secrets["tls"] = map[string]string{"tls.crt": "CERT2", "ca.crt": "CA2"}
	if err := v.sync(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"tls.crt": "CERT2", "ca.crt": "CA2"}, tree(t, v.host["tls"])); diff != "" {
		t.Errorf("updated secret (-want +got):\n%s", diff)
	}
	if got := tree(t, v.host["kube-api-access"])["token"]; got != "#1" {
		t.Errorf("token after an update = %q; want the one that is still good", got)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}

func TestVolumeProblems(t *testing.T) {
	tests := map[string]struct {
		source corev1.VolumeSource
		want   string
	}{
		"configmap": {corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}}}, `volume v: configmaps "none" not found`},
		"key":       {corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "tls", Items: []corev1.KeyToPath{{Key: "none", Path: "x"}}}}, "references non-existent secret key: none"},
		"claim":     {corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "unbound"}}, "is not bound"},
		"path":      {corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "tls", Items: []corev1.KeyToPath{{Key: "tls.crt", Path: "../x"}}}}, "invalid path"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			pod := examplePod()
			pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: tt.source}}
			v := newVolumes(t, fakeObjects{secrets: map[string]map[string]string{"tls": {"tls.crt": "x"}}})
			err := v.sync(t.Context(), pod)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v; want one with %q", err, tt.want)
			}
		})
	}
}

func TestMounts(t *testing.T) {
	root := t.TempDir()
	v := &volumes{host: map[string]string{"data": root}}
	c := &corev1.Container{VolumeMounts: []corev1.VolumeMount{
		{Name: "data", MountPath: "/data/"},
		{Name: "data", MountPath: "/logs", SubPathExpr: "logs/$(POD)"},
	}}
	got, err := v.mounts(c, map[string]string{"POD": "web-0"})
	if err != nil {
		t.Fatal(err)
	}
	logs := filepath.Join(root, "logs", "web-0")
	if diff := cmp.Diff(map[string]string{"/data": root, "/logs": logs}, got); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(logs); err != nil || !info.IsDir() {
		t.Errorf("subPath was not made: %v", err)
	}
	for _, bad := range []corev1.VolumeMount{{Name: "none", MountPath: "/x"}, {Name: "data", MountPath: "/x", SubPath: "../../etc"}, {Name: "data", MountPath: "/x", SubPathExpr: "$(NONE)"}} {
		if _, err := v.mounts(&corev1.Container{VolumeMounts: []corev1.VolumeMount{bad}}, nil); err == nil {
			t.Errorf("mounts(%+v): no error", bad)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "..", "..", "etc", "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made outside the volume: %v", err)
	}
}

func TestTokensAreRenewedInTime(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	life := time.Hour
	issued := 0
	tk := tokens{
		now: func() time.Time { return now },
		request: func(context.Context, authenticationv1.TokenRequestSpec) (*authenticationv1.TokenRequestStatus, error) {
			issued++
			return &authenticationv1.TokenRequestStatus{Token: string(rune('0' + issued)), ExpirationTimestamp: metav1.NewTime(now.Add(life))}, nil
		},
	}
	get := func() string {
		t.Helper()
		got, err := tk.get(t.Context(), "v", &corev1.ServiceAccountTokenProjection{Path: "token"})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if !tk.due().IsZero() {
		t.Errorf("due without a token = %v", tk.due())
	}
	get()
	if want := now.Add(48 * time.Minute); !tk.due().Equal(want) {
		t.Errorf("due = %v; want %v", tk.due(), want)
	}
	now = now.Add(48*time.Minute - time.Second)
	if got := get(); got != "1" {
		t.Errorf("token before it is due = %s; want the first", got)
	}
	now = now.Add(time.Second)
	life = 365 * 24 * time.Hour
	if got := get(); got != "2" {
		t.Errorf("token when it is due = %s; want the second", got)
	}
	if want := now.Add(24 * time.Hour); !tk.due().Equal(want) {
		t.Errorf("due of a long token = %v; want %v", tk.due(), want)
	}
}

// A volume that cannot be brought up to date is tried again after a pause, also when a
// token is due; the volumes of a pod whose containers have ended are left alone.
func TestVolumesOfAPodWithoutItsSecret(t *testing.T) {
	w := newTestNode(t)
	worker := newWorker(w.agent, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "p", UID: "u"},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "main", Image: "other/app:3"}},
			Volumes:    []corev1.Volume{{Name: "gone", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "gone"}}}},
		},
	})
	worker.take()
	worker.containers = newContainers(worker.pod, w.agent.component, time.Now())
	worker.mounted = true
	worker.volumes.tokens.held = map[string]heldToken{"v": {renewAt: time.Now().Add(-time.Hour)}}
	reads := func() (n int) {
		for _, a := range w.client.Actions() {
			if a.Matches("get", "secrets") {
				n++
			}
		}
		return n
	}
	began := time.Now()
	if next := worker.step(t.Context(), true); next.Sub(began) < volumeRetry {
		t.Errorf("tried again after %v", next.Sub(began))
	}
	before := reads()
	if before == 0 {
		t.Error("the Secret was not asked for")
	}
	for _, c := range worker.containers {
		c.done = true
	}
	if next := worker.step(t.Context(), true); !next.IsZero() || reads() != before {
		t.Errorf("of a pod that has ended: tried again at %v, %d reads more", next, reads()-before)
	}
}
