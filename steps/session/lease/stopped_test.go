//go:build linux

package lease_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/session/lease"
)

const (
	stoppedNamespace = "ZTPLAN_TEST_STOPPED_IN" // is set in the process that is stopped
	stoppedEdits     = 20
	stoppedDuration  = 3 * time.Second
)

// A run that is really stopped for longer than its lock holds starts no further
// edit when it goes on after another run took over, whether that one is still
// there or not. If no other run took over, it goes on.
func TestAStoppedRun(t *testing.T) {
	if namespace := os.Getenv(stoppedNamespace); namespace != "" {
		runUntilStopped(t, namespace)
		return
	}
	for name, c := range map[string]struct {
		meanwhile func(*testing.T, *engine.Env, string) // while it is stopped
		edits     int
		says      string
	}{
		"another run has it": {func(t *testing.T, env *engine.Env, namespace string) {
			lock := takeOver(t, env, namespace)
			t.Cleanup(func() { _ = lock.Release(context.Background()) })
		}, 2, "run lock lost: lease NAMESPACE/ztplan-demo is held by "},
		"another run had it": {func(t *testing.T, env *engine.Env, namespace string) {
			if err := takeOver(t, env, namespace).Release(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, 2, "run lock lost: lease NAMESPACE/ztplan-demo was taken over by another run, which is over"},
		"no other run": {func(t *testing.T, env *engine.Env, namespace string) { outlast(t) }, stoppedEdits, "done: <nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := labtest.Env(t)
			namespace := labtest.Namespace(t, env)
			child := exec.Command(os.Args[0], "-test.run=^TestAStoppedRun$", "-test.v")
			child.Env = append(os.Environ(), stoppedNamespace+"="+namespace)
			var out bytes.Buffer
			child.Stdout, child.Stderr = &out, &out
			stdin, err := child.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = child.Process.Kill(); _ = child.Wait() })
			appears(t, env, namespace, "edit-1")
			if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			var status syscall.WaitStatus
			if _, err := syscall.Wait4(child.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
				t.Fatalf("stopped %v, %v", status.Stopped(), err)
			}
			c.meanwhile(t, env, namespace)
			if n := count(t, env, namespace); n != 2 {
				t.Fatalf("%d edits while it is stopped", n)
			}
			fmt.Fprintln(stdin, "go on")
			if err := child.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			if err := child.Wait(); err != nil {
				t.Error(err)
			}
			if n := count(t, env, namespace); n != c.edits {
				t.Errorf("%d edits in the end, want %d", n, c.edits)
			}
			if says := strings.ReplaceAll(c.says, "NAMESPACE", namespace); !strings.Contains(out.String(), says) {
				t.Errorf("it does not say %q:\n%s", says, out.String())
			}
		})
	}
}

// runUntilStopped is the run that is stopped: many edits, the second of which
// lasts until its standard input has a line.
func runUntilStopped(t *testing.T, namespace string) {
	env := labtest.Env(t)
	ctx, stop := context.WithCancelCause(t.Context())
	var fence struct{ *lease.Lock }
	req := request(namespace, "first")
	req.Duration, req.Lost = stoppedDuration, stop
	_, err := run.Run(ctx, []run.Node{{
		ID: "many", Kind: manyKind, Policy: engine.DefaultPolicy(),
		Spec: func(run.Outputs) (any, error) { return &many{namespace}, nil },
	}}, run.Options{Env: *env, Fence: &fence, BeforeFirstWrite: func(ctx context.Context, _ func(string)) (err error) {
		fence.Lock, err = lease.Acquire(ctx, env, req)
		return err
	}})
	fmt.Println("done:", err)
}

var manyKind = engine.NewKind("many", engine.DefaultPolicy(), func() *many { return new(many) })

type many struct{ namespace string }

func (m *many) Inspect(ctx context.Context, env *engine.Env) (out struct{}, edits []engine.Edit, err error) {
	c, err := kubekit.Connect(ctx, env)
	if err != nil {
		return out, nil, err
	}
	maps := c.Client().CoreV1().ConfigMaps(m.namespace)
	there, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "edit"})
	if err != nil {
		return out, nil, err
	}
	for i := len(there.Items); i < stoppedEdits; i++ {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("edit-", i), Labels: map[string]string{"edit": ""}}}
		edits = append(edits, engine.Edit{Path: object.Name, Want: "there", Apply: func(ctx context.Context) error {
			_, err := maps.Create(ctx, object, metav1.CreateOptions{})
			if i == 1 && err == nil {
				_, err = fmt.Scanln(new(string), new(string))
			}
			return err
		}})
	}
	return out, edits, nil
}

// takeOver takes the lock as soon as it is free.
func takeOver(t *testing.T, env *engine.Env, namespace string) *lease.Lock {
	t.Helper()
	req := request(namespace, "second")
	req.Duration = stoppedDuration
	lock, err := lease.Await(engine.AllowWrites(t.Context()), env, req, func(text string) { t.Log(text) })
	if err != nil {
		t.Fatal(err)
	}
	if !lock.Moved() {
		t.Error("another run had it, and it is not said")
	}
	return lock
}

// outlast returns when the lock of a run that was stopped is over.
func outlast(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stoppedDuration)
	defer cancel()
	<-ctx.Done()
}

// appears returns when a ConfigMap is there.
func appears(t *testing.T, env *engine.Env, namespace, name string) {
	t.Helper()
	c, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.Client().CoreV1().ConfigMaps(namespace).Watch(t.Context(), metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if _, ok := <-w.ResultChan(); !ok {
		t.Fatalf("the watch ended before %s was there", name)
	}
}

func count(t *testing.T, env *engine.Env, namespace string) int {
	t.Helper()
	c, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Client().CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "edit"})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}
