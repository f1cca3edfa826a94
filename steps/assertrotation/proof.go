package assertrotation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certmanager"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/probe"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// A proof is one measurement. The goroutine of run owns all of it; watch and
// prober only send to its channels.
type proof struct {
	spec      *Spec
	env       *engine.Env
	url       *url.URL
	trust     *tlskit.Trust
	endpoints []tlskit.Endpoint // of the clients
	client    dynamic.Interface
	backoff   certmanager.Backoff         // of the cert-manager that is there
	reopen    func(context.Context) error // unseals Vault after a fault; nil if somebody else does
	lookVault func(context.Context) (authorities, error)

	changes <-chan change
	mishaps chan mishap
	news    chan news
	prober  *probe.Prober
	bursts  *probe.Bursts
	answers <-chan probe.Answer // nil without keep-alive connections

	// The newest known states; nil until the watch has told.
	cert     *certificate
	secret   *bundle
	requests map[types.UID]*request
	troubles troubles
	history  history

	reader *reader
	clock  serverClock

	findServers func(context.Context) (probe.Servers, error)
	servers     *probe.Discovery

	rec    *probe.Record
	issued time.Time    // when the present certificate was there at the latest
	wg     engine.Group // of everything that run started
}

// A state is what there was before or after a rotation.
type state struct {
	cert   *certificate
	secret *bundle
}

// apart is the least time between two issuances: certificates count whole
// seconds, so that notBefore cannot tell closer ones apart.
const apart = time.Second

// tooLate is how late a probe may be begun before that is worth a warning.
const tooLate = 250 * time.Millisecond

// beat is how often the status is told anew while nothing else happens.
const beat = 500 * time.Millisecond

