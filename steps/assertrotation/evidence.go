package assertrotation

import (
	"crypto/x509"
	"math"
	"slices"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/probe"
	"github.com/ztplan/ztplan/steps/internal/timeline"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// evidence puts the rotation on record, whatever became of it.
func (r *rotation) evidence() evidence.Rotation {
	p := r.proof
	seen := r.rec.Certificates()
	certs, index := r.certificates(seen)
	out := evidence.Rotation{
		Namespace: p.spec.Certificate.Namespace,
		Name:      p.spec.Certificate.Name,
		Number:    r.index + 1,
		Trigger:   p.spec.Trigger,
		KeyPolicy: r.keyPolicy(),
		Server:    p.url.Hostname(),
		Certs:     certs,
		Hops:      r.line.Record(),
		Clock:     r.line.Clock(),
		Fault:     r.disruption.Evidence(p.spec.During),
		Began:     r.began,
		Ended:     r.ended,
	}
	length := r.ended.Sub(r.began)
	out.Endpoints = r.rec.Endpoints(length, index, r.switchOf)
	out.Looks = r.rec.Pods(length, index, r.switchOf)
	if r.target != nil {
		out.Coverage = r.rec.Coverage()
	}
	out.Workers, out.WorkersFrom = r.rec.Workers()
	var verified [][]*x509.Certificate
	for _, c := range seen {
		verified = append(verified, c.Verified)
	}
	out.Trust = p.trust.Record(verified...)
	for _, c := range r.rec.Clients().Presented {
		out.Clients = append(out.Clients, tlskit.Record(c.Chain))
	}
	out.Rules = r.rules(out)
	return out
}

// keyPolicy is the Certificate's rotation policy; one that is not set counts as
// the default since cert-manager v1.18.
func (r *rotation) keyPolicy() string {
	if policy := r.after.Certificate.Spec.PrivateKey.RotationPolicy; policy != "" {
		return policy
	}
	return "Always"
}

// certificates lists the old certificate, the new one, and the others in the
// order in which they were seen; index finds them by fingerprint. Chains are
// those on the wire as far as they were seen there.
func (r *rotation) certificates(seen []probe.Certificate) (list []evidence.Certificate, index map[string]int) {
	index = make(map[string]int)
	add := func(leaf *x509.Certificate, chain []*x509.Certificate) {
		print := certs.Fingerprint(leaf)
		if _, ok := index[print]; ok {
			return
		}
		if i := slices.IndexFunc(seen, func(c probe.Certificate) bool { return c.Leaf.Equal(leaf) }); i >= 0 {
			chain = seen[i].Chain
		}
		index[print] = len(list)
		list = append(list, tlskit.Record(chain))
	}
	add(r.before.Secret.Leaf(), r.before.Secret.Chain)
	if r.target != nil {
		add(r.target, r.after.Secret.Chain)
	}
	for _, c := range seen {
		add(c.Leaf, nil)
	}
	return list, index
}

// switchOf returns the switch of an address; it lies in the future as far as it
// did not happen.
func (r *rotation) switchOf(s *probe.Series) probe.Span {
	span := probe.Span{From: math.MaxInt64, To: math.MaxInt64}
	if written, ok := r.line.When(timeline.Secret); ok {
		span.From = written.Sub(r.began)
		if s.Current != nil && s.Current.Equal(r.target) {
			span.To = s.Since.Sub(r.began)
		}
	}
	return span
}

// rules puts the pass rule on record: limits and measurements in the same
// unit, seconds for times, so that the verdicts can be computed again.
func (r *rotation) rules(rec evidence.Rotation) []evidence.Rule {
	var list []evidence.Rule
	add := func(name string, limit, saw any) {
		rule := evidence.Rule{Name: name, Limit: limit, Saw: saw}
		rule.Holds, _ = rule.Verdict() // both are always there and alike
		list = append(list, rule)
	}
	spec := r.proof.spec
	failures, gap, foreign := 0, 0.0, 0
	for i, e := range rec.Endpoints {
		gap = max(gap, e.LongestGapSeconds)
		for _, n := range e.Failures {
			failures += n
		}
		for print, n := range r.rec.Addresses()[i].Shown {
			if !r.known(print) {
				foreign += n
			}
		}
	}
	add("issued", true, r.target != nil)
	add("maxFailures", spec.MaxFailures, failures)
	if spec.MaxGap > 0 {
		add("maxGap", spec.MaxGap.Std().Seconds(), gap)
	}
	add("maxForeign", 0, foreign)
	if spec.Client != nil {
		add("maxUnasked", 0, r.rec.Clients().Unasked)
	}
	if spec.Probe.LongLived {
		add("maxLost", spec.MaxLost, len(r.kept.Failures))
	}
	if f := rec.Fault; f.Part != "" {
		if spec.During.First() {
			add("askedAway", true, r.askedAway())
		}
		add("restored", true, !f.Ended.IsZero())
		if !f.Ended.IsZero() {
			add("maxDown", r.maxDown().Seconds(), f.Ended.Sub(f.Began).Seconds())
		}
		if lag, ok := r.caughtUp(); ok {
			add("maxCatchUp", spec.During.CatchUpLimit().Seconds(), lag.Seconds())
		} else if !f.Ended.IsZero() {
			add("maxCatchUp", spec.During.CatchUpLimit().Seconds(), r.ended.Sub(f.Ended).Seconds())
		}
	}
	if r.target == nil {
		return list
	}
	before := r.before.Secret.Leaf()
	add("notSerial", certs.Serial(before), certs.Serial(r.target))
	add("newKey", r.renewal().WantsNewKey(), certs.KeyDigest(before) != certs.KeyDigest(r.target))
	add("minRevision", r.before.Certificate.Status.Revision+1, r.after.Certificate.Status.Revision)
	if _, most, ok := r.lag(); ok {
		add("maxSwitch", spec.MaxSwitch.Std().Seconds(), most.Seconds())
	} else if r.end == endLate {
		add("maxSwitch", spec.MaxSwitch.Std().Seconds(), r.ended.Sub(r.line.Earliest(timeline.Secret)).Seconds())
	}
	add("switched", len(r.rec.Addresses()), r.rec.Switched(r.target))
	add("consecutiveNew", spec.Probe.ConsecutiveNew, r.rec.LeastInRow(r.target))
	add("maxDoubt", spec.Probe.MaxDoubt, r.rec.Doubt())
	return list
}

// known reports whether the Secret held a certificate, before or since.
func (r *rotation) known(print string) bool {
	return print == certs.Fingerprint(r.before.Secret.Leaf()) ||
		slices.ContainsFunc(r.written, func(c *x509.Certificate) bool { return certs.Fingerprint(c) == print })
}
