package assertrotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

// mending is how long a proof that is cut off goes on to bring back what it took
// away: Kubernetes makes new pods anyway, but nobody else may unseal Vault.
const mending = 30 * time.Second

// mostDeletions is how often a part's pods are deleted to find it away: a
// Deployment makes the next pod at once, and that may be ready before the old one
// has ended.
const mostDeletions = 5

// A mishap is what a fault tells: a hop, what it waits for, or why it ends.
type mishap struct {
	hop   hop // "" for none
	at    time.Time
	note  string
	limit time.Duration // that the part may be away, with hopFault
	away  bool          // no pod of the part can do its work, since at
	err   error         // the fault could not be made or mended
	late  bool          // the part is not back in time; note says why
	never bool          // the part is back and never was away

	// deletions are all pods that were deleted so far; nil if that did not
	// change.
	deletions []evidence.Deletion
}

// A fault takes the pods of one part away and sees them come back. It belongs
// to one goroutine, but for confirm.
type fault struct {
	during *During
	pods   pods
	now    func() time.Time
	change func(context.Context, engine.Edit) error
	reopen func(context.Context) error // unseals what has come back; nil if nobody has to, or somebody else does
	tell   func(mishap)
	away   chan struct{} // closed when no pod of the part can do its work
	asked  chan struct{} // closed when the renewal was asked for since

	deletions []evidence.Deletion
}

func newFault(p *proof, tell func(mishap)) *fault {
	d := p.spec.During
	return &fault{
		during: d, now: p.env.Now, change: p.env.Apply, reopen: p.reopen, tell: tell, away: make(chan struct{}), asked: make(chan struct{}),
		pods: pods{p.client.Resource(podResource).Namespace(d.namespace()), d.selector()},
	}
}

var (
	errNotBack = errors.New("not in time")
	errCutOff  = errors.New("cut off")
	errNoGap   = errors.New("its replacement was ready before the old pod had ended, each time")
)

// run makes the fault and mends it. When ctx ends no other pod is deleted, and
// what was is mended for a while.
func (f *fault) run(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	own, giveUp := context.WithCancelCause(context.WithoutCancel(ctx))
	defer giveUp(nil)
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(mending, func() { giveUp(errCutOff) })
		context.AfterFunc(own, func() { timer.Stop() })
	})
	defer stop()
	err := f.make(ctx, own, giveUp)
	switch {
	case errors.Is(err, errNotBack):
		f.tell(mishap{late: true, note: oneLine(strings.TrimSuffix(err.Error(), ": "+errNotBack.Error()))})
	case errors.Is(err, errNoGap):
		f.tell(mishap{hop: hopRestored, at: f.now(), never: true})
	case err != nil:
		f.tell(mishap{err: err})
	default:
		f.tell(mishap{hop: hopRestored, at: f.now()})
	}
}

// make deletes as long as ctx lasts, and mends as long as own does, which giveUp
// ends.
func (f *fault) make(ctx, own context.Context, giveUp context.CancelCauseFunc) error {
	all, err := f.pods.list(own)
	if err != nil {
		return err
	}
	old := slices.DeleteFunc(all, func(p *pod) bool { return !p.running() })
	if len(old) == 0 {
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("no pod of %s runs: nothing in namespace %s has the labels %s", f.during.Restart, f.during.namespace(), f.pods.selector)),
			"set during.namespace and during.selector to those of the pods")
	}
	limit := f.during.maxDown(old)
	timer := time.AfterFunc(limit, func() { giveUp(errNotBack) })
	defer timer.Stop()
	f.tell(mishap{hop: hopFault, at: f.now(), note: "pod " + strings.Join(names(old), ", "), limit: limit})
	want := max(f.count(old, (*pod).ready), 1)
	for _, batch := range f.batches(old) {
		if err := f.restart(ctx, own, batch, want); err != nil {
			return err
		}
	}
	return nil
}

// batches says which pods go together: those of a gateway one after another.
func (f *fault) batches(old []*pod) [][]*pod {
	if f.during.first() {
		return [][]*pod{old}
	}
	return slices.Collect(slices.Chunk(old, 1))
}

// restart deletes pods and returns when none of them is left and as many as
// before are ready. It returns errNoGap if the part was never away and had to be.
func (f *fault) restart(ctx, own context.Context, batch []*pod, want int) error {
	if err := f.remove(ctx, batch); err != nil {
		return err
	}
	var gap error
	if f.during.first() {
		if gap = f.absence(ctx, own); gap != nil && !errors.Is(gap, errNoGap) {
			return gap
		}
	}
	if f.reopen != nil {
		if err := f.unseal(own); err != nil {
			return err
		}
	}
	err := f.await(own, func(list []*pod) bool { return f.gone() && f.count(list, (*pod).ready) >= want })
	if err != nil {
		return err
	}
	return gap
}

