package assertrotation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/rollover"
)

// authorities are the old and the new intermediate. Chains begin with the
// certificate itself.
type authorities interface {
	Make(context.Context) error
	Old() []*x509.Certificate
	Next() []*x509.Certificate
	TakeOver(context.Context) error
	Back(context.Context) error
	Retire(context.Context) error
	Refusal() evidence.Refusal
	Ask(names ...string) (trial, error)
}

// A trial is one request for a certificate that both are asked to sign.
type trial interface {
	ByOld(context.Context) ([]*x509.Certificate, error)
	ByNext(context.Context) ([]*x509.Certificate, error)
	Refused(context.Context) (status int, answer string, err error)
}

type vaultAuthorities struct{ *rollover.Rollover }

func (v vaultAuthorities) Ask(names ...string) (trial, error) { return v.Request(names...) }

// turningBack is how long a proof that is cut off goes on to let the old
// intermediate sign again.
const turningBack = 30 * time.Second

// A news is what a rollover tells.
type news struct {
	hop   hop // "" for none
	at    time.Time
	note  string
	state string // what it is at; "" if that did not change
	done  bool   // it is over
}

// A caRollover puts a new intermediate into the place of the old one. Its
// goroutine stops in the middle until the measured certificate has arrived, and
// lets the old one sign again unless all goes well. What it gathered may be read
// when over is closed.
type caRollover struct {
	proof   *proof
	tell    func(news)
	start   chan struct{} // closed when it is time
	ready   chan struct{} // closed when the new one signs
	proceed chan struct{} // closed when the others may follow
	over    chan struct{}

	authorities authorities
	overlap     [2][]*x509.Certificate // signed by the old one, and by the new one
	reissued    []reissued
	status      int // of the refusal
	answer      string
	control     []*x509.Certificate // what the new one signed when the old one refused
	retired     time.Time
	err         error  // why it did not come to that
	stage       string // what it was at last
	retiring    bool   // there is no way back
	back        error  // why the old one could not be made to sign again
}

func newCARollover(p *proof, tell func(news)) *caRollover {
	return &caRollover{proof: p, tell: tell, start: make(chan struct{}), ready: make(chan struct{}), proceed: make(chan struct{}), over: make(chan struct{})}
}

func (h *caRollover) run(ctx context.Context) {
	defer h.tell(news{done: true})
	defer close(h.over)
	if h.err = h.wait(ctx, h.start); h.err == nil {
		h.err = h.before(ctx)
	}
	if h.err == nil {
		close(h.ready)
		h.err = h.wait(ctx, h.proceed)
	}
	if h.err == nil {
		h.err = h.after(ctx)
	}
	if h.err == nil || h.authorities == nil || h.retiring {
		return
	}
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), turningBack)
	defer cancel()
	h.back = h.authorities.Back(own)
}

func (h *caRollover) wait(ctx context.Context, until <-chan struct{}) error {
	select {
	case <-until:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *caRollover) at(stage string) {
	h.stage = stage
	h.tell(news{state: stage})
}

func (h *caRollover) reached(hop hop, note string) {
	h.tell(news{hop: hop, at: h.proof.env.Now(), note: note})
}

// before makes the new intermediate, shows that both sign, and lets the new one
// sign for everybody.
func (h *caRollover) before(ctx context.Context) (err error) {
	h.at("looking at the intermediate")
	if h.authorities, err = h.proof.lookVault(ctx); err != nil {
		return err
	}
	h.at("making a new intermediate")
	if err := h.authorities.Make(ctx); err != nil {
		return err
	}
	h.reached(hopMade, "serial "+tlskit.Serial(h.authorities.Next()[0]))
	h.at("letting both sign")
	t, err := h.authorities.Ask(h.names()...)
	if err != nil {
		return err
	}
	for i, sign := range []func(context.Context) ([]*x509.Certificate, error){t.ByOld, t.ByNext} {
		if h.overlap[i], err = sign(ctx); err != nil {
			return err
		}
		if _, err := h.proof.trust.Verify(h.overlap[i], h.proof.url.Hostname(), h.proof.env.Now); err != nil {
			return engine.Permanent(fmt.Errorf("what the %s intermediate signs does not lead to the trusted root: %w", []string{"old", "new"}[i], err))
		}
	}
	h.reached(hopOverlap, "")
	h.at("letting the new one sign for everybody")
	if err := h.authorities.TakeOver(ctx); err != nil {
		return err
	}
	h.reached(hopTookOver, "")
	h.at("the new intermediate signs")
	return nil
}

// after has the other certificates issued anew and retires the old intermediate.
func (h *caRollover) after(ctx context.Context) error {
	if err := h.wave(ctx); err != nil {
		return err
	}
	h.at("retiring the old intermediate")
	h.retiring = true
	if err := h.authorities.Retire(ctx); err != nil {
		return err
	}
	t, err := h.authorities.Ask(h.names()...)
	if err != nil {
		return err
	}
	// The same request, put to both, at the same time: only who signs differs.
	if h.status, h.answer, err = t.Refused(ctx); err != nil && !errors.Is(err, rollover.ErrSigned) {
		return err
	}
	if h.control, err = t.ByNext(ctx); err != nil {
		return err
	}
	h.retired = h.proof.env.Now()
	h.tell(news{hop: hopRetired, at: h.retired})
	return nil
}

// names are those that the trial certificates are for: the role allows what it
// signs for the Certificate.
func (h *caRollover) names() []string { return []string{h.proof.url.Hostname()} }

// refused reports whether the old intermediate refused for the reason that it is
// retired.
func (h *caRollover) refused() bool {
	return h.authorities.Refusal().Matches(h.status, h.answer)
}

// A reissued is a certificate that was issued anew under the new intermediate.
type reissued struct {
	ref   Ref
	chain []*x509.Certificate
	at    time.Time
}

// wave has the other certificates issued anew, a number of them at a time. The
// first that fails ends it.
func (h *caRollover) wave(ctx context.Context) error {
	list := h.proof.spec.Intermediate.Certificates
	if len(list) == 0 {
		return nil
	}
	limit := h.proof.spec.Intermediate.maxWave()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within maxWave, %s", engine.Duration(limit)))
	defer cancel()
	h.at(fmt.Sprintf("issuing %s anew", others(len(list))))
	next := h.authorities.Next()[0]
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(h.proof.spec.Intermediate.wave())
	for _, ref := range list {
		group.Go(func() error {
			return engine.Try(func() error {
				one, err := h.proof.reissue(ctx, ref, next)
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				h.reissued = append(h.reissued, one)
				h.at(fmt.Sprintf("%d of %s issued anew", len(h.reissued), others(len(list))))
				return nil
			})
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	h.reached(hopReissued, others(len(list)))
	return nil
}
