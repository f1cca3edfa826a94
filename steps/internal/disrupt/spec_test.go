package disrupt

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/timeline"
)

func graceful(seconds int64) *pod {
	return &pod{corev1.Pod{Spec: corev1.PodSpec{TerminationGracePeriodSeconds: &seconds}}}
}

func TestDownLimit(t *testing.T) {
	old := []*pod{graceful(10), graceful(40), {}} // the last one has the default, 30 s
	for _, c := range []struct {
		name string
		spec Spec
		old  []*pod
		want time.Duration
	}{
		{"all at once: the longest grace period", Spec{Restart: Vault}, old, 2*time.Minute + 40*time.Second},
		{"one after another: the sum", Spec{Restart: Gateway}, old, 2*time.Minute + 80*time.Second},
		{"before the pods are known", Spec{Restart: Gateway}, nil, 2 * time.Minute},
		{"the plan's", Spec{Restart: Vault, MaxDown: engine.Duration(time.Second)}, old, time.Second},
	} {
		if got := c.spec.downLimit(c.old); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestBatches(t *testing.T) {
	old := []*pod{graceful(1), graceful(2), graceful(3)}
	for part, want := range map[string]int{Vault: 1, CertManager: 1, Gateway: 3} {
		d := Disruption{spec: &Spec{Restart: part}}
		if got := d.batches(old); len(got) != want || !slices.Equal(slices.Concat(got...), old) {
			t.Errorf("%s: %d batches, want %d", part, len(got), want)
		}
	}
}

func TestStatesOfPods(t *testing.T) {
	running := func(change func(*corev1.Pod)) *pod {
		p := &pod{corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Status: corev1.PodStatus{
			Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		}}}
		change(&p.Pod)
		return p
	}
	ending := func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.Time) }
	for _, c := range []struct {
		pod          *pod
		state        string
		works, ended bool
	}{
		{running(func(*corev1.Pod) {}), "p ready", true, false},
		{running(func(p *corev1.Pod) {
			p.Status.Conditions[0].Status, p.Status.Conditions[0].Message = corev1.ConditionFalse, "sealed"
		}), "p running, not ready: sealed", false, false},
		{running(func(p *corev1.Pod) { p.Status = corev1.PodStatus{} }), "p Pending", false, false},
		{running(ending), "p ending", true, false}, // its programs still run
		{running(func(p *corev1.Pod) { ending(p); p.Status.Phase = corev1.PodSucceeded }), "p ending", false, true},
		{running(func(p *corev1.Pod) {
			ending(p)
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Terminated: new(corev1.ContainerStateTerminated)}}, {}}
		}), "p ending", true, false},
		{running(func(p *corev1.Pod) {
			ending(p)
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Terminated: new(corev1.ContainerStateTerminated)}}}
		}), "p ending", false, true},
	} {
		d := Disruption{spec: &Spec{Restart: Vault}}
		if got := c.pod.state(); got != c.state || d.works(c.pod) != c.works || c.pod.ended() != c.ended {
			t.Errorf("%q works: %t, ended: %t; want %q, %t, %t", got, d.works(c.pod), c.pod.ended(), c.state, c.works, c.ended)
		}
	}
}

func TestOutcome(t *testing.T) {
	at := func(s int) time.Time { return time.Date(2026, 1, 18, 17, 0, s, 0, time.UTC) }
	spec := &Spec{Restart: Vault}
	var o Outcome
	if got := o.Evidence(spec); got.Part != "" || o.DownLimit(spec) != 2*time.Minute {
		t.Errorf("before it began: %v, limit %s", got, o.DownLimit(spec))
	}
	deletions := []evidence.Deletion{{Pod: "vault/vault-0", UID: "1", Deleted: at(1)}}
	for _, p := range []Progress{
		{Milestone: timeline.Disrupted, At: at(1), Note: "pod vault/vault-0", Limit: time.Minute},
		{Deletions: deletions}, {Note: "pod vault-0 ending"}, {Away: true, At: at(3)},
	} {
		o.Handle(p)
	}
	if o.AwayAt(at(4)) {
		t.Error("away when the renewal was asked for, though nothing confirms it")
	}
	o.Still = at(5)
	if !o.AwayAt(at(4)) || o.AwayAt(at(2)) || o.DownLimit(spec) != time.Minute || o.State != "pod vault-0 ending" {
		t.Errorf("away at 4 s: %t, at 2 s: %t, limit %s, state %q", o.AwayAt(at(4)), o.AwayAt(at(2)), o.DownLimit(spec), o.State)
	}
	o.Handle(Progress{Milestone: timeline.Restored, At: at(9)})
	f := o.Evidence(spec)
	if f.Part != Vault || !slices.Equal(f.Pods, []string{"vault/vault-0"}) || !f.Began.Equal(at(1)) || !f.Away.Equal(at(3)) || !f.StillAway.Equal(at(5)) || !f.Ended.Equal(at(9)) || o.Never {
		t.Errorf("on record: %+v", f)
	}
	if o.Handle(Progress{Milestone: timeline.Restored, At: at(9), Never: true}); !o.Never {
		t.Error("the part was never away, and that is forgotten")
	}
}

func TestIntent(t *testing.T) {
	for part, want := range map[string]string{
		Vault:   "before the renewal is asked for\nwait until it is unsealed\nassert that vault is back within 2m and its pods' grace periods",
		Gateway: "as soon as the Secret is written\nassert that gateway is back within 2m and its pods' grace periods",
	} {
		if got := strings.Join((&Spec{Restart: part}).Intent(), "\n"); !strings.Contains(got, want) {
			t.Errorf("%s:\n%s\nwant it to contain\n%s", part, got, want)
		}
	}
}
