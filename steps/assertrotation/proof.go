package assertrotation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/carollover"
	"github.com/ztplan/ztplan/steps/internal/certmanager"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/disrupt"
	"github.com/ztplan/ztplan/steps/internal/probe"
	"github.com/ztplan/ztplan/steps/internal/timeline"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// A proof is one measurement. The goroutine of run owns all of it; watch, prober,
// disruption and rollover only send to channels.
type proof struct {
	spec      *Spec
	env       *engine.Env
	url       *url.URL
	trust     *tlskit.Trust
	identity  *tlskit.Identity  // nil without a client certificate
	endpoints []tlskit.Endpoint // of the clients
	client    dynamic.Interface
	backoff   certmanager.Backoff         // of the cert-manager that is there
	unseal    func(context.Context) error // Vault after a disruption; nil if it is unsealed by other means
	lookVault func(context.Context) (carollover.Authorities, error)

	certs *certwatch.Client
	watch *certwatch.Watch
	state *certwatch.State // kept up to date by the watch
	clock *certwatch.Clock // of the API server

	disruptions chan disrupt.Progress
	rollovers   chan carollover.Progress
	prober      *probe.Prober
	bursts      *probe.Bursts
	answers     <-chan probe.Answer // nil without keep-alive connections

	findServers func(context.Context) (probe.Servers, error)
	servers     *probe.Discovery

	rec    *probe.Record
	issued time.Time    // when the present certificate was there at the latest
	wg     engine.Group // of everything that run started
}

// apart is the least time between two issuances: certificates count whole
// seconds, so that notBefore is the same for closer ones.
const apart = time.Second

// beat is the time between two status lines while nothing else happens.
const beat = 500 * time.Millisecond

