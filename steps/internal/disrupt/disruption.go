package disrupt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
	"github.com/ztplan/ztplan/steps/internal/timeline"
)

// restoring is how long an interrupted run goes on to restore the part: Kubernetes
// makes new pods anyway, but Vault may be unsealed by no one else.
const restoring = 30 * time.Second

// mostDeletions is how often a part's pods are deleted until it is away: a
// Deployment makes the next pod at once, and that may be ready before the old one
// has ended.
const mostDeletions = 5

// A Disruption takes the pods of one part away and waits until they are replaced. It
// belongs to one goroutine, except for Confirm.
type Disruption struct {
	spec   *Spec
	pods   pods
	env    *engine.Env
	unseal func(context.Context) error // unseals Vault when it has come back; nil if there is nothing to unseal
	report func(Progress)
	away   chan struct{} // closed when no pod of the part can do its work
	asked  chan struct{} // closed when the renewal was asked for since

	deletions []evidence.Deletion
}

// New returns a disruption that reports its progress. unseal is called when Vault
// has come back; nil if it is unsealed by other means.
func New(s *Spec, kube dynamic.Interface, env *engine.Env, unseal func(context.Context) error, report func(Progress)) *Disruption {
	return &Disruption{
		spec: s, env: env, unseal: unseal, report: report, away: make(chan struct{}), asked: make(chan struct{}),
		pods: pods{kube.Resource(podResource).Namespace(s.namespace()), s.selector()},
	}
}

// Away is closed when no pod of the part can do its work.
func (d *Disruption) Away() <-chan struct{} { return d.away }

var (
	errNotBack = errors.New("not in time")
	errCutOff  = errors.New("cut off")
	ErrNoGap   = errors.New("its replacement was ready before the old pod had ended, each time")
)

// Run makes the disruption and restores the part. When ctx ends no other pod is
// deleted, and the part is restored for a while.
func (d *Disruption) Run(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	own, giveUp := context.WithCancelCause(context.WithoutCancel(ctx))
	defer giveUp(nil)
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(restoring, func() { giveUp(errCutOff) })
		context.AfterFunc(own, func() { timer.Stop() })
	})
	defer stop()
	err := d.disrupt(ctx, own, giveUp)
	switch {
	case errors.Is(err, errNotBack):
		d.report(Progress{Late: true, Note: kubestatus.OneLine(strings.TrimSuffix(err.Error(), ": "+errNotBack.Error()))})
	case errors.Is(err, ErrNoGap):
		d.report(Progress{Milestone: timeline.Restored, At: d.env.Now(), Never: true})
	case err != nil:
		d.report(Progress{Err: err})
	default:
		d.report(Progress{Milestone: timeline.Restored, At: d.env.Now()})
	}
}

// disrupt deletes as long as ctx lasts, and restores as long as own does, which
// giveUp ends.
func (d *Disruption) disrupt(ctx, own context.Context, giveUp context.CancelCauseFunc) error {
	all, err := d.pods.list(own)
	if err != nil {
		return err
	}
	old := slices.DeleteFunc(all, func(p *pod) bool { return !p.running() })
	if len(old) == 0 {
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("no pod of %s runs: nothing in namespace %s has the labels %s", d.spec.Restart, d.spec.namespace(), d.pods.selector)),
			"set during.namespace and during.selector to those of the pods")
	}
	limit := d.spec.downLimit(old)
	timer := time.AfterFunc(limit, func() { giveUp(errNotBack) })
	defer timer.Stop()
	d.report(Progress{Milestone: timeline.Disrupted, At: d.env.Now(), Note: "pod " + strings.Join(names(old), ", "), Limit: limit})
	want := max(d.count(old, (*pod).ready), 1)
	for _, batch := range d.batches(old) {
		if err := d.restart(ctx, own, batch, want); err != nil {
			return err
		}
	}
	return nil
}

// batches returns the pods that are deleted together: those of a gateway are deleted
// one after another.
func (d *Disruption) batches(old []*pod) [][]*pod {
	if d.spec.First() {
		return [][]*pod{old}
	}
	return slices.Collect(slices.Chunk(old, 1))
}

// restart deletes pods and returns when none of them is left and as many as
// before are ready. It returns ErrNoGap if the part was never away and had to be.
func (d *Disruption) restart(ctx, own context.Context, batch []*pod, want int) error {
	if err := d.remove(ctx, batch); err != nil {
		return err
	}
	var gap error
	if d.spec.First() {
		if gap = d.absence(ctx, own); gap != nil && !errors.Is(gap, ErrNoGap) {
			return gap
		}
	}
	if d.unseal != nil {
		if err := d.restoreVault(own); err != nil {
			return err
		}
	}
	err := d.await(own, func(list []*pod) bool { return d.gone() && d.count(list, (*pod).ready) >= want })
	if err != nil {
		return err
	}
	return gap
}

