package cluster_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/session"
	"github.com/ztplan/ztplan/steps/session/cluster"
)

// The facts about the cluster are read without writing, and only from one that
// the run has reached.
func TestRead(t *testing.T) {
	env := labtest.Env(t)
	if f := cluster.Read(t.Context(), env, nil); f.Cluster.Server != "" || !slices.Equal(f.Missing, []string{"cluster: the run did not reach one"}) {
		t.Errorf("before anything was contacted: %+v", f)
	}
	if _, err := kubekit.Connect(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	ns := labtest.Namespace(t, env)
	f := cluster.Read(t.Context(), env, []string{ns})
	uid := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	if f.Cluster.Server != cluster.Server(session.Of(env).Cluster) || !uid.MatchString(f.Cluster.UID) || !strings.HasPrefix(f.Cluster.Version, "v1.") ||
		f.User != "kubernetes-admin" || len(f.Missing) > 0 || len(f.Images) > 0 {
		t.Errorf("%+v", f)
	}
}

// Facts that a user may not read are left out, with a remark.
func TestReadRefused(t *testing.T) {
	env := labtest.Env(t)
	config, err := os.ReadFile(session.Of(env).Cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	as := regexp.MustCompile(`(?m)^( *)user:\n`).ReplaceAll(config, []byte("${0}${1}  as: nobody\n"))
	env.Settings = session.Settings{Cluster: session.Cluster{Kubeconfig: file}}
	if err := os.WriteFile(file, as, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := kubekit.Connect(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	f := cluster.Read(t.Context(), env, []string{"default"})
	if f.User != "nobody" || f.Cluster.Version == "" || f.Cluster.UID != "" || len(f.Missing) != 2 ||
		!strings.Contains(f.Missing[0], `UID of the cluster: namespaces "kube-system" is forbidden`) || !strings.HasPrefix(f.Missing[1], "images in default: ") {
		t.Errorf("%+v", f)
	}
}

func TestImages(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	pod := func(statuses ...corev1.ContainerStatus) corev1.Pod {
		return corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: statuses}}
	}
	got := cluster.ImagesOf("vault", []corev1.Pod{
		pod(corev1.ContainerStatus{Image: "vault:1", ImageID: "sha256:aa", State: running}, corev1.ContainerStatus{Image: "agent:2", ImageID: "sha256:bb"}),
		pod(corev1.ContainerStatus{Image: "vault:1", ImageID: "sha256:aa", State: running}),
		pod(corev1.ContainerStatus{Image: "vault:1", ImageID: "sha256:cc", State: running}),
	})
	want := []evidence.Image{
		{Namespace: "vault", Image: "vault:1", ID: "sha256:aa", Containers: 2},
		{Namespace: "vault", Image: "vault:1", ID: "sha256:cc", Containers: 1},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
