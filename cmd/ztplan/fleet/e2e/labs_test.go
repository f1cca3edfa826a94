package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
)

// namespace of the hub that holds the fleets.
const namespace = "fleets"

// full reports whether the whole tables are asked for.
func full() bool { return os.Getenv("ZTPLAN_FULL") != "" }

// binary returns the path of a shipped binary.
func binary(t testing.TB, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("drives the binaries on labs of its own; skipped under -short")
	}
	dir := os.Getenv("ZTPLAN_BIN")
	if dir == "" {
		dir = "../../../../bin"
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v: run make build, or set ZTPLAN_BIN to the directory of the binaries", err)
	}
	return path
}

// A lab is a running lab.
type lab struct {
	ztlab, dir string
	kubeconfig string
	server     string
	ca         string
	client     kubernetes.Interface
	mirrors    map[string]string
	audit      string
}

func startLab(t testing.TB, args ...string) (*lab, error) {
	// Not below t.TempDir: the paths of sockets have to be short.
	dir, err := os.MkdirTemp("", "fleet-")
	if err != nil {
		return nil, err
	}
	l := &lab{ztlab: binary(t, "ztlab"), dir: dir}
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("ZTPLAN_KEEP") != "" {
			t.Logf("kept: %s", l.dir)
			return
		}
		if _, err := l.do("down", "--purge"); err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	out, err := l.do(append([]string{"up", "--audit", "--output", "json"}, args...)...)
	if err != nil {
		return nil, err
	}
	var status struct {
		Kubeconfig string            `json:"kubeconfig"`
		Mirrors    map[string]string `json:"mirrors"`
		Audit      string            `json:"audit"`
	}
	if err := json.Unmarshal(out, &status); err != nil {
		return nil, err
	}
	l.kubeconfig, l.mirrors, l.audit = status.Kubeconfig, status.Mirrors, status.Audit
	config, err := clientcmd.BuildConfigFromFlags("", l.kubeconfig)
	if err != nil {
		return nil, err
	}
	l.server, l.ca = config.Host, string(config.CAData)
	config.QPS, config.Burst = 50, 100 // tests ask often
	l.client, err = kubernetes.NewForConfig(config)
	return l, err
}

func (l *lab) do(args ...string) ([]byte, error) {
	cmd := exec.Command(l.ztlab, append(args, "--lab-dir", l.dir)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ztlab %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out, nil
}

// requests returns how many requests of users whose name begins so the API server has
// seen.
func (l *lab) requests(t testing.TB, user string) int {
	t.Helper()
	data, err := os.ReadFile(l.audit)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(data), `"username":"`+user)
}

// touched returns how many requests of the fleet's pods a member has seen.
func (l *lab) touched(t testing.TB) int {
	t.Helper()
	return l.requests(t, "hub:system:serviceaccount:")
}

// A world is a hub with members that trust its ServiceAccount issuer, and a fleet of them.
type world struct {
	t       testing.TB
	ztplan  string
	work    string
	fleet   string // its name
	hub     *lab
	members []*lab
}

// newWorld starts a hub and members, all at once but the hub first: its address is in the
// configuration of the members.
func newWorld(t testing.TB, members int) *world {
	t.Helper()
	w := &world{t: t, ztplan: binary(t, "ztplan"), work: t.TempDir(), fleet: "prod", members: make([]*lab, members)}
	const issuer = "https://hub.fleet.example"
	var err error
	if w.hub, err = startLab(t, "--service-account-issuer", issuer); err != nil {
		t.Fatal(err)
	}
	w.allowDiscovery()
	var all sync.WaitGroup
	errs := make([]error, members)
	for i := range members {
		config := w.write(fmt.Sprintf("member-%d.yaml", i), fmt.Sprintf(`apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer:
    url: %s
    discoveryURL: %s/.well-known/openid-configuration
    audiences: [%s]
    certificateAuthority: |
      %s
  claimMappings:
    username: {claim: sub, prefix: "hub:"}
`, issuer, w.hub.server, name(i), strings.ReplaceAll(strings.TrimSpace(w.hub.ca), "\n", "\n      ")))
		all.Go(func() {
			w.members[i], errs[i] = startLab(t, "--authentication-config", config)
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	w.grant()
	return w
}

// with returns the first members as a world of a subtest, with a fleet of its own.
func (w *world) with(t testing.TB, fleet string, members int) *world {
	t.Helper()
	sub := *w
	sub.t, sub.fleet, sub.members = t, fleet, w.members[:members]
	sub.grant()
	return &sub
}

func name(i int) string { return fmt.Sprintf("member-%d", i) }

// allowDiscovery lets members read the keys of the hub's issuer, and makes the namespace.
func (w *world) allowDiscovery() {
	w.t.Helper()
	ctx := w.t.Context()
	_, err := w.hub.client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "issuer"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:service-account-issuer-discovery"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "system:unauthenticated"}},
	}, metav1.CreateOptions{})
	if err == nil {
		_, err = w.hub.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
		}}, metav1.CreateOptions{})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// user is who the pods of a wave are on a member.
func (w *world) user(wave string) string {
	return "hub:system:serviceaccount:" + namespace + ":" + objects.ServiceAccount(w.fleet, wave)
}

// grant gives the fleet's waves the rights of an administrator on the members.
func (w *world) grant() {
	w.t.Helper()
	b := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: w.fleet}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}}
	for _, wave := range []string{"canary", "rest", "all"} {
		b.Subjects = append(b.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "User", Name: w.user(wave)})
	}
	for _, m := range w.members {
		if _, err := m.client.RbacV1().ClusterRoleBindings().Create(w.t.Context(), b, metav1.CreateOptions{}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// write writes a file in the working directory and returns its path.
func (w *world) write(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.work, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// An outcome is that of a command.
type outcome struct {
	code        int
	out, errors string
}

func (o outcome) String() string { return fmt.Sprintf("exit %d\n%s\n%s", o.code, o.out, o.errors) }

// runLimit is how long a command may take.
const runLimit = 5 * time.Minute

// start starts ztplan in the working directory. The result is there when it has ended.
func (w *world) start(args ...string) (*exec.Cmd, <-chan outcome) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	cmd := exec.CommandContext(ctx, w.ztplan, args...)
	cmd.Dir = w.work
	cmd.Env = []string{"HOME=" + w.work, "PATH=" + os.Getenv("PATH"), "NO_COLOR=1"}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	done := make(chan outcome, 1)
	go func() {
		defer cancel()
		_ = cmd.Wait()
		done <- outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
	}()
	return cmd, done
}

// do runs ztplan and fails the test unless it ends with the code.
func (w *world) do(code int, args ...string) outcome {
	w.t.Helper()
	_, done := w.start(args...)
	o := <-done
	if o.code != code {
		w.t.Fatalf("ztplan %s: want exit %d: %v", strings.Join(args, " "), code, o)
	}
	return o
}
