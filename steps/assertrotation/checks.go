package assertrotation

import (
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certmanager"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
	"github.com/ztplan/ztplan/steps/internal/probe"
	"github.com/ztplan/ztplan/steps/internal/renewal"
	"github.com/ztplan/ztplan/steps/internal/timeline"
)

// judge returns the findings of every rule that the measurement allows.
func (r *rotation) judge() []engine.Finding {
	list := []engine.Finding{checkIssued(r)}
	if r.rollover != nil {
		list = append(list, r.rollover.CheckOverlap())
	}
	if r.target != nil {
		served := checkServed(r)
		list = append(append(list, r.judgeCertificate()...), served)
		if served.Holds {
			list = append(list, checkDoubt(r)) // a stale server was not seen
		}
		list = append(list, checkSwitch(r))
	}
	if r.proof.spec.During.First() {
		list = append(list, checkAway(r))
	}
	if r.proof.spec.During != nil {
		list = append(list, checkRestored(r))
		if !r.disrupted() {
			list = append(list, checkCatchUp(r))
		}
	}
	if r.end == endComplete {
		list = append(list, checkHops(r))
	}
	if r.rollover != nil && r.begun && len(r.proof.spec.Intermediate.Certificates) > 0 {
		list = append(list, r.rollover.CheckReissued())
	}
	if r.rollover != nil {
		list = append(list, r.rollover.CheckRetired(r.unfit))
	}
	return append(list, r.judgeClients()...)
}

// judgeCertificate returns the findings about the new certificate.
func (r *rotation) judgeCertificate() []engine.Finding {
	list := r.renewal().Findings()
	if r.rollover != nil {
		list = append(list, r.rollover.CheckSigner(r.target))
	}
	return list
}

// renewal is the new certificate beside the old one.
func (r *rotation) renewal() renewal.Renewal {
	p := r.proof
	return renewal.Renewal{
		Before: r.before, After: r.after, Leaf: r.target, Trust: p.trust, Server: p.url.Hostname(), NewKey: p.spec.NewKey, At: r.ended,
	}
}

// judgeClients returns the findings about the effects on clients.
func (r *rotation) judgeClients() []engine.Finding {
	list := []engine.Finding{checkSeen(r), checkFailures(r)}
	if r.proof.spec.Client != nil {
		list = append(list, r.rec.Clients().Finding())
	}
	if r.proof.spec.Probe.LongLived {
		list = append(list, checkKeepAlive(r))
	}
	if r.proof.spec.MaxGap > 0 {
		list = append(list, checkGap(r))
	}
	return list
}

// checkIssued: cert-manager issued a new certificate and wrote it to the
// Secret.
func checkIssued(r *rotation) engine.Finding {
	f := engine.Finding{Rule: fmt.Sprintf("certificate %s is issued anew", r.proof.spec.Certificate), Want: "a new certificate in the Secret"}
	if r.target != nil {
		f.Holds, f.Have = true, "serial "+certs.Serial(r.target)
		if asked, ok := r.line.When(timeline.Asked); ok {
			if written, ok := r.line.When(timeline.Secret); ok {
				f.Detail = fmt.Sprintf("%s after it was asked for", written.Sub(asked).Round(time.Millisecond))
			}
		}
		return f
	}
	f.Have = "the old certificate, serial " + certs.Serial(r.before.Secret.Leaf())
	var parts []string
	if r.end == endFailed {
		parts = append(parts, "the issuance failed")
	} else {
		reached := r.line.Last()
		if reached == "" {
			reached = "nothing"
		}
		parts = append(parts, fmt.Sprintf("reached after %s: %s", r.ended.Sub(r.line.Begin()).Round(time.Second), reached))
	}
	if text := r.excuse(); text != "" {
		parts = append(parts, text)
	}
	if r.end == endFailed {
		if text := explainBackoff(r.proof.backoff, r.after.Certificate, r.before.Secret.Leaf().NotAfter, r.ended); text != "" {
			parts = append(parts, text)
		}
	}
	f.Cause = strings.Join(parts, "; ")
	if text := r.proof.state.Troubles.String(); text != "" {
		parts = append(parts, text)
	}
	if r.line.Last() != "" {
		parts = append(parts, "hops: "+r.line.String())
	}
	f.Detail = strings.Join(parts, "; ")
	return f
}

// excuse renders cert-manager's message about an issuance that is not done. The
// watches of request and Certificate are not in step, so the newest message may
// be in either.
func (r *rotation) excuse() string {
	said := r.after.Certificate.Status.Conditions.Get("Issuing").Message
	if r.request == nil {
		if said == "" {
			return ""
		}
		return "the Certificate says: " + kubestatus.OneLine(said)
	}
	text := r.request.Message()
	if r.end == endFailed && !strings.Contains(said, text) {
		text = said
	}
	if text == "" {
		return ""
	}
	return fmt.Sprintf("certificaterequest %s: %s", r.request.Metadata.Name, kubestatus.OneLine(text))
}

