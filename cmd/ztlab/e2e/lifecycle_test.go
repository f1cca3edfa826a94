package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
)

// controlPlane are the parts that every lab has.
var controlPlane = []string{"kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler"}

func TestUpIsReady(t *testing.T) {
	l := shared(t)
	s := l.status(t)
	if !s.Ready {
		t.Fatalf("not ready after up: %s", s.Message)
	}
	if !strings.HasPrefix(s.Address, "127.") {
		t.Errorf("address = %q, want a loopback address", s.Address)
	}
	for _, name := range controlPlane {
		c := l.component(t, name)
		if c.State != labstate.StateReady || c.PID == 0 || c.Version == "" || c.Address == "" {
			t.Errorf("%s = %+v, want it ready with pid, version and address", name, c)
		}
	}
	for _, repo := range []string{"https://charts.jetstack.io", "https://helm.releases.hashicorp.com", "https://apache.github.io/apisix-helm-chart"} {
		if s.Mirrors[repo] == "" {
			t.Errorf("no mirror for %s in %v", repo, s.Mirrors)
		}
	}
	// The server reports the version of the code that runs, not a placeholder.
	version, err := l.api.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version.GitVersion != s.Versions["kubernetes"] || !strings.HasPrefix(version.GitVersion, "v1.") {
		t.Errorf("the API server says %q, status says %q", version.GitVersion, s.Versions["kubernetes"])
	}
	// Pods verify the API server with this.
	root, err := l.api.CoreV1().ConfigMaps("default").Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if root.Data["ca.crt"] != string(l.config.CAData) {
		t.Error("kube-root-ca.crt is not the authority of the kubeconfig")
	}
	again, err := ztlab(t, "up", "--lab-dir", l.dir)
	if err != nil || strings.TrimSpace(again) != s.Kubeconfig {
		t.Errorf("a second up = %q, %v, want the same kubeconfig", again, err)
	}
	if got := l.status(t).PID; got != s.PID {
		t.Errorf("a second up replaced supervisor %d by %d", s.PID, got)
	}
	for flag, says := range map[string]string{
		"--charts=elsewhere": "serves the lab's own charts", "--audit=false": "--audit", "--ephemeral": "--ephemeral", "--fresh": "a lab is up",
	} {
		if _, err := ztlab(t, "up", flag, "--lab-dir", l.dir); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("a second up %s: %v; want it refused with %q", flag, err, says)
		}
	}
}

func TestFilesArePrivate(t *testing.T) {
	l := shared(t)
	err := filepath.WalkDir(l.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Type()&os.ModeSymlink != 0 {
			return nil // it vanished meanwhile
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if path == l.dir && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %o, want 700", path, info.Mode().Perm())
		}
		secret := strings.HasSuffix(path, ".key") || strings.HasSuffix(path, "kubeconfig")
		if secret && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", path, info.Mode().Perm())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStatusWithoutALab(t *testing.T) {
	dir := t.TempDir()
	out, err := ztlab(t, "status", "--output", "json", "--lab-dir", dir)
	if err == nil {
		t.Error("status of no lab succeeded, want exit code 1")
	}
	var s labstate.Status
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if s.Ready || !strings.Contains(s.Message, "ztlab up") {
		t.Errorf("status = %+v, want not ready and what to do", s)
	}
	if _, err := ztlab(t, "down", "--lab-dir", dir); err != nil {
		t.Errorf("down without a lab: %v, want no error", err)
	}
	if _, err := ztlab(t, "kill", "vault", "--lab-dir", dir); err == nil || !strings.Contains(err.Error(), "no lab is up") {
		t.Errorf("kill without a lab: %v, want that no lab is up", err)
	}
}

func TestStateSurvivesDown(t *testing.T) {
	l := up(t)
	_, err := l.api.CoreV1().ConfigMaps("default").Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	before := l.config
	address := l.status(t).Address
	if out, err := ztlab(t, "down", "--lab-dir", l.dir); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if left := l.processes(t); len(left) > 0 {
		t.Errorf("left after down: %v", left)
	}
	l.start(t)
	if _, err := l.api.CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{}); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if got := l.status(t).Address; got != address {
		t.Errorf("the lab moved from %s to %s", address, got)
	}
	if !bytes.Equal(before.CAData, l.config.CAData) || before.Host != l.config.Host {
		t.Errorf("a kubeconfig of the last run is void: server %s, then %s", before.Host, l.config.Host)
	}

	if _, err := ztlab(t, "down", "--lab-dir", l.dir); err != nil {
		t.Fatal(err)
	}
	l.start(t, "--fresh")
	if _, err := l.api.CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after --fresh: %v, want that it is forgotten", err)
	}
}

// twoUpsAtOnce starts a lab by two commands at once.
func twoUpsAtOnce(t *testing.T) *lab {
	t.Helper()
	t.Parallel()
	l := &lab{dir: filepath.Join(t.TempDir(), "lab")}
	t.Cleanup(func() { l.down(t) })
	results := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := ztlab(t, "up", "--lab-dir", l.dir)
			results <- err
		}()
	}
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if s := l.status(t); !s.Ready {
		t.Errorf("after two ups at once: %s", s.Message)
	}
	l.start(t) // it is left as it is
	return l
}