// remove deletes pods. When ctx ends and some are deleted already, it returns nil so
// that those are restored.
func (d *Disruption) remove(ctx context.Context, batch []*pod) error {
	for _, p := range batch {
		var at time.Time
		e := d.spec.deletion()
		e.Path, e.Have, e.Want, e.Note = e.Path+"/"+p.Name, "running", "deleted", ""
		e.Apply = func(ctx context.Context) error {
			at = d.env.Now()
			return d.pods.remove(ctx, p)
		}
		if err := d.env.Apply(ctx, e); ctx.Err() != nil && err != nil && len(d.deletions) > 0 {
			return nil
		} else if err != nil {
			return err
		}
		d.deletions = append(d.deletions, evidence.Deletion{Pod: p.name(), UID: string(p.UID), Deleted: at})
		d.report(Progress{Deletions: slices.Clone(d.deletions)})
	}
	return nil
}

// absence returns when no pod of the part can do its work and the renewal has been
// asked for meanwhile. Replacements that are ready before the old pods have ended
// are deleted, too, a few times.
func (d *Disruption) absence(ctx, own context.Context) error {
	for n := 1; ; n++ {
		var early []*pod
		err := d.await(own, func(list []*pod) bool {
			early = slices.DeleteFunc(slices.Clone(list), func(p *pod) bool { return !d.works(p) })
			return !slices.ContainsFunc(early, d.leaves)
		})
		switch {
		case err != nil:
			return err
		case len(early) == 0:
			d.report(Progress{Away: true, At: d.env.Now()})
			close(d.away)
			select {
			case <-d.asked:
			case <-ctx.Done():
			}
			return nil
		case n == mostDeletions || ctx.Err() != nil:
			return ErrNoGap
		}
		if err := d.remove(ctx, early); err != nil {
			return err
		}
	}
}

// Confirm lets the disruption go on when the renewal has been asked for. It returns
// now if the part is still away, so that it was when the renewal was accepted; zero
// if it is not.
func (d *Disruption) Confirm(ctx context.Context) time.Time {
	defer close(d.asked)
	at := d.env.Now()
	list, err := d.pods.list(ctx)
	if err != nil || slices.ContainsFunc(list, d.works) {
		return time.Time{}
	}
	return at
}

// restoreVault waits until a pod runs, and unseals it.
func (d *Disruption) restoreVault(ctx context.Context) error {
	err := d.await(ctx, func(list []*pod) bool { return d.count(list, (*pod).running) > 0 })
	if err == nil {
		err = d.unseal(ctx)
	}
	if err == nil {
		d.report(Progress{Milestone: timeline.Unsealed, At: d.env.Now()})
	}
	return err
}

// await returns when done accepts the pods, and notes meanwhile which of the deleted
// ones are gone.
func (d *Disruption) await(ctx context.Context, done func([]*pod) bool) error {
	return d.pods.await(ctx, func(list []*pod) bool {
		d.note(list)
		return done(list)
	}, func(state string) { d.report(Progress{Note: state}) })
}

// note notes which of the deleted pods are gone, given those that are there.
func (d *Disruption) note(list []*pod) {
	changed := false
	for i := range d.deletions {
		one := &d.deletions[i]
		if one.Gone.IsZero() && !slices.ContainsFunc(list, func(p *pod) bool { return string(p.UID) == one.UID }) {
			one.Gone, changed = d.env.Now(), true
		}
	}
	if changed {
		d.report(Progress{Deletions: slices.Clone(d.deletions)})
	}
}

// gone reports whether none of the deleted pods is left.
func (d *Disruption) gone() bool {
	return !slices.ContainsFunc(d.deletions, func(one evidence.Deletion) bool { return one.Gone.IsZero() })
}

// deleted reports whether the disruption deleted a pod.
func (d *Disruption) deleted(uid types.UID) bool {
	return slices.ContainsFunc(d.deletions, func(one evidence.Deletion) bool { return one.UID == string(uid) })
}

// leaves reports whether a pod is ending or will.
func (d *Disruption) leaves(p *pod) bool { return p.leaving() || d.deleted(p.UID) }

// works reports whether a pod's programs can do their work: it is ready, or ending and
// has not ended.
func (d *Disruption) works(p *pod) bool {
	if d.leaves(p) {
		return !p.ended()
	}
	return p.ready()
}

// count counts the pods that match and were not deleted.
func (d *Disruption) count(list []*pod, match func(*pod) bool) int {
	n := 0
	for _, p := range list {
		if match(p) && !d.deleted(p.UID) {
			n++
		}
	}
	return n
}