func (p *proof) run(ctx context.Context) (Outputs, []engine.Finding, error) {
	p.certs = &certwatch.Client{Kube: p.client, Env: p.env}
	secretName, err := p.certs.Secret(ctx, p.spec.Certificate)
	if err != nil {
		return Outputs{}, nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	p.wg.Panicked = cancel
	defer p.wg.Wait()
	defer cancel(nil)
	p.issued = p.env.Now()
	p.state = certwatch.NewState(p.issued)
	p.watch = p.certs.Watch(ctx, &p.wg, p.spec.Certificate, secretName)
	p.watch.Read(ctx)
	p.servers = probe.NewDiscovery(p.findServers, p.env.Now, &p.wg)
	found, err := p.servers.First(ctx)
	if err != nil {
		return Outputs{}, nil, err
	}
	p.rec = probe.NewRecord(p.endpoints, found, p.limits(), p.env.Now())
	p.prober = probe.New(probe.Config{
		URL: p.url, Trust: p.trust, Identity: p.identity, Endpoints: p.endpoints, HTTP: p.spec.Probe.HTTP, Status: p.spec.Probe.Status,
		Rate: p.spec.Probe.Rate, Timeout: p.spec.Probe.Timeout.Std(), Now: p.env.Now,
	})
	p.bursts = probe.NewBursts(p.prober, &p.wg)
	p.wg.Go(func() { p.spec.Client.Follow(ctx, p.env, p.identity) })
	p.wg.Go(func() { p.prober.Run(ctx) })
	p.disruptions = make(chan disrupt.Progress)
	p.rollovers = make(chan carollover.Progress)
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
			if s, ok := r.rollover.Evidence(i + 1); ok {
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
	findings, err = p.conclude(ctx, secretName, findings, nil) // another object may have come since
	return out, findings, err
}

func (p *proof) limits() probe.Limits {
	return probe.Limits{ConsecutiveNew: p.spec.Probe.ConsecutiveNew, MaxDoubt: p.spec.Probe.MaxDoubt, Timeout: p.spec.Probe.Timeout.Std()}
}

// settle waits until the wire shows the certificate of the Secret, at every address
// and in as many handshakes in a row as count at the end.
func (p *proof) settle(ctx context.Context, secretName string) (engine.Finding, error) {
	finding := engine.Finding{Rule: fmt.Sprintf("the wire shows the certificate of secret %s/%s", p.spec.Certificate.Namespace, secretName)}
	limit := time.NewTimer(p.spec.Settle.Std())
	defer limit.Stop()
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	p.env.Statusf("looking at certificate %s and at the wire", p.spec.Certificate)
	for {
		select {
		case c := <-p.watch.Changes():
			if c.Err != nil {
				return finding, c.Err
			}
			if p.state.Handle(c); !c.ReadAt.IsZero() {
				p.state.History.Read(c.Secret.Leaf(), c.ReadAt)
			}
		case s := <-p.prober.Samples():
			p.rec.Add(s)
		case w := <-p.bursts.Ended():
			p.rec.EndWave(w)
		case <-p.answers:
		case <-ticker.C:
			p.env.Statusf("before the renewal: %s", p.unsettled(secretName))
		case <-limit.C:
			finding.Cause = fmt.Sprintf("not within %s: %s", p.spec.Settle, p.unsettled(secretName))
			finding.Detail = finding.Cause
			finding.Have, finding.Want = p.rec.OnTheWire(), certs.Serial(p.state.Secret.Leaf())
			return finding, nil
		case <-ctx.Done():
			finding.Detail = p.unsettled(secretName)
			return finding, nil
		}
		if p.state.Certificate == nil || p.state.Secret == nil {
			continue
		}
		p.rec.Aim(p.state.Secret.Leaf())
		if p.rec.Settled(p.state.Secret.Leaf()) {
			serial := certs.Serial(p.state.Secret.Leaf())
			finding.Holds, finding.Have, finding.Want = true, serial, serial
			finding.Detail = p.rec.Certainty()
			return finding, nil
		}
		p.bursts.Continue(ctx, p.rec)
	}
}

// unsettled renders why the wire does not show the certificate of the Secret.
func (p *proof) unsettled(secretName string) string {
	switch {
	case p.state.Certificate == nil || p.state.Secret == nil && len(p.state.Troubles) > 0:
		return strings.TrimSuffix(fmt.Sprintf("certificate %s and its Secret cannot be watched: %s", p.spec.Certificate, p.state.Troubles), ": ")
	case p.state.Secret == nil:
		text := fmt.Sprintf("secret %s/%s does not exist, or holds no certificate yet", p.spec.Certificate.Namespace, secretName)
		if ready := p.state.Certificate.Status.Conditions.Get("Ready"); ready.Status != "True" && ready.Message != "" {
			text += "; the Certificate says: " + ready.Message
		}
		return text
	}
	return p.rec.WhyNot(p.state.Secret.Leaf())
}

// rotate has the certificate renewed once and follows it to the wire. The rotation's
// judge decides whether it holds.
func (p *proof) rotate(ctx context.Context, index int) (*rotation, error) {
	p.rec = p.rec.Restart(p.env.Now())
	r := newRotation(p, index)
	l := newLoop(r, p.newDisruption(ctx))
	defer l.stop()
	if p.spec.Trigger == triggerIntermediate {
		inner, cancel := context.WithCancel(ctx)
		r.rollover = p.newRollover(inner)
		p.wg.Go(func() { r.rollover.Run(inner) })
		defer func() {
			cancel()
			r.rollover.End()
		}()
	}
	if p.spec.Trigger != triggerWait {
		earliest := p.earliest(index)
		if pause := earliest.Sub(p.env.Now()); pause > apart {
			r.pausing = earliest
		}
		p.wg.Go(func() { l.requested <- p.ask(ctx, earliest, l.planned, r.rollover) })
	}
	p.env.Statusf("%s", r.view())
	for !r.over() {
		if err := l.step(ctx); err != nil {
			return nil, err
		}
	}
	p.watch.Renewing(false)
	r.finish(p.env.Now())
	if r.late = p.prober.Lateness(); r.late > 0 {
		p.env.Warnf("probes were begun up to %s later than planned: this machine cannot open %d connections a second to %s, "+
			"and what took long here may not be the gateway's fault; lower probe.rate", r.late.Round(time.Millisecond), p.spec.Probe.Rate, addresses(len(p.endpoints)))
	}
	if written, ok := r.line.When(timeline.Secret); ok {
		p.issued, p.state.History.Floor = written, r.line.Earliest(timeline.Secret)
	}
	for _, line := range r.lines() {
		p.env.Logf("%s", line)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, fmt.Errorf("the measurement was interrupted: %w", context.Canceled)
	}
	return r, nil
}

// newDisruption returns the planned disruption, nil if there is none.
func (p *proof) newDisruption(ctx context.Context) *disrupt.Disruption {
	if p.spec.During == nil {
		return nil
	}
	return disrupt.New(p.spec.During, p.client, p.env, p.unseal, func(d disrupt.Progress) {
		select {
		case p.disruptions <- d:
		case <-ctx.Done():
		}
	})
}

func (p *proof) newRollover(ctx context.Context) *carollover.Rollover {
	return carollover.New(carollover.Config{
		Spec: p.spec.Intermediate, Look: p.lookVault, Certs: p.certs, Trust: p.trust, Server: p.url.Hostname(), Env: p.env,
		Report: func(c carollover.Progress) {
			select {
			case p.rollovers <- c:
			case <-ctx.Done():
			}
		},
	})
}

// earliest returns when the next renewal is asked for: not too close to the last
// issuance, after the idle gap, and after a random pause.
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

// requested is the result of asking cert-manager for a renewal.
type requested struct {
	at   time.Time
	cert *certwatch.Certificate // as it was then
	err  error

	// still is when the disrupted part was still away after the renewal was asked
	// for; zero if it was not.
	still time.Time
}

// ask asks for the renewal, not before earliest, when the disrupted part is away and
// when the new intermediate signs.
func (p *proof) ask(ctx context.Context, earliest time.Time, disruption *disrupt.Disruption, authority *carollover.Rollover) requested {
	if engine.Pause(ctx, earliest.Sub(p.env.Now())) != nil {
		return requested{err: ctx.Err()}
	}
	if p.spec.During.First() {
		p.wg.Go(func() { disruption.Run(ctx) })
		select {
		case <-disruption.Away():
		case <-ctx.Done():
			return requested{err: ctx.Err()}
		}
	}
	if authority != nil {
		if err := authority.Start(); err != nil {
			return requested{err: err}
		}
	}
	cert, at, err := p.certs.Renew(ctx, p.spec.Certificate)
	r := requested{at: at, cert: cert, err: err}
	if p.spec.During.First() {
		r.still = disruption.Confirm(ctx)
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
	before, after := r.before.Secret.Leaf(), r.after.Secret.Leaf()
	if out.OldSerial == "" {
		out.OldSerial, out.OldFingerprint, out.OldKey = certs.Serial(before), certs.Fingerprint(before), certs.KeyDigest(before)
	}
	out.NewSerial, out.NewFingerprint, out.NewKey = certs.Serial(after), certs.Fingerprint(after), certs.KeyDigest(after)
	out.NotBefore, out.NotAfter = certs.Stamp(after.NotBefore), certs.Stamp(after.NotAfter)
	out.Certificate = certs.Encode(after)
	if r.completed {
		out.Intermediate = certs.Encode(r.rollover.Next())
	}
	out.Doubt = max(out.Doubt, r.rec.Doubt())
	out.Revision = r.after.Certificate.Status.Revision
	_, most, _ := r.lag()
	out.SwitchMilliseconds = max(out.SwitchMilliseconds, int(most.Milliseconds()))
}

func addresses(n int) string {
	if n == 1 {
		return "one address"
	}
	return fmt.Sprintf("each of %d addresses", n)
}
