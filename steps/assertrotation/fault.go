package assertrotation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/engine"
)

// mending is how long a proof that is cut off goes on to bring back what it took
// away: Kubernetes makes new pods anyway, but nobody else may unseal Vault.
const mending = 30 * time.Second

// A mishap is what a fault tells: a hop, what it waits for, or why it ends.
type mishap struct {
	hop  hop // "" for none
	at   time.Time
	note string
	pods []string // that were deleted, with hopFault
	err  error    // the fault could not be made or mended
	late bool     // the part is not back in time; note says why
}

// A fault takes the pods of one part away and sees them come back. It belongs
// to one goroutine.
type fault struct {
	during *During
	pods   pods
	now    func() time.Time
	reopen func(context.Context) error // unseals what has come back; nil if nobody has to, or somebody else does
	tell   func(mishap)
	away   chan struct{} // closed when the first pods are gone
}

func newFault(p *proof, tell func(mishap)) *fault {
	d := p.spec.During
	return &fault{
		during: d, now: p.env.Now, reopen: p.reopen, tell: tell, away: make(chan struct{}),
		pods: pods{p.client.Resource(podResource).Namespace(d.namespace()), d.selector()},
	}
}

// run makes the fault and mends it. When ctx ends it goes on for a while, unless
// nothing has been deleted yet.
func (f *fault) run(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	own, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), f.during.maxDown(), errNotBack)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(mending, cancel)
		context.AfterFunc(own, func() { timer.Stop() })
	})
	defer stop()
	err := f.make(own)
	switch {
	case errors.Is(err, errNotBack):
		f.tell(mishap{late: true, note: oneLine(strings.TrimSuffix(err.Error(), ": "+errNotBack.Error()))})
	case err != nil:
		f.tell(mishap{err: err})
	default:
		f.tell(mishap{hop: hopRestored, at: f.now()})
	}
}

var errNotBack = errors.New("not in time")

func (f *fault) make(ctx context.Context) error {
	all, err := f.pods.list(ctx)
	if err != nil {
		return err
	}
	var old []*pod
	for _, p := range all {
		if p.running() {
			old = append(old, p)
		}
	}
	if len(old) == 0 {
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("no pod of %s runs: nothing in namespace %s has the labels %s", f.during.Restart, f.during.namespace(), f.pods.selector)),
			"set during.namespace and during.selector to those of the pods")
	}
	deleted := make(map[types.UID]bool)
	want := max(count(old, deleted, (*pod).ready), 1)
	for _, batch := range f.batches(old) {
		if err := f.restart(ctx, batch, deleted, want); err != nil {
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
	out := make([][]*pod, len(old))
	for i, p := range old {
		out[i] = []*pod{p}
	}
	return out
}

// restart deletes pods and returns when as many as before are ready.
func (f *fault) restart(ctx context.Context, batch []*pod, deleted map[types.UID]bool, want int) error {
	names := make([]string, len(batch))
	for i, p := range batch {
		names[i] = p.Metadata.Namespace + "/" + p.Metadata.Name
	}
	f.tell(mishap{hop: hopFault, at: f.now(), note: "pod " + strings.Join(names, ", "), pods: names})
	for _, p := range batch {
		if err := f.pods.remove(ctx, p); err != nil {
			return err
		}
		deleted[p.Metadata.UID] = true
	}
	if f.during.first() {
		if err := f.pods.await(ctx, func(list []*pod) bool { return gone(list, deleted) }, f.waiting); err != nil {
			return err
		}
		close(f.away)
	}
	if f.reopen != nil {
		if err := f.unseal(ctx, deleted); err != nil {
			return err
		}
	}
	return f.pods.await(ctx, func(list []*pod) bool { return count(list, deleted, (*pod).ready) >= want }, f.waiting)
}

// unseal waits until what has come back runs, and opens it.
func (f *fault) unseal(ctx context.Context, deleted map[types.UID]bool) error {
	err := f.pods.await(ctx, func(list []*pod) bool { return count(list, deleted, (*pod).running) > 0 }, f.waiting)
	if err == nil {
		err = f.reopen(ctx)
	}
	if err == nil {
		f.tell(mishap{hop: hopUnsealed, at: f.now()})
	}
	return err
}

func (f *fault) waiting(state string) { f.tell(mishap{note: state}) }

// count counts the pods that are so and were not deleted.
func count(list []*pod, deleted map[types.UID]bool, so func(*pod) bool) int {
	n := 0
	for _, p := range list {
		if so(p) && !deleted[p.Metadata.UID] {
			n++
		}
	}
	return n
}
