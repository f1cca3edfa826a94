package certwatch

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
)

// How often the Secret is read: at first while a renewal is under way, then
// less and less often, and when none is.
const (
	readSoon  = 50 * time.Millisecond
	readLate  = 500 * time.Millisecond
	readIdle  = 2 * time.Second
	readLimit = 5 * time.Second // of one read
)

// A reader reads the Secret again and again. A watch delivers a new state at some
// time; a read that does not find it proves that it was not there when the read
// began (reads without a resource version are never answered with older data).
// Without permission to get the Secret it ends.
type reader struct {
	resource dynamic.ResourceInterface
	name     string
	now      func() time.Time
	wake     chan struct{}

	mu    sync.Mutex
	since time.Time // since when a renewal is under way; zero if none is
}

// Read also reads the Secret until ctx ends: the changes have the time of the read.
func (w *Watch) Read(ctx context.Context) {
	w.reader = &reader{resource: w.resource, name: w.secret, now: w.now, wake: make(chan struct{}, 1)}
	w.wg.Go(func() { w.reader.run(ctx, w) })
}

// Renewing sets whether a renewal is under way: then the Secret is read more often.
func (w *Watch) Renewing(is bool) {
	if w.reader != nil {
		w.reader.renewing(is)
	}
}

func (r *reader) renewing(is bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if is != r.since.IsZero() {
		return
	}
	r.since = time.Time{}
	if is {
		r.since = r.now()
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// pause returns the time until the next read: a fiftieth of the time that the
// renewal has taken so far.
func (r *reader) pause() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since.IsZero() {
		return readIdle
	}
	return min(max(r.now().Sub(r.since)/50, readSoon), readLate)
}

// run delivers the Secret to w until ctx ends.
func (r *reader) run(ctx context.Context, w *Watch) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-r.wake:
		case <-ctx.Done():
			return
		}
		c, err := r.read(ctx)
		if apierrors.IsForbidden(err) {
			return
		}
		if err == nil {
			w.send(ctx, c)
		}
		timer.Reset(r.pause())
	}
}

func (r *reader) read(ctx context.Context) (Change, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	began := r.now()
	u, err := r.resource.Get(ctx, r.name, metav1.GetOptions{})
	if err != nil {
		return Change{}, err
	}
	b, err := decodeBundle(u)
	return Change{Secret: b, ReadAt: began}, err
}
