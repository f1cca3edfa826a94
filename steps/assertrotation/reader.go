package assertrotation

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

// A reader reads the Secret again and again. A watch brings a new state at some
// time or other; a read that does not find it proves that it was not there when
// the read began (reads without a resource version are never answered from what
// is older). Without permission to get the Secret it does nothing.
type reader struct {
	resource dynamic.ResourceInterface
	name     string
	now      func() time.Time
	wake     chan struct{}

	mu    sync.Mutex
	since time.Time // since when a renewal is under way; zero if none is
}

func newReader(p *proof, secretName string) *reader {
	return &reader{
		resource: p.client.Resource(secrets).Namespace(p.spec.Certificate.Namespace), name: secretName,
		now: p.env.Now, wake: make(chan struct{}, 1),
	}
}

// renewal says whether one is under way.
func (r *reader) renewal(going bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if going != r.since.IsZero() {
		return
	}
	r.since = time.Time{}
	if going {
		r.since = r.now()
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// pause returns how long it is until the next read: a fiftieth of how long the
// renewal has taken.
func (r *reader) pause() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since.IsZero() {
		return readIdle
	}
	return min(max(r.now().Sub(r.since)/50, readSoon), readLate)
}

// run sends what it reads to changes until ctx ends.
func (r *reader) run(ctx context.Context, changes chan<- change) {
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
			select {
			case changes <- c:
			case <-ctx.Done():
				return
			}
		}
		timer.Reset(r.pause())
	}
}

func (r *reader) read(ctx context.Context) (change, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	began := r.now()
	u, err := r.resource.Get(ctx, r.name, metav1.GetOptions{})
	if err != nil {
		return change{}, err
	}
	b, err := decodeBundle(u)
	return change{secret: b, readAt: began}, err
}