// remove deletes pods, unless ctx ends when some are deleted already: those are
// mended.
func (f *fault) remove(ctx context.Context, batch []*pod) error {
	for _, p := range batch {
		var at time.Time
		e := f.during.deletion()
		e.Path, e.Have, e.Want, e.Note = e.Path+"/"+p.Metadata.Name, "running", "deleted", ""
		e.Apply = func(ctx context.Context) error {
			at = f.now()
			return f.pods.remove(ctx, p)
		}
		if err := f.change(ctx, e); ctx.Err() != nil && err != nil && len(f.deletions) > 0 {
			return nil
		} else if err != nil {
			return err
		}
		f.deletions = append(f.deletions, evidence.Deletion{Pod: p.name(), UID: string(p.Metadata.UID), Deleted: at})
		f.tell(mishap{deletions: slices.Clone(f.deletions)})
	}
	return nil
}

// absence returns when no pod of the part can do its work and the renewal has been
// asked for meanwhile. Replacements that are ready before the old pods have ended
// are deleted, too, a few times.
func (f *fault) absence(ctx, own context.Context) error {
	for n := 1; ; n++ {
		var early []*pod
		err := f.await(own, func(list []*pod) bool {
			early = slices.DeleteFunc(slices.Clone(list), func(p *pod) bool { return !f.works(p) })
			return !slices.ContainsFunc(early, f.leaves)
		})
		switch {
		case err != nil:
			return err
		case len(early) == 0:
			f.tell(mishap{away: true, at: f.now()})
			close(f.away)
			select {
			case <-f.asked:
			case <-ctx.Done():
			}
			return nil
		case n == mostDeletions || ctx.Err() != nil:
			return errNoGap
		}
		if err := f.remove(ctx, early); err != nil {
			return err
		}
	}
}

// confirm lets the fault go on when the renewal has been asked for. It returns
// since when the part has certainly been away in which that was accepted: now,
// or zero if the part could do its work meanwhile.
func (f *fault) confirm(ctx context.Context) time.Time {
	defer close(f.asked)
	at := f.now()
	list, err := f.pods.list(ctx)
	if err != nil || slices.ContainsFunc(list, f.works) {
		return time.Time{}
	}
	return at
}

// unseal waits until what has come back runs, and opens it.
func (f *fault) unseal(ctx context.Context) error {
	err := f.await(ctx, func(list []*pod) bool { return f.count(list, (*pod).running) > 0 })
	if err == nil {
		err = f.reopen(ctx)
	}
	if err == nil {
		f.tell(mishap{hop: hopUnsealed, at: f.now()})
	}
	return err
}

// await returns when done says that the pods are as they should be, and notes
// meanwhile which of the deleted ones are gone.
func (f *fault) await(ctx context.Context, done func([]*pod) bool) error {
	return f.pods.await(ctx, func(list []*pod) bool {
		f.note(list)
		return done(list)
	}, func(state string) { f.tell(mishap{note: state}) })
}

// note notes which of the deleted pods are gone, given those that are there.
func (f *fault) note(list []*pod) {
	changed := false
	for i := range f.deletions {
		d := &f.deletions[i]
		if d.Gone.IsZero() && !slices.ContainsFunc(list, func(p *pod) bool { return string(p.Metadata.UID) == d.UID }) {
			d.Gone, changed = f.now(), true
		}
	}
	if changed {
		f.tell(mishap{deletions: slices.Clone(f.deletions)})
	}
}

// gone reports whether none of the deleted pods is left.
func (f *fault) gone() bool {
	return !slices.ContainsFunc(f.deletions, func(d evidence.Deletion) bool { return d.Gone.IsZero() })
}

// deleted reports whether the fault deleted a pod.
func (f *fault) deleted(uid types.UID) bool {
	return slices.ContainsFunc(f.deletions, func(d evidence.Deletion) bool { return d.UID == string(uid) })
}

// leaves reports whether a pod is on its way out.
func (f *fault) leaves(p *pod) bool { return p.leaving() || f.deleted(p.Metadata.UID) }

// works reports whether a pod's programs can do their work: it is ready, or on its
// way out and has not ended.
func (f *fault) works(p *pod) bool {
	if f.leaves(p) {
		return !p.ended()
	}
	return p.ready()
}

// count counts the pods that are so and were not deleted.
func (f *fault) count(list []*pod, so func(*pod) bool) int {
	n := 0
	for _, p := range list {
		if so(p) && !f.deleted(p.Metadata.UID) {
			n++
		}
	}
	return n
}

func names(list []*pod) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.name()
	}
	return out
}
