package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// web serves HTTP on port 80 and writes down the paths that it was asked for.
func web(ctx context.Context, spec container.Spec, report func(container.Report)) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	asked, err := os.Create(filepath.Join(spec.Mounts["/out"], "asked"))
	if err != nil {
		return err
	}
	defer asked.Close()
	s := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.WriteString(asked, r.URL.RequestURI()+" "+r.Header.Get("X-From"))
	})}
	context.AfterFunc(ctx, func() { s.Close() })
	report(container.Report{Listen: map[int]string{80: ln.Addr().String()}, Ready: ptr.To(true)})
	s.Serve(ln)
	return nil
}

// stubborn does not end when it is asked to.
func stubborn(_ context.Context, _ container.Spec, report func(container.Report)) error {
	report(container.Report{Ready: ptr.To(true)})
	select {}
}

// remove marks a pod as being deleted with a grace period, as the API server does.
func (w *testNode) remove(name string, grace int64) {
	w.t.Helper()
	pods := w.client.CoreV1().Pods(testNamespace)
	pod, err := pods.Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = ptr.To(metav1.Now()), &grace
	pod.ResourceVersion += "0"
	if _, err := pods.Update(w.t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// awaitContainers returns when the node's containers are as wanted.
func (w *testNode) awaitContainers(what string, ok func([]ContainerStatus) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for changed := w.agent.Changed(); !ok(w.agent.Containers()); changed = w.agent.Changed() {
		select {
		case <-changed:
		case <-ctx.Done():
			w.t.Fatalf("not %s: %+v", what, w.agent.Containers())
		}
	}
}

// awaitGone returns when the node has nothing left of its pods.
func (w *testNode) awaitGone() {
	w.t.Helper()
	w.awaitContainers("gone", func(list []ContainerStatus) bool { return len(list) == 0 })
}

// awaitEnding returns when the node has seen that a pod is being deleted.
func (w *testNode) awaitEnding(name string) {
	w.t.Helper()
	w.awaitContainers("ending", func(list []ContainerStatus) bool {
		return slices.ContainsFunc(list, func(c ContainerStatus) bool { return c.Pod == name && c.Ending })
	})
}

// lastExit returns the exit code that the node wrote last for a pod.
func (w *testNode) lastExit(name string) (code int32, ok bool) {
	for _, action := range w.client.Actions() {
		patch, is := action.(clienttesting.PatchAction)
		if !is || patch.GetResource().Resource != "pods" || patch.GetName() != name {
			continue
		}
		pod := &corev1.Pod{}
		if err := json.Unmarshal(patch.GetPatch(), pod); err != nil {
			w.t.Fatal(err)
		}
		for _, s := range pod.Status.ContainerStatuses {
			if s.State.Terminated != nil {
				code, ok = s.State.Terminated.ExitCode, true
			}
		}
	}
	return code, ok
}

func withHook(hook *corev1.LifecycleHandler) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: hook} }
}

// A pod that is deleted goes on while its preStop hook runs; then it ends.
func TestPreStopBeforeTheEnd(t *testing.T) {
	exec := func(command ...string) corev1.LifecycleHandler {
		return corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: command}}
	}
	for name, hook := range map[string]func(seconds int64) corev1.LifecycleHandler{
		"sleep action": func(s int64) corev1.LifecycleHandler {
			return corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: s}}
		},
		"program": func(s int64) corev1.LifecycleHandler { return exec("sleep", fmt.Sprint(s)) },
		"shell": func(s int64) corev1.LifecycleHandler {
			return exec("/bin/sh", "-c", fmt.Sprintf("sleep %d; kill -TERM $(pidof echo)", s))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTestNode(t)
			long, short := hook(3600), hook(2)
			w.create("long", "lab/echo", withHook(&long))
			pod := w.await("long", "ready", ready)
			pid := w.agent.Containers()[0].PID
			w.remove("long", 3600)
			w.awaitEnding("long")
			if got := w.ask(pod.Status.PodIP); !strings.HasSuffix(got, " bye\n") {
				t.Errorf("while the hook runs: %q", got)
			}
			if pod = w.await("long", "there", func(*corev1.Pod) bool { return true }); !ready(pod) || !alive(pid) {
				t.Errorf("while the hook runs: ready %t, process there %t", ready(pod), alive(pid))
			}
			w.remove("long", 1)
			w.awaitGone()

			w.create("app", "lab/echo", withHook(&short))
			w.await("app", "ready", ready)
			pid = w.agent.Containers()[0].PID
			began := time.Now()
			w.remove("app", 60)
			w.awaitGone()
			if took := time.Since(began); took < 2*time.Second {
				t.Errorf("gone after %s, before the hook had ended", took)
			}
			if code, ok := w.lastExit("app"); !ok || code != 0 || alive(pid) {
				t.Errorf("exit code %d (known %t), process there %t", code, ok, alive(pid))
			}
		})
	}
}

// A restart by a component's name is about the pods that stay: one that is being
// deleted, as the old one of a rollout, runs to its end and is no error.
func TestRestartBesideAPodThatEnds(t *testing.T) {
	t.Parallel()
	w := newTestNode(t)
	w.create("old", "lab/echo", withHook(&corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 30}}))
	w.await("old", "ready", ready)
	w.create("new", "lab/echo", nil)
	w.await("new", "ready", ready)
	w.remove("old", 60)
	w.awaitEnding("old")
	if err := w.agent.Restart(t.Context(), "echo"); err != nil {
		t.Errorf("Restart beside a pod that ends: %v", err)
	}
	w.await("new", "restarted", restarts(1))
	if err := w.agent.Restart(t.Context(), testNamespace+"/old"); !errors.Is(err, errEnded) {
		t.Errorf("Restart of a pod that ends: %v; want %v", err, errEnded)
	}
	for _, c := range w.agent.Containers() {
		if c.Ending != (c.Pod == "old") || c.Pod == "old" && c.Restarts != 0 {
			t.Errorf("%+v", c)
		}
	}
}

