package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
)

// stoppedRun stops a run with SIGSTOP for longer than its lock holds, lets another
// plan of the same name run, and lets it go on: it must not write any more.
func stoppedRun(t *testing.T, w *world) string {
	const name, steps = "attack-stopped", 20
	plan := w.chainFile(name, steps)
	second := strings.ReplaceAll(w.text(plan), `of: "`+name+`"`, `of: "second"`)
	w.put("second.yaml", second)
	var takeover *outcome
	stopped := false
	o := w.do(func(e engine.Event, p *os.Process) {
		if stopped || e.Action != engine.ActionApplied || e.Step != "s1" {
			return
		}
		stopped = true
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			t.Error(err)
			return
		}
		if err := w.leaseIsOver(t, name); err != nil {
			t.Error(err)
		} else {
			takeover = w.do(nil, "run", "second.yaml")
		}
		if err := p.Signal(syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	}, "run", plan)
	if takeover == nil || takeover.code != 0 {
		return fmt.Sprintf("nobody took over: %v", takeover)
	}
	if o.code != 1 || !strings.Contains(o.stderr, "lock lost") {
		return "the run that was stopped goes on: " + o.String()
	}
	for i := range steps {
		if got := w.of(fmt.Sprintf("%s-%d", name, i)); got != "second" {
			return fmt.Sprintf("object %d says %v: it was written after the other run had taken over", i, got)
		}
	}
	return ""
}

// leaseIsOver returns when the lock of a plan has not been renewed for as long as it
// holds.
func (w *world) leaseIsOver(t *testing.T, plan string) error {
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	for {
		lease, err := w.kube().Resource(resources["Lease"]).Namespace("default").Get(ctx, "ztplan-"+plan, metav1.GetOptions{})
		if err != nil {
			return err
		}
		text, _, err := unstructured.NestedString(lease.Object, "spec", "renewTime")
		if err != nil {
			return err
		}
		renewed, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return err
		}
		seconds, ok, _ := unstructured.NestedInt64(lease.Object, "spec", "leaseDurationSeconds")
		if !ok {
			return errors.New("the lease says no duration")
		}
		over := time.Until(renewed.Add(time.Duration(seconds) * time.Second))
		if over < 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(over + 100*time.Millisecond):
		}
	}
}

// longOutage takes the API server away for longer than the lock holds, and nobody
// takes the lock: the run goes on.
func longOutage(t *testing.T, w *world) string {
	w.limit = 5 * time.Minute
	defer func() { w.limit = runLimit }()
	done := false
	o := w.do(func(e engine.Event, _ *os.Process) {
		if done || e.Action != engine.ActionApplied || e.Step != "s1" {
			return
		}
		done = true
		if out, err := exec.Command(w.ztlab, "kill", "apiserver", "--for", "40s", "--lab-dir", w.dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}, "run", w.chainFile("attack-outage", 20))
	w.await(t)
	if o.code != 0 || !done {
		return strings.Join(append(o.differences(), o.String()), "\n")
	}
	return ""
}
