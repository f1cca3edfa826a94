package carollover

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
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/timeline"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/rollover"
)

// Authorities are the old and the new intermediate. Chains begin with the
// certificate itself.
type Authorities interface {
	Make(context.Context) error
	Old() []*x509.Certificate
	Next() []*x509.Certificate
	TakeOver(context.Context) error
	Back(context.Context) error
	Retire(context.Context) error
	Refusal() evidence.Refusal
	Ask(names ...string) (Trial, error)
}

// A Trial is one request for a certificate, which both are asked to sign.
type Trial interface {
	ByOld(context.Context) ([]*x509.Certificate, error)
	ByNext(context.Context) ([]*x509.Certificate, error)
	Refused(context.Context) (status int, answer string, err error)
}

type vaultAuthorities struct{ *rollover.Rollover }

func (v vaultAuthorities) Ask(names ...string) (Trial, error) { return v.Request(names...) }

// turningBack is how long an interrupted run goes on to let the old intermediate
// sign again.
const turningBack = 30 * time.Second

// Progress is a report of a rollover.
type Progress struct {
	Milestone timeline.Milestone // "" for none
	At        time.Time
	Note      string
	Stage     string // the present one; "" if it did not change
	Done      bool   // the rollover has ended
}

// A Config has the means of a rollover.
type Config struct {
	Spec   *Spec
	Look   func(context.Context) (Authorities, error)
	Certs  *certwatch.Client // renews the other certificates
	Trust  *tlskit.Trust     // of the clients
	Server string            // name that the trial certificates are for
	Env    *engine.Env
	Report func(Progress)
}

// A Rollover replaces the old intermediate by a new one. Its goroutine stops in the
// middle until Proceed, and lets the old one sign again unless all goes well. Its
// findings may be read when Over is closed.
type Rollover struct {
	Config
	start   chan struct{} // closed when it is time
	ready   chan struct{} // closed when the new one signs
	proceed chan struct{} // closed when the others may follow
	over    chan struct{}

	authorities Authorities
	overlap     [2][]*x509.Certificate // signed by the old one, and by the new one
	reissued    []reissued
	status      int // of the refusal
	answer      string
	control     []*x509.Certificate // signed by the new one when the old one refused
	retired     time.Time
	err         error  // why it failed
	stage       string // the last one
	retiring    bool   // there is no way back
	back        error  // why the old one could not be made to sign again
}

// New returns a rollover that has not started.
func New(c Config) *Rollover {
	return &Rollover{Config: c, start: make(chan struct{}), ready: make(chan struct{}), proceed: make(chan struct{}), over: make(chan struct{})}
}

// Start begins the rollover, which runs already, and returns when the new intermediate
// signs, or with the error that ended it before.
func (h *Rollover) Start() error {
	close(h.start)
	select {
	case <-h.ready:
		return nil
	case <-h.over:
		return h.err
	}
}

// Proceed lets the rollover retire the old intermediate. It may be called once.
func (h *Rollover) Proceed() { close(h.proceed) }

// Completed reports whether the new intermediate has replaced the old one, when the
// rollover has ended.
func (h *Rollover) Completed() bool { return h.err == nil }

// Next returns the certificate of the new intermediate.
func (h *Rollover) Next() *x509.Certificate { return h.authorities.Next()[0] }

// Run makes the rollover, from Start to its end or that of ctx.
func (h *Rollover) Run(ctx context.Context) {
	defer h.Report(Progress{Done: true})
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

func (h *Rollover) wait(ctx context.Context, until <-chan struct{}) error {
	select {
	case <-until:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Rollover) at(stage string) {
	h.stage = stage
	h.Report(Progress{Stage: stage})
}

func (h *Rollover) reached(m timeline.Milestone, note string) {
	h.Report(Progress{Milestone: m, At: h.Env.Now(), Note: note})
}

// before makes the new intermediate, shows that both sign, and lets the new one
// sign for all.
func (h *Rollover) before(ctx context.Context) (err error) {
	h.at("looking at the intermediate")
	if h.authorities, err = h.Look(ctx); err != nil {
		return err
	}
	h.at("making a new intermediate")
	if err := h.authorities.Make(ctx); err != nil {
		return err
	}
	h.reached(timeline.Made, "serial "+certs.Serial(h.authorities.Next()[0]))
	h.at("letting both sign")
	t, err := h.authorities.Ask(h.Server)
	if err != nil {
		return err
	}
	for i, sign := range []func(context.Context) ([]*x509.Certificate, error){t.ByOld, t.ByNext} {
		if h.overlap[i], err = sign(ctx); err != nil {
			return err
		}
		if _, err := h.Trust.Verify(h.overlap[i], h.Server, h.Env.Now); err != nil {
			return engine.Permanent(fmt.Errorf("what the %s intermediate signs does not lead to the trusted root: %w", []string{"old", "new"}[i], err))
		}
	}
	h.reached(timeline.Overlap, "")
	h.at("letting the new one sign for all")
	if err := h.authorities.TakeOver(ctx); err != nil {
		return err
	}
	h.reached(timeline.TookOver, "")
	h.at("the new intermediate signs")
	return nil
}

// after has the other certificates issued anew and retires the old intermediate.
func (h *Rollover) after(ctx context.Context) error {
	if err := h.wave(ctx); err != nil {
		return err
	}
	h.at("retiring the old intermediate")
	h.retiring = true
	if err := h.authorities.Retire(ctx); err != nil {
		return err
	}
	t, err := h.authorities.Ask(h.Server)
	if err != nil {
		return err
	}
	// The same request, put to both at the same time: only the signer differs.
	if h.status, h.answer, err = t.Refused(ctx); err != nil && !errors.Is(err, rollover.ErrSigned) {
		return err
	}
	if h.control, err = t.ByNext(ctx); err != nil {
		return err
	}
	h.retired = h.Env.Now()
	h.Report(Progress{Milestone: timeline.Retired, At: h.retired})
	return nil
}

// refused reports whether the old intermediate refused for the reason that it is
// retired.
func (h *Rollover) refused() bool {
	return h.authorities.Refusal().Matches(h.status, h.answer)
}

// A reissued is a certificate that was issued anew under the new intermediate.
type reissued struct {
	ref   certwatch.Ref
	chain []*x509.Certificate
	at    time.Time
}

// wave has the other certificates issued anew, a number of them at a time. The
// first that fails ends it.
func (h *Rollover) wave(ctx context.Context) error {
	list := h.Spec.Certificates
	if len(list) == 0 {
		return nil
	}
	limit := h.Spec.maxWave()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within maxWave, %s", engine.Duration(limit)))
	defer cancel()
	h.at(fmt.Sprintf("issuing %s anew", others(len(list))))
	next := h.authorities.Next()[0]
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(h.Spec.wave())
	for _, ref := range list {
		group.Go(func() error {
			return engine.Try(func() error {
				chain, err := h.Certs.Reissue(ctx, ref, next)
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				h.reissued = append(h.reissued, reissued{ref, chain, h.Env.Now()})
				h.at(fmt.Sprintf("%d of %s issued anew", len(h.reissued), others(len(list))))
				return nil
			})
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	h.reached(timeline.Reissued, others(len(list)))
	return nil
}