func (p *proof) run(ctx context.Context) (Outputs, []engine.Finding, error) {
	secretName, err := p.look(ctx, p.spec.Certificate)
	if err != nil {
		return Outputs{}, nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	p.wg.Panicked = cancel
	defer p.wg.Wait()
	defer cancel(nil)
	p.issued = p.env.Now()
	p.history.floor = p.issued.Round(0)
	p.reader = newReader(p, secretName)
	changes := watch(ctx, &p.wg, p.client, p.spec.Certificate, secretName)
	p.wg.Go(func() { p.reader.run(ctx, changes) })
	p.changes = changes
	p.requests = make(map[types.UID]*request)
	p.troubles = make(troubles)
	p.servers = probe.NewDiscovery(p.findServers, p.env.Now, &p.wg)
	found, err := p.servers.First(ctx)
	if err != nil {
		return Outputs{}, nil, err
	}
	p.rec = probe.NewRecord(p.endpoints, found, p.limits(), p.env.Now())
	p.prober = probe.New(probe.Config{
		URL: p.url, Trust: p.trust, Endpoints: p.endpoints, HTTP: p.spec.Probe.HTTP, Status: p.spec.Probe.Status,
		Rate: p.spec.Probe.Rate, Timeout: p.spec.Probe.Timeout.Std(), Now: p.env.Now,
	})
	p.bursts = probe.NewBursts(p.prober, &p.wg)
	p.wg.Go(func() { p.prober.Run(ctx) })
	p.mishaps = make(chan mishap)
	p.news = make(chan news)
	if p.spec.Probe.LongLived {
		p.answers = p.prober.KeepAlive(ctx, &p.wg)
	}

	var out Outputs
	finding, err := p.settle(ctx, secretName)
	findings := []engine.Finding{finding}
	if err != nil {
		return out, findings, err
	}
	if findings, err = p.conclude(ctx, secretName, findings, p.settleAdvice); !allHold(findings) {
		return out, findings, err
	}
	for i := range p.spec.Rotations {
		r, err := p.rotate(ctx, i)
		if err != nil {
			return out, findings, err
		}
		p.report(&out, r)
		if p.env.Record != nil {
			p.env.Record(evidence.RecordRotation, r.evidence())
			if s, ok := r.recordRollover(); ok {
				p.env.Record(evidence.RecordRollover, s)
			}
		}
		judged := r.judge()
		if p.spec.Rotations > 1 {
			for j := range judged {
				judged[j].Rule = fmt.Sprintf("rotation %d: %s", i+1, judged[j].Rule)
			}
		}
		findings = append(findings, judged...)
		if !allHold(judged) {
			findings, err = p.conclude(ctx, secretName, findings, r.advice)
			return out, findings, err
		}
		out.Rotations++
	}
	findings, err = p.conclude(ctx, secretName, findings, nil) // an ApisixTls may have come since
	return out, findings, err
}

func (p *proof) limits() probe.Limits {
	return probe.Limits{ConsecutiveNew: p.spec.Probe.ConsecutiveNew, MaxDoubt: p.spec.Probe.MaxDoubt, Timeout: p.spec.Probe.Timeout.Std()}
}

// look reads a Certificate once, so that what is missing or forbidden is said
// at once, and returns the name of its Secret.
func (p *proof) look(ctx context.Context, ref Ref) (secretName string, err error) {
	u, err := p.client.Resource(certificates).Namespace(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return "", engine.Permanent(engine.WithHint(fmt.Errorf("certificate %s: %w", ref, err),
			"let this step need the one that applies the Certificate, and look at its name and namespace"))
	case err != nil:
		return "", fmt.Errorf("certificate %s: %w", ref, kubekit.Classify(err))
	}
	c, err := decode[certificate](u)
	if err != nil {
		return "", engine.Permanent(err)
	}
	return c.Spec.SecretName, nil
}

// take takes a change of the world in; it reports false if it is older than what
// is known, or tells of the watch only.
func (p *proof) take(c change) bool {
	if p.troubles.take(c) {
		return false
	}
	p.history.take(c)
	switch {
	case c.certificate != nil:
		if p.cert != nil && c.certificate.olderThan(p.cert) {
			return false
		}
		p.cert = c.certificate
	case c.secret != nil:
		// A watch that cannot be opened must be named, so that it comes first.
		if p.secret == nil && !c.readAt.IsZero() || p.secret != nil && older(c.secret.metadata, p.secret.metadata) {
			return false
		}
		p.secret = c.secret
	case c.request != nil:
		if known := p.requests[c.request.Metadata.UID]; known != nil && older(c.request.Metadata, known.Metadata) {
			return false
		}
		p.requests[c.request.Metadata.UID] = c.request
	}
	return true
}

// settle waits until the wire shows what the Secret holds, at every address and
// in as many handshakes in a row as count at the end.
func (p *proof) settle(ctx context.Context, secretName string) (engine.Finding, error) {
	finding := engine.Finding{Rule: fmt.Sprintf("the wire shows the certificate of secret %s/%s", p.spec.Certificate.Namespace, secretName)}
	limit := time.NewTimer(p.spec.Settle.Std())
	defer limit.Stop()
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	p.env.Statusf("looking at certificate %s and at the wire", p.spec.Certificate)
	for {
		select {
		case c := <-p.changes:
			if c.err != nil {
				return finding, c.err
			}
			if p.take(c); !c.readAt.IsZero() {
				p.history.read(c.secret.leaf(), c.readAt)
			}
		case s := <-p.prober.Samples():
			p.rec.Add(s)
		case w := <-p.bursts.Ended():
			p.rec.EndWave(w)
		case <-p.answers:
		case <-ticker.C:
			p.env.Statusf("before the renewal: %s", p.unsettled(secretName))
		case <-limit.C:
			finding.Detail = fmt.Sprintf("not within %s: %s", p.spec.Settle, p.unsettled(secretName))
			finding.Have, finding.Want = p.rec.OnTheWire(), tlskit.Serial(p.secret.leaf())
			return finding, nil
		case <-ctx.Done():
			finding.Detail = p.unsettled(secretName)
			return finding, nil
		}
		if p.cert == nil || p.secret == nil {
			continue
		}
		p.rec.Aim(p.secret.leaf())
		if p.rec.Settled(p.secret.leaf()) {
			serial := tlskit.Serial(p.secret.leaf())
			finding.Holds, finding.Have, finding.Want = true, serial, serial
			finding.Detail = p.rec.Certainty()
			return finding, nil
		}
		p.bursts.Continue(ctx, p.rec)
	}
}

// unsettled says why the wire does not show what the Secret holds.
func (p *proof) unsettled(secretName string) string {
	switch {
	case p.cert == nil || p.secret == nil && len(p.troubles) > 0:
		return strings.TrimSuffix(fmt.Sprintf("certificate %s and its Secret cannot be watched: %s", p.spec.Certificate, p.troubles), ": ")
	case p.secret == nil:
		text := fmt.Sprintf("secret %s/%s holds no certificate yet", p.spec.Certificate.Namespace, secretName)
		if ready := p.cert.Status.Conditions.get("Ready"); ready.Status != "True" && ready.Message != "" {
			text += "; the Certificate says: " + ready.Message
		}
		return text
	}
	return p.rec.WhyNot(p.secret.leaf())
}

// rotate has the certificate renewed once and follows it to the wire. Whether
// that went as it should is told by the rotation's judge.
func (p *proof) rotate(ctx context.Context, index int) (*rotation, error) {
	p.rec = p.rec.Restart(p.env.Now())
	r := newRotation(p, index)
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	late, never, behind := stoppedTimer(), stoppedTimer(), stoppedTimer()
	defer late.Stop()
	defer never.Stop()
	defer behind.Stop()

	var broken *fault
	if p.spec.During != nil {
		broken = newFault(p, func(m mishap) {
			select {
			case p.mishaps <- m:
			case <-ctx.Done():
			}
		})
	}
	if p.spec.Trigger == triggerIntermediate {
		inner, cancel := context.WithCancel(ctx)
		h := newCARollover(p, func(n news) {
			select {
			case p.news <- n:
			case <-inner.Done():
			}
		})
		r.rollover = h
		p.wg.Go(func() { h.run(inner) })
		defer r.part(cancel)
	}
	asked := make(chan requested, 1)
	if p.spec.Trigger != triggerWait {
		earliest := p.earliest(index)
		if pause := earliest.Sub(p.env.Now()); pause > apart {
			r.pausing = earliest
		}
		p.wg.Go(func() { asked <- p.ask(ctx, earliest, broken, r.rollover) })
	}
	p.env.Statusf("%s", r.view())
	for !r.over() {
		if !r.since.IsZero() && !r.listed() {
			p.servers.Refresh(ctx)
		}
		target, last := r.target, r.line.last()
		select {
		case a := <-asked:
			switch {
			case ctx.Err() != nil:
				r.end = endCut
			case a.err != nil:
				return nil, a.err
			default:
				r.asking = false
				r.fault.still = a.still
				r.ask(a)
				// The watch may be behind, and the rotation must not end before
				// what was asked for has begun.
				if c := (change{certificate: a.cert}); p.take(c) {
					r.observe(c, p.env.Now())
				}
			}
		case c := <-p.changes:
			if c.err != nil {
				return nil, c.err
			}
			r.looked(c)
			if p.take(c) {
				r.observe(c, p.env.Now())
			}
		case s := <-p.prober.Samples():
			p.rec.Add(s)
			r.see(s)
		case w := <-p.bursts.Ended():
			p.rec.EndWave(w)
		case f := <-p.servers.Found():
			if err := p.servers.Handle(f, p.rec); err != nil {
				return nil, err
			}
		case a := <-p.answers:
			r.kept.Add(a)
		case <-ticker.C:
			r.pace.update(p.env.Now(), r.rec.Attempts)
			p.env.Statusf("%s", r.view())
		case m := <-p.mishaps:
			if m.err != nil {
				return nil, m.err
			}
			if r.suffer(m); m.hop == hopRestored {
				// A switch that outlasts the fault has this time for the rest.
				r.overdue, r.never = false, false
				late.Stop()
				never.Stop()
				behind.Reset(p.spec.During.maxCatchUp())
			}
		case n := <-p.news:
			if r.follow(n); n.done {
				r.overdue, r.never = false, false
				never.Stop()
				late.Reset(p.spec.MaxSwitch.Std())
			}
		case <-late.C:
			r.overdue = true
			never.Reset(p.spec.MaxLate.Std() - p.spec.MaxSwitch.Std())
		case <-never.C:
			r.never = true
		case <-behind.C:
			r.behind = true
		case <-ctx.Done():
			if r.end = endCut; r.overdue {
				r.end = endLate // that is settled, whatever was still waited for
			}
		}
		if r.target != target {
			if target == nil && p.spec.During.last() {
				p.wg.Go(func() { broken.run(ctx) })
			}
			p.rec.Aim(r.target)
			r.overdue, r.never = false, false
			never.Stop()
			late.Reset(p.spec.MaxSwitch.Std())
		}
		r.arrive()
		if !r.suffering() {
			p.bursts.Continue(ctx, p.rec)
		}
		if r.line.last() != last && !r.over() {
			p.env.Statusf("%s", r.view())
		}
	}
	p.reader.renewal(false)
	r.finish(p.env.Now())
	if late := p.prober.Lateness(); late > tooLate {
		p.env.Warnf("probes were begun up to %s later than planned: this machine cannot open %d connections a second to %s, "+
			"and what took long here may not be the gateway's fault; lower probe.rate", late.Round(time.Millisecond), p.spec.Probe.Rate, addresses(len(p.endpoints)))
	}
	if written, ok := r.line.when(hopSecret); ok {
		p.issued, p.history.floor = written, r.earliest()
	}
	for _, line := range r.lines() {
		p.env.Logf("%s", line)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, fmt.Errorf("the measurement was interrupted: %w", context.Canceled)
	}
	return r, nil
}

// earliest returns when the next renewal is asked for: not too close to the last
// issuance, after the idle gap, and at a moment that nobody can foresee.
func (p *proof) earliest(index int) time.Time {
	at := p.env.Now()
	if index > 0 {
		at = at.Add(p.spec.Idle.Std())
	}
	if p.spec.Jitter > 0 {
		at = at.Add(rand.N(p.spec.Jitter.Std()))
	}
	if least := p.issued.Add(apart); at.Before(least) {
		return least
	}
	return at
}

// requested tells when cert-manager was asked for a renewal.
type requested struct {
	at   time.Time
	cert *certificate // as it was then
	err  error

	// still is when what it is to be without was still away, after it was asked
	// for; zero if it was not.
	still time.Time
}

// ask asks for the renewal, not before earliest, when what it is to be without
// is away, and when the new intermediate signs.
func (p *proof) ask(ctx context.Context, earliest time.Time, broken *fault, h *caRollover) requested {
	timer := time.NewTimer(earliest.Sub(p.env.Now()))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return requested{err: ctx.Err()}
	}
	if p.spec.During.first() {
		p.wg.Go(func() { broken.run(ctx) })
		select {
		case <-broken.away:
		case <-ctx.Done():
			return requested{err: ctx.Err()}
		}
	}
	if h != nil {
		close(h.start)
		select {
		case <-h.ready:
		case <-h.over:
			return requested{err: h.err}
		}
	}
	cert, at, err := p.renew(ctx, p.spec.Certificate)
	r := requested{at: at, cert: cert, err: err}
	if p.spec.During.first() {
		r.still = broken.confirm(ctx)
	}
	return r
}