// explainBackoff renders when cert-manager tries again and whether the certificate
// expires before that.
func explainBackoff(b certmanager.Backoff, c *certwatch.Certificate, notAfter, now time.Time) string {
	if c.Status.LastFailureTime == nil {
		return ""
	}
	next := b.Next(c.Status.LastFailureTime.Time, c.Status.FailedAttempts)
	text := fmt.Sprintf("cert-manager tries again by itself at %s, in %s", certs.Stamp(next), next.Sub(now).Round(time.Second))
	if notAfter.Before(next) {
		text += fmt.Sprintf(", and the certificate in use expires %s before that", next.Sub(notAfter).Round(time.Second))
	}
	return text
}

// checkServed: every address shows exactly the Secret's certificate.
func checkServed(r *rotation) engine.Finding {
	held := r.after.Secret.Leaf()
	f := engine.Finding{
		Rule:  "every address serves the certificate of the Secret",
		Holds: !r.rec.Behind(held),
		Have:  r.rec.OnTheWire(), Want: certs.Serial(held),
		Detail: fmt.Sprintf("at least %d handshakes in a row at %s", r.proof.spec.Probe.ConsecutiveNew, addresses(len(r.rec.Addresses()))),
	}
	if !f.Holds {
		f.Have, f.Cause = r.rec.Counts(held), r.rec.WhyNot(held)
		f.Detail = f.Cause + "; hops: " + r.line.String()
	}
	return f
}

// checkDoubt: a server that was left behind would have been seen.
func checkDoubt(r *rotation) engine.Finding {
	limit := r.proof.spec.Probe.MaxDoubt
	f := engine.Finding{
		Rule: fmt.Sprintf("a stale server would be seen with %s", evidence.Percent(1-limit)),
		Want: "at least " + evidence.Percent(1-limit), Have: evidence.Percent(1 - r.rec.Doubt()),
		Holds: r.rec.Aimed(r.after.Secret.Leaf()) && len(r.rec.Lacking()) == 0,
	}
	if f.Holds {
		f.Detail = r.rec.Certainty()
		return f
	}
	f.Detail = strings.Join(r.rec.Lacking(), "; ")
	return f
}

// checkSwitch: the gateway took the certificate over in time.
func checkSwitch(r *rotation) engine.Finding {
	limit := r.proof.spec.MaxSwitch
	f := engine.Finding{Rule: fmt.Sprintf("the switch takes at most %s", limit), Want: limit.String()}
	if observed, most, ok := r.lag(); ok {
		f.Have, f.Holds = took(observed, most), most <= limit.Std()
		f.Detail = "from the Secret being written until no address shows the old certificate: " + r.lags()
		switch {
		case f.Holds:
		case observed > limit.Std():
			f.Cause = took(observed, most) + ": the last server was late, and did come by itself"
			f.Detail += "; the last server was late, and did come by itself"
		default:
			f.Detail += "; when the Secret was written is not known closely enough, which takes permission to get it: " + r.line.String()
		}
		return f
	}
	written, _ := r.line.When(timeline.Secret)
	f.Have = "more than " + r.ended.Sub(written).Round(time.Millisecond).String()
	switch at, where := r.rec.FirstShown(r.target.Equal); {
	case r.end == endCut:
		f.Cause = "the step's timeout was over before"
	case at.IsZero():
		f.Cause = "the new certificate never reached the wire: stuck between the Secret and the gateway"
	default:
		f.Cause = fmt.Sprintf("first seen at %s after %s", where, max(at.Sub(written), 0).Round(time.Millisecond))
	}
	f.Detail = f.Cause + "; hops: " + r.line.String()
	if r.never && r.rec.Behind(r.target) {
		f.Detail += fmt.Sprintf("; what is behind did not come by itself within %s either", r.proof.spec.MaxLate)
	}
	if !r.rec.Settled(r.target) {
		return f
	}
	f.Cause = "every address serves the new certificate, but the Certificate's revision or its condition Issuing was not updated"
	f.Detail = f.Cause
	return f
}

// took renders how long something took, as it was observed, and at most.
func took(observed, most time.Duration) string {
	text := observed.Round(time.Millisecond).String() + " observed"
	if most = most.Round(time.Millisecond); most > observed.Round(time.Millisecond) {
		text += ", at most " + most.String()
	}
	return text
}