// Two commands at once start one lab, and two labs do not meet.
func TestTwoLabsSideBySide(t *testing.T) {
	b := twoUpsAtOnce(t)
	a := shared(t)
	sa, sb := a.status(t), b.status(t)
	if sa.Address == sb.Address {
		t.Skipf("both labs have %s: this system has one loopback address", sa.Address)
	}
	// The same NodePort is open in both.
	for _, l := range []*lab{a, b} {
		nodePort(t, l, 30777)
	}
	for _, l := range []*lab{a, b} {
		waitFor(t, "the node port is open", func() bool { return l.accepts(t, "30777") })
		if s := l.status(t); !s.Ready || len(s.Problems) > 0 {
			t.Errorf("status with the same node port in another lab: ready %t, problems %v", s.Ready, s.Problems)
		}
	}
	_, err := a.api.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "only-in-a"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.api.CoreV1().Namespaces().Get(t.Context(), "only-in-a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a namespace of one lab in the other: %v, want not found", err)
	}
}

func TestKilledSupervisorLeavesNothing(t *testing.T) {
	l := up(t)
	l.install(t, vaultRelease)
	waitFor(t, "vault runs", func() bool { return l.component(t, "vault").PID != 0 })
	supervisor := l.status(t).PID
	family := append(children(t, supervisor), supervisor)
	if len(family) < len(controlPlane)+2 {
		t.Fatalf("the supervisor has children %v, want the control plane and vault", family)
	}
	if err := syscall.Kill(supervisor, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "every process of the lab ends", func() bool {
		return !slices.ContainsFunc(family, func(pid int) bool { return syscall.Kill(pid, 0) == nil })
	})
	if left := l.processes(t); len(left) > 0 {
		t.Errorf("left after SIGKILL: %v", left)
	}
	// Leftovers on disk do not keep the next one from starting.
	l.start(t)
	if s := l.status(t); !s.Ready {
		t.Errorf("after a crash: %s", s.Message)
	}
}

// children lists the processes that pid started.
func children(t *testing.T, pid int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Skip("processes are listed through /proc")
	}
	var found []int
	for _, file := range stats {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		// "pid (name) state ppid …", and a name may hold anything (proc(5)).
		head, tail, _ := strings.Cut(string(data), " (")
		fields := strings.Fields(tail[strings.LastIndex(tail, ")")+1:])
		if len(fields) < 2 || fields[1] != strconv.Itoa(pid) {
			continue
		}
		if child, err := strconv.Atoi(head); err == nil {
			found = append(found, child)
		}
	}
	return found
}

// serve starts "ztlab serve" as ztplan does.
func serve(t *testing.T, l *lab, args ...string) (cmd *exec.Cmd, status labstate.Status, release func()) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(path, append([]string{"serve", "--output", "json", "--lab-dir", l.dir}, args...)...)
	var log bytes.Buffer
	cmd.Stderr = &log
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(out).Decode(&status); err != nil {
		t.Fatalf("the first line of serve: %v\n%s", err, log.String())
	}
	return cmd, status, func() { in.Close() }
}

func TestServeEndsWithItsParent(t *testing.T) {
	t.Parallel()
	l := &lab{dir: filepath.Join(t.TempDir(), "lab")}
	cmd, status, release := serve(t, l, "--parent-pipe", "--ephemeral")
	if !status.Ready || status.PID != cmd.Process.Pid {
		t.Errorf("status = %+v, want ready with pid %d", status, cmd.Process.Pid)
	}
	release() // as the kernel does when the parent is killed
	if err := cmd.Wait(); err != nil {
		t.Errorf("serve: %v, want exit code 0", err)
	}
	if left := l.processes(t); len(left) > 0 {
		t.Errorf("left after the parent ended: %v", left)
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(entries, func(e os.DirEntry) bool { return e.Name() != "lock" }); i >= 0 {
		t.Errorf("an ephemeral lab left %v", entries)
	}
}

func TestServeEndsOnSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			l := &lab{dir: filepath.Join(t.TempDir(), "lab")}
			cmd, _, release := serve(t, l)
			defer release()
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("serve: %v, want exit code 0", err)
			}
			if left := l.processes(t); len(left) > 0 {
				t.Errorf("left after %v: %v", signal, left)
			}
		})
	}
}

func TestASecondSupervisorIsRefused(t *testing.T) {
	l := shared(t)
	_, err := ztlab(t, "serve", "--lab-dir", l.dir)
	if err == nil || !strings.Contains(err.Error(), "already runs") {
		t.Errorf("a second supervisor: %v, want that one already runs", err)
	}
}

func TestAuditRecordsWrites(t *testing.T) {
	l := shared(t)
	_, err := l.api.CoreV1().Secrets("default").Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "watched"}, StringData: map[string]string{"password": "canary-4711"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The API server writes it down after it has answered.
	audit := l.status(t).Audit
	var data []byte
	waitFor(t, "the audit log holds the write", func() bool {
		var err error
		data, err = os.ReadFile(audit)
		return err == nil && bytes.Contains(data, []byte(`"name":"watched"`))
	})
	if bytes.Contains(data, []byte("canary-4711")) {
		t.Error("the audit log holds a Secret's data")
	}
}