// report adds a rotation to the outputs.
func (p *proof) report(out *Outputs, r *rotation) {
	out.Attempts += r.rec.Attempts
	out.Failures += r.rec.Failed()
	out.LongestGapMilliseconds = max(out.LongestGapMilliseconds, int(r.gap.Milliseconds()))
	out.Timeline = append(out.Timeline, r.lines()...)
	if r.target == nil {
		return
	}
	before, after := r.before.secret.leaf(), r.after.secret.leaf()
	if out.OldSerial == "" {
		out.OldSerial, out.OldFingerprint, out.OldKey = tlskit.Serial(before), tlskit.Fingerprint(before), tlskit.KeyDigest(before)
	}
	out.NewSerial, out.NewFingerprint, out.NewKey = tlskit.Serial(after), tlskit.Fingerprint(after), tlskit.KeyDigest(after)
	out.NotBefore, out.NotAfter = stamp(after.NotBefore), stamp(after.NotAfter)
	out.Certificate = tlskit.EncodePEM(after)
	if h := r.rollover; h != nil && r.through {
		out.Intermediate = tlskit.EncodePEM(h.authorities.Next()[0])
	}
	out.Doubt = max(out.Doubt, r.rec.Doubt())
	out.Revision = r.after.cert.Status.Revision
	_, most, _ := r.lag()
	out.SwitchMilliseconds = max(out.SwitchMilliseconds, int(most.Milliseconds()))
}

func addresses(n int) string {
	if n == 1 {
		return "one address"
	}
	return fmt.Sprintf("each of %d addresses", n)
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}