func TestPreStopRequest(t *testing.T) {
	t.Parallel()
	w := newTestNode(t)
	out := t.TempDir()
	w.create("app", "lab/web", func(p *corev1.Pod) {
		withHook(&corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: "/stop?now=1", Port: intstr.FromString("http"), HTTPHeaders: []corev1.HTTPHeader{{Name: "X-From", Value: "hook"}},
		}})(p)
		c := &p.Spec.Containers[0]
		c.Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: 80}}
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "out", MountPath: "/out"})
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "out", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: out}}})
	})
	w.await("app", "ready", ready)
	w.remove("app", 30)
	w.awaitGone()
	if asked, err := os.ReadFile(filepath.Join(out, "asked")); err != nil || string(asked) != "/stop?now=1 hook" {
		t.Errorf("the hook asked for %q, %v", asked, err)
	}
}

// The hook counts into the grace period, which a later deletion may shorten.
func TestGracePeriodBoundsTheHook(t *testing.T) {
	t.Parallel()
	hook := &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"sleep", "3600"}}}
	for _, graces := range [][]int64{{1}, {3600, 1}} {
		w := newTestNode(t)
		w.create("app", "lab/echo", withHook(hook))
		w.await("app", "ready", ready)
		began := time.Now()
		for _, grace := range graces {
			w.remove("app", grace)
		}
		w.awaitGone()
		if took := time.Since(began); took < time.Second {
			t.Errorf("%v: gone after %s, before the grace period was over", graces, took)
		}
		if code, ok := w.lastExit("app"); !ok || code != 0 {
			t.Errorf("%v: exit code %d (known %t), want that it ended by itself", graces, code, ok)
		}
	}
}

func TestKilledWhenTheGracePeriodIsOver(t *testing.T) {
	t.Parallel()
	w := newTestNode(t)
	w.create("app", "lab/stubborn", nil)
	w.await("app", "ready", ready)
	began := time.Now()
	w.remove("app", 3)
	w.awaitGone()
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("killed after %s, before the grace period was over", took)
	}
	if code, _ := w.lastExit("app"); code != exitKilled {
		t.Errorf("exit code %d, want %d", code, exitKilled)
	}
}

// A pod whose object is removed by force still has the time that its
// specification gives it.
func TestForcedRemovalLeavesTheGracePeriod(t *testing.T) {
	t.Parallel()
	w := newTestNode(t)
	w.create("app", "lab/echo", withHook(&corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 1}}))
	w.await("app", "ready", ready)
	pid, began := w.agent.Containers()[0].PID, time.Now()
	if err := w.client.CoreV1().Pods(testNamespace).Delete(t.Context(), "app", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.awaitGone()
	if took := time.Since(began); took < time.Second || alive(pid) {
		t.Errorf("gone after %s, process there %t", took, alive(pid))
	}
}

// The object stays for a moment: kubectl reads it after the deletion, and lists
// it, to wait for its end.
func TestDeletedPodStaysForAMoment(t *testing.T) {
	t.Parallel()
	w := newTestNode(t)
	w.create("app", "other/app", nil)
	w.await("app", "ready", ready)
	began := time.Now()
	w.remove("app", 30)
	w.awaitGone()
	if took := time.Since(began); took < time.Second {
		t.Errorf("gone after %s", took)
	}
}

func TestHookCommands(t *testing.T) {
	tests := []struct {
		command []string
		want    [][]string
	}{
		{nil, nil},
		{[]string{"sleep", "30"}, [][]string{{"sleep", "30"}}},
		{[]string{"/bin/sh", "-c", "sleep 30"}, [][]string{{"sleep", "30"}}},
		{[]string{"/bin/sh", "-ec", "sleep 5 && kill -SIGTERM $(pidof vault)\n"}, [][]string{{"sleep", "5"}, {"kill", "-SIGTERM", "$(pidof", "vault)"}}},
		{[]string{"bash", "-e", "-c", "nginx -s quit; sleep 1;"}, [][]string{{"nginx", "-s", "quit"}, {"sleep", "1"}}},
		{[]string{"sh", "/stop.sh"}, [][]string{{"sh", "/stop.sh"}}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, commands(tt.command)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.command, diff)
		}
	}
}

func TestHookThatCannotBeRun(t *testing.T) {
	for _, tt := range []struct {
		script, says string
	}{
		{"nginx -s quit; sleep 0.01", `the lab has no program "nginx"`},
		{"sleep", "missing operand"},
		{"sleep 1x", `invalid time interval "1x"`},
		{"sleep -1", `invalid time interval "-1"`},
	} {
		if err := runHook(t.Context(), []string{"sh", "-c", tt.script}); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want it to say %q", tt.script, err, tt.says)
		}
	}
	for args, want := range map[string]time.Duration{"30": 30 * time.Second, "0.5s 1m": 60500 * time.Millisecond, "2h": 2 * time.Hour} {
		if got, err := sleepTime(strings.Fields(args)); got != want || err != nil {
			t.Errorf("sleep %s = %s, %v; want %s", args, got, err, want)
		}
	}
}