// lags renders how long each address took, the slowest first; of many the
// slowest ones.
func (r *rotation) lags() string {
	const most = 5
	written, _ := r.line.When(timeline.Secret)
	list := slices.Clone(r.rec.Addresses())
	slices.SortStableFunc(list, func(a, b *probe.Series) int { return b.Since.Compare(a.Since) })
	var parts []string
	for i, s := range list {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d more", len(list)-most))
			break
		}
		text := fmt.Sprintf("%s %s", s.Name, max(s.Since.Sub(written), 0).Round(time.Millisecond))
		if s.Since.Sub(written) > r.proof.spec.MaxSwitch.Std() {
			text += " (straggler)"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// checkHops: the new certificate went all the way; how long each hop took.
func checkHops(r *rotation) engine.Finding {
	return engine.Finding{
		Rule: "the new certificate passes every hop to the wire", Holds: true,
		Have: r.line.String(), Detail: strings.Join(r.line.Lines(), "; "),
	}
}

// checkSeen: clients met the old or the new certificate and no third one.
func checkSeen(r *rotation) engine.Finding {
	known := append([]*x509.Certificate{r.before.Secret.Leaf()}, r.written...)
	counts := make([]int, len(known))
	f := engine.Finding{Rule: "clients see only the old and the new certificate", Holds: true}
	for _, c := range r.rec.Certificates() {
		i := slices.IndexFunc(known, c.Leaf.Equal)
		for _, name := range slices.Sorted(maps.Keys(c.Shown)) {
			if i >= 0 {
				counts[i] += c.Shown[name]
				continue
			}
			f.Holds = false
			f.Detail = fmt.Sprintf("%s showed serial %s, issued by %s: %s", name, certs.Serial(c.Leaf), c.Leaf.Issuer, r.proof.state.History.Origin(c.Leaf))
		}
	}
	var parts []string
	for i, c := range known {
		parts = append(parts, fmt.Sprintf("%d × %s", counts[i], certs.Serial(c)))
	}
	f.Have = strings.Join(parts, ", ")
	return f
}

// checkFailures: no more probes failed than allowed.
func checkFailures(r *rotation) engine.Finding {
	most := r.proof.spec.MaxFailures
	failed := r.rec.Failed()
	f := engine.Finding{Rule: "no probe fails", Holds: failed <= most, Want: most, Have: fmt.Sprintf("%d of %d", failed, r.rec.Attempts)}
	if most > 0 {
		f.Rule = fmt.Sprintf("at most %d probes fail", most)
	}
	f.Detail = r.rec.Versions()
	if failed > 0 {
		f.Cause = fmt.Sprintf("%v: %s", f.Have, r.rec.FailureClasses())
		f.Detail = fmt.Sprintf("%s; the first one %s", r.rec.FailureClasses(), r.line.Between(r.failing))
		if !r.disruption.Began.IsZero() {
			f.Detail += fmt.Sprintf("; %d of them while %s was away", r.rec.FailedBetween(r.disruption.Began, r.disruption.Over), r.proof.spec.During.Restart)
		}
	}
	return f
}

// checkKeepAlive: open connections stayed open.
func checkKeepAlive(r *rotation) engine.Finding {
	const most = 4
	var lost []string
	for i, a := range r.kept.Failures {
		if i == most {
			lost = append(lost, fmt.Sprintf("and %d more", len(r.kept.Failures)-most))
			break
		}
		lost = append(lost, fmt.Sprintf("the %s connection to %s that was opened %s before: %s (%s)", a.Protocol,
			r.proof.endpoints[a.Endpoint], a.Start.Sub(a.Opened).Round(time.Millisecond), a.Failure.Reason, r.line.Between(a.Start)))
	}
	rule := "connections opened before keep answering"
	if limit := r.proof.spec.MaxLost; limit > 0 {
		rule = fmt.Sprintf("at most %d connections opened before are lost", limit)
	}
	have := fmt.Sprintf("%d answers, %d lost connections", r.kept.Answered, len(r.kept.Failures))
	return engine.Finding{
		Rule:   rule,
		Holds:  len(r.kept.Failures) <= r.proof.spec.MaxLost,
		Have:   have,
		Cause:  have,
		Detail: strings.Join(lost, "; "),
	}
}

// checkGap: no address was gone for long.
func checkGap(r *rotation) engine.Finding {
	limit := r.proof.spec.MaxGap
	return engine.Finding{
		Rule:  fmt.Sprintf("no address is without a successful probe for more than %s", limit),
		Holds: r.gap <= limit.Std(), Have: r.gap.Round(time.Millisecond).String(), Want: limit.String(), Detail: r.gapAt,
	}
}
