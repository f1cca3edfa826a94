package verify

import (
	"maps"
	"math"
	"slices"

	"github.com/ztplan/ztplan/steps/evidence"
)

// slack is the rounding that sums of recorded seconds may differ by.
const slack = 0.002

// sums are the sums of an endpoint's samples.
type sums struct {
	attempts int
	failures map[string]int // by class
	newest   int            // the certificate shown last, -1 without one
	grouped  bool           // a sample stands for several handshakes

	// gap is the longest time between two successes, outer that before the first and
	// after the last.
	gap, outer float64
}

// endpoint verifies that the samples of one address add up to its record.
func (r *rotation) endpoint(e evidence.Endpoint) {
	at := *r
	at.at += " at " + e.Address
	at.samples(e)
	s := at.sum(e)
	if s.attempts != e.Attempts {
		at.add("the samples add up to %d attempts, recorded %d", s.attempts, e.Attempts)
	}
	if !maps.Equal(s.failures, e.Failures) {
		at.add("the samples add up to failures %v, recorded %v", s.failures, e.Failures)
	}
	at.protocols(e, s.failures)
	// Runs of samples hide the times of their handshakes.
	if !s.grouped && e.LongestGapSeconds < s.gap-slack || e.LongestGapSeconds > max(s.gap, s.outer)+slack || e.LongestGapSeconds < 0 {
		at.add("the longest gap is %.3f s, recorded %.3f s", s.gap, e.LongestGapSeconds)
	}
	for _, phase := range slices.Sorted(maps.Keys(e.Latency)) {
		if p := e.Latency[phase]; p["p50"] > p["p90"] || p["p90"] > p["p99"] || p["p99"] > p["max"] || p["p50"] < 0 {
			at.add("the percentiles %s are not in order", phase)
		}
	}
	if r.proved && len(r.Certs) > 1 && s.newest < 1 {
		at.add("the step is proved, but the last certificate on the wire is the old one")
	}
}

// samples verifies each sample by itself.
func (r *rotation) samples(e evidence.Endpoint) {
	length := r.Ended.Sub(r.Began).Seconds()
	first, caught := 0.0, math.Inf(1)
	if at, ok := r.reached["first-on-wire"]; ok {
		first = at.Sub(r.Began).Seconds()
	}
	if at, ok := r.reached["caught-up"]; ok {
		caught = at.Sub(r.Began).Seconds()
	}
	before := math.Inf(-1)
	for i, s := range e.Samples {
		if s.At < before-slack || s.Seconds < 0 || s.Count < 0 {
			r.add("sample %d is out of order or negative", i)
		}
		before = s.At
		if s.At > caught+slack && s.Cert != 1 {
			r.add("sample %d does not show the new certificate after hop caught-up", i)
		}
		if s.At+s.Seconds > length+clockSlack.Seconds() || s.At < -clockSlack.Seconds() {
			r.add("sample %d is outside the rotation", i)
		}
		switch {
		case s.Cert < -1 || s.Cert >= len(r.Certs):
			r.add("sample %d shows certificate %d of %d", i, s.Cert, len(r.Certs))
		case s.Cert == -1 && s.Class == "":
			r.add("sample %d failed without a class", i)
		case s.Cert != -1 && s.Class != "":
			r.add("sample %d has a certificate and a failure", i)
		}
		if s.Cert == 1 && s.At+s.Seconds < first-hopSlack.Seconds() {
			r.add("sample %d shows the new certificate before hop first-on-wire", i)
		}
	}
}

// sum adds the samples up.
func (r *rotation) sum(e evidence.Endpoint) sums {
	out := sums{failures: make(map[string]int), newest: -1}
	length := r.Ended.Sub(r.Began).Seconds()
	previous := math.Inf(-1) // the newest success, which can lie before the rotation
	for _, s := range e.Samples {
		n := max(s.Count, 1)
		out.attempts += n
		out.grouped = out.grouped || n > 1
		if s.Cert == -1 {
			out.failures[s.Class] += n
			continue
		}
		if out.newest = s.Cert; math.IsInf(previous, -1) {
			out.outer = s.At
		} else {
			out.gap = max(out.gap, s.At-previous)
		}
		previous = s.At
	}
	if math.IsInf(previous, -1) {
		out.outer = length
	} else {
		out.outer = max(out.outer, length-previous)
	}
	return out
}

// protocols verifies the handshakes by protocol. One may succeed and its request
// fail.
func (r *rotation) protocols(e evidence.Endpoint, failures map[string]int) {
	spoken, failed := 0, 0
	for _, protocol := range slices.Sorted(maps.Keys(e.Protocols)) {
		n := e.Protocols[protocol]
		if spoken += n; n < 0 || protocol == "" {
			r.add("%d handshakes over protocol %q", n, protocol)
		}
	}
	for _, n := range failures {
		failed += n
	}
	if len(e.Protocols) > 0 && (spoken > e.Attempts || spoken < e.Attempts-failed) {
		r.add("%d handshakes by protocol, %d attempts of which %d failed", spoken, e.Attempts, failed)
	}
}
