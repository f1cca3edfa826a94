package assertrotation

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// evidence puts the rotation on record, whatever became of it.
func (r *rotation) evidence() evidence.Rotation {
	p := r.proof
	certs, index := r.certificates()
	out := evidence.Rotation{
		Namespace: p.spec.Certificate.Namespace,
		Name:      p.spec.Certificate.Name,
		Number:    r.index + 1,
		Trigger:   p.spec.Trigger,
		KeyPolicy: r.keyPolicy(),
		Server:    p.url.Hostname(),
		Certs:     certs,
		Hops:      r.line.record(),
		Clock:     r.line.clock,
		Fault:     r.fault.evidence(p.spec.During),
		Began:     r.began,
		Ended:     r.ended,
	}
	var verified [][]*x509.Certificate
	for _, s := range r.rec.series {
		out.Endpoints = append(out.Endpoints, r.endpoint(s, index))
	}
	for _, g := range r.rec.groups {
		if g.gone {
			continue
		}
		if r.target != nil {
			out.Coverage = append(out.Coverage, g.evidence(r.rec))
		}
		if s := r.rec.at(g.members[0]); g.look {
			out.Looks = append(out.Looks, r.endpoint(s, index))
		}
	}
	for _, s := range r.rec.all() {
		for _, g := range s.seen {
			verified = append(verified, g.verified)
		}
	}
	out.Workers, out.WorkersFrom = p.servers.workers, p.servers.from
	out.Trust = p.trust.Record(verified...)
	out.Rules = r.rules(out)
	return out
}

// keyPolicy is the Certificate's rotation policy; one that is not set counts as
// the default since cert-manager v1.18.
func (r *rotation) keyPolicy() string {
	if policy := r.after.cert.Spec.PrivateKey.RotationPolicy; policy != "" {
		return policy
	}
	return "Always"
}

// certificates lists the old certificate, the new one, and the others in the
// order in which they were seen; index finds them by fingerprint. Chains are
// those on the wire as far as they were seen there.
func (r *rotation) certificates() (list []evidence.Certificate, index map[string]int) {
	index = make(map[string]int)
	seen := make(map[string]*sighting)
	var prints []string
	for _, s := range r.rec.all() {
		for print, g := range s.seen {
			if seen[print] == nil {
				prints = append(prints, print)
			}
			if seen[print] == nil || g.first.Before(seen[print].first) {
				seen[print] = g
			}
		}
	}
	slices.SortFunc(prints, func(a, b string) int { return seen[a].first.Compare(seen[b].first) })
	add := func(print string, chain []*x509.Certificate) {
		if _, ok := index[print]; ok {
			return
		}
		if g := seen[print]; g != nil {
			chain = g.chain
		}
		index[print] = len(list)
		list = append(list, tlskit.Record(chain))
	}
	add(tlskit.Fingerprint(r.before.secret.leaf()), r.before.secret.chain)
	if r.target != nil {
		add(tlskit.Fingerprint(r.target), r.after.secret.chain)
	}
	for _, print := range prints {
		add(print, nil)
	}
	return list, index
}

// endpoint puts what one address showed on record.
func (r *rotation) endpoint(s *series, index map[string]int) evidence.Endpoint {
	e := evidence.Endpoint{Address: s.name, Attempts: s.attempts, Protocols: s.spoken, LongestGapSeconds: s.trace.longest(r.ended.Sub(r.began)).Seconds()}
	for _, one := range s.trace.runs {
		if one.cert == "" {
			if e.Failures == nil {
				e.Failures = make(map[string]int)
			}
			e.Failures[one.class] += one.count
		}
	}
	for _, one := range thin(s.trace.runs, mostRecorded, max(neverMerged, r.rec.longestRow())) {
		sample := evidence.Sample{At: one.first.Seconds(), Seconds: one.mean().Seconds(), Cert: -1, Class: one.class}
		if one.cert != "" {
			sample.Cert = index[one.cert]
		}
		if one.count > 1 {
			sample.Count = one.count
		}
		e.Samples = append(e.Samples, sample)
	}
	e.Latency = r.latency(s)
	return e
}

// latency returns the percentiles before, during and after the switch of an
// address: from the Secret being written until it showed only its certificate.
func (r *rotation) latency(s *series) map[string]map[string]float64 {
	const never = time.Duration(1<<63 - 1)
	from, to := never, never
	if written, ok := r.line.when(hopSecret); ok {
		from = written.Sub(r.began)
		if s.current != nil && s.current.Equal(r.target) {
			to = s.since.Sub(r.began)
		}
	}
	out := make(map[string]map[string]float64)
	for name, in := range map[string]func(run) bool{
		"before": func(o run) bool { return o.first < from },
		"during": func(o run) bool { return o.first >= from && o.first < to },
		"after":  func(o run) bool { return o.first >= from && o.first >= to },
	} {
		if p := percentiles(s.trace.runs, in); p != nil {
			out[name] = p
		}
	}
	return out
}

// rules puts the pass rule on record: limits and what was measured in the same
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
		for print, n := range r.rec.series[i].shown {
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
	if spec.Probe.LongLived {
		add("maxLost", spec.MaxLost, len(r.held.failures))
	}
	if f := rec.Fault; f.Part != "" {
		if spec.During.first() {
			add("askedAway", true, r.askedAway())
		}
		add("restored", true, !f.Ended.IsZero())
		if !f.Ended.IsZero() {
			add("maxDown", r.maxDown().Seconds(), f.Ended.Sub(f.Began).Seconds())
		}
		if lag, ok := r.caughtUp(); ok {
			add("maxCatchUp", spec.During.maxCatchUp().Seconds(), lag.Seconds())
		} else if !f.Ended.IsZero() {
			add("maxCatchUp", spec.During.maxCatchUp().Seconds(), r.ended.Sub(f.Ended).Seconds())
		}
	}
	if r.target == nil {
		return list
	}
	before := r.before.secret.leaf()
	add("notSerial", tlskit.Serial(before), tlskit.Serial(r.target))
	add("newKey", r.wantsNewKey(), tlskit.KeyDigest(before) != tlskit.KeyDigest(r.target))
	add("minRevision", r.before.cert.Status.Revision+1, r.after.cert.Status.Revision)
	if _, most, ok := r.lag(); ok {
		add("maxSwitch", spec.MaxSwitch.Std().Seconds(), most.Seconds())
	} else if r.end == endLate {
		add("maxSwitch", spec.MaxSwitch.Std().Seconds(), r.ended.Sub(r.earliest()).Seconds())
	}
	add("switched", len(r.rec.series), len(r.rec.series)-len(r.rec.stragglers(r.target, spec.Probe.ConsecutiveNew)))
	least := r.rec.series[0].newest(r.target)
	for _, s := range r.rec.series[1:] {
		least = min(least, s.newest(r.target))
	}
	add("consecutiveNew", spec.Probe.ConsecutiveNew, least)
	doubt, _ := r.rec.doubt()
	add("maxDoubt", spec.Probe.MaxDoubt, doubt)
	return list
}

// known reports whether the Secret held a certificate, before or since.
func (r *rotation) known(print string) bool {
	return print == tlskit.Fingerprint(r.before.secret.leaf()) ||
		slices.ContainsFunc(r.written, func(c *x509.Certificate) bool { return tlskit.Fingerprint(c) == print })
}

// newest returns how many of the newest handshakes in a row showed cert.
func (s *series) newest(cert *x509.Certificate) int {
	if s.current == nil || !s.current.Equal(cert) {
		return 0
	}
	return s.run
}
