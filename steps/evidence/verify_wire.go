package evidence

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"time"
)

// trusted: what was presented leads to the trust, unless the step failed: then
// that may be why.
func (v *verifier) trusted(c *Check, at, step string, ref CertificateRef, trust []string, server string, when time.Time) {
	if err := v.chain(ref, trust, server, when); err != nil && (v.states[step] != "failed" || errors.Is(err, errNotOnRecord)) {
		c.add("%s: %v", at, err)
	}
}

var errNotOnRecord = errors.New("is not on record")

// chain verifies what was presented against the trust on record.
func (v *verifier) chain(ref CertificateRef, trust []string, server string, at time.Time) error {
	leaf, roots, between := v.certs[ref.Fingerprint], x509.NewCertPool(), x509.NewCertPool()
	if leaf == nil {
		return fmt.Errorf("certificate %s %w", short(ref.Fingerprint), errNotOnRecord)
	}
	for _, f := range trust {
		if v.certs[f] == nil {
			return fmt.Errorf("root %s %w", short(f), errNotOnRecord)
		}
		roots.AddCert(v.certs[f])
	}
	for _, f := range ref.Chain {
		if v.certs[f] == nil {
			return fmt.Errorf("certificate %s of the chain %w", short(f), errNotOnRecord)
		}
		between.AddCert(v.certs[f])
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: server, Roots: roots, Intermediates: between, CurrentTime: at})
	return err
}

func (v *verifier) mark(refs []CertificateRef, trust []string) {
	for _, r := range refs {
		v.used[r.Fingerprint] = true
		for _, f := range r.Chain {
			v.used[f] = true
		}
	}
	for _, f := range trust {
		v.used[f] = true
	}
}

func (v *verifier) handshakes() Check {
	c := Check{Name: "handshakes", Did: Count(len(v.doc.Handshakes), "handshake") + ": chains lead to the trust at the time, rules computed from limit and measurement"}
	last := make(map[string]int) // a proof may have tried before
	for i, h := range v.doc.Handshakes {
		at := fmt.Sprintf("step %s: %s at %s", h.Step, h.URL, h.Address)
		v.known(&c, h.Step)
		v.within(&c, at, h.At)
		v.mark([]CertificateRef{h.Certificate}, h.Trust)
		u, err := url.Parse(h.URL)
		if err != nil || u.Hostname() == "" {
			c.add("%s: no host in the URL", at)
			continue
		}
		if h.Address == "" || h.TLS == "" || h.Cipher == "" {
			c.add("%s: address, TLS version or cipher is missing", at)
		}
		v.trusted(&c, at, h.Step, h.Certificate, h.Trust, u.Hostname(), h.At)
		v.rules(&c, at, h.Rules)
		for _, r := range h.Rules {
			if r.Name == "status" && text(r.Saw) != fmt.Sprint(h.Status) {
				c.add("%s: the rule saw status %v, the handshake %d", at, r.Saw, h.Status)
			}
		}
		last[h.Step+"\x00"+h.Address] = i
	}
	for i, h := range v.doc.Handshakes {
		if v.states[h.Step] == "proved" && last[h.Step+"\x00"+h.Address] == i {
			v.allHold(&c, fmt.Sprintf("step %s: %s at %s", h.Step, h.URL, h.Address), h.Rules)
		}
	}
	return c
}

// rules computes every verdict again.
func (v *verifier) rules(c *Check, at string, rules []Rule) {
	for _, r := range rules {
		holds, err := r.Verdict()
		switch {
		case err != nil:
			c.add("%s: %v", at, err)
		case holds != r.Holds:
			c.add("%s: rule %s with limit %v and %v seen is %t, recorded %t", at, r.Name, r.Limit, r.Saw, holds, r.Holds)
		}
	}
}

func (v *verifier) allHold(c *Check, at string, rules []Rule) {
	for _, r := range rules {
		if !r.Holds {
			c.add("%s: the step is proved, but rule %s does not hold", at, r.Name)
		}
	}
}

func (v *verifier) rotations() Check {
	samples := 0
	c := Check{Name: "rotations"}
	type key struct {
		step   string
		number int
	}
	last := make(map[key]int)
	for i, r := range v.doc.Rotations {
		last[key{r.Step, r.Number}] = i
	}
	for i := range v.doc.Rotations {
		r := &v.doc.Rotations[i]
		at := fmt.Sprintf("step %s: rotation %d", r.Step, r.Number)
		v.known(&c, r.Step)
		v.within(&c, at, r.Began)
		v.within(&c, at, r.Ended)
		v.mark(r.Certs, r.Trust)
		proved := v.states[r.Step] == "proved" && last[key{r.Step, r.Number}] == i
		for _, e := range r.Endpoints {
			samples += e.Attempts
			v.endpoint(&c, at, r, e, proved)
		}
		for _, e := range r.Looks {
			v.endpoint(&c, at, r, e, proved)
		}
		v.coverages(&c, at, r, proved)
		v.hops(&c, at, r, proved)
		v.fault(&c, at, r, proved)
		v.inherited(&c, at, r, proved)
		v.rules(&c, at, r.Rules)
		v.measured(&c, at, r)
		if len(r.Certs) > 0 {
			v.trusted(&c, at+": old certificate", r.Step, r.Certs[0], r.Trust, r.Server, r.Began)
		}
		if len(r.Certs) > 1 {
			v.trusted(&c, at+": new certificate", r.Step, r.Certs[1], r.Trust, r.Server, r.Ended)
			v.change(&c, at, r, proved)
		}
		if proved {
			if len(r.Rules) == 0 {
				c.add("%s: the step is proved without a rule", at)
			}
			v.allHold(&c, at, r.Rules)
			if len(r.Certs) < 2 {
				c.add("%s: the step is proved without a new certificate", at)
			}
			if len(r.Endpoints) == 0 {
				c.add("%s: the step is proved without an endpoint", at)
			}
		}
	}
	c.Did = Count(len(v.doc.Rotations), "rotation") + ", " + Count(samples, "handshake") + ": chains, serials, keys, sums, gaps, hops and rules computed again"
	return c
}

// change: the new certificate is new, later, and has the key that the policy
// asks for; or the step failed, and the record says what was seen.
func (v *verifier) change(c *Check, at string, r *RotationRecord, proved bool) {
	was, is := v.certs[r.Certs[0].Fingerprint], v.certs[r.Certs[1].Fingerprint]
	if was == nil || is == nil {
		return // said by chain
	}
	if proved && was.SerialNumber.Cmp(is.SerialNumber) == 0 {
		c.add("%s: old and new certificate have the same serial number", at)
	}
	if proved && !is.NotBefore.After(was.NotBefore) {
		c.add("%s: the new certificate is not valid from later than the old one", at)
	}
	changed := !slices.Equal(was.RawSubjectPublicKeyInfo, is.RawSubjectPublicKeyInfo)
	if r.KeyPolicy != "Always" && r.KeyPolicy != "Never" {
		c.add("%s: there is no key policy %q", at, r.KeyPolicy)
	}
	said := false
	for _, rule := range r.Rules {
		if rule.Name == "newKey" {
			said = true
			if text(rule.Saw) != fmt.Sprint(changed) {
				c.add("%s: the key changed: %t, recorded %v", at, changed, rule.Saw)
			}
		}
	}
	if want := r.KeyPolicy == "Always"; proved && !said && changed != want {
		c.add("%s: the key changed: %t, against key policy %s", at, changed, r.KeyPolicy)
	}
}

// slack is the rounding that sums of recorded seconds may differ by.
const slack = 0.002

// endpoint: the samples add up to what is said of them.
func (v *verifier) endpoint(c *Check, at string, r *RotationRecord, e Endpoint, proved bool) {
	at += " at " + e.Address
	attempts, failures, newest := 0, make(map[string]int), -1
	grouped := false
	var (
		previous   = math.Inf(-1) // start of the newest successful handshake; it can lie before the rotation
		gap, outer float64
	)
	length := r.Ended.Sub(r.Began).Seconds()
	order, first := 0.0, 0.0 // first: the new one cannot be seen earlier
	caught := math.Inf(1)    // nothing else can be seen later
	for _, h := range r.Hops {
		switch h.Name {
		case "first-on-wire":
			first = h.At.Sub(r.Began).Seconds()
		case "caught-up":
			caught = h.At.Sub(r.Began).Seconds()
		}
	}
	for i, s := range e.Samples {
		n := max(s.Count, 1)
		attempts += n
		grouped = grouped || n > 1
		if i > 0 && s.At < order-slack || s.Seconds < 0 || s.Count < 0 {
			c.add("%s: sample %d is out of order or negative", at, i)
		}
		order = s.At
		if s.At > caught+slack && s.Cert != 1 {
			c.add("%s: sample %d does not show the new certificate after hop caught-up", at, i)
		}
		if s.At+s.Seconds > length+clockSlack.Seconds() || s.At < -clockSlack.Seconds() {
			c.add("%s: sample %d is outside the rotation", at, i)
		}
		switch {
		case s.Cert < -1 || s.Cert >= len(r.Certs):
			c.add("%s: sample %d shows certificate %d of %d", at, i, s.Cert, len(r.Certs))
		case s.Cert == -1:
			if s.Class == "" {
				c.add("%s: sample %d failed without a class", at, i)
			}
			failures[s.Class] += n
			continue
		case s.Class != "":
			c.add("%s: sample %d has a certificate and a failure", at, i)
		}
		if s.Cert == 1 && s.At+s.Seconds < first-hopSlack.Seconds() {
			c.add("%s: sample %d shows the new certificate before hop first-on-wire", at, i)
		}
		if newest = s.Cert; math.IsInf(previous, -1) {
			outer = s.At
		} else {
			gap = max(gap, s.At-previous)
		}
		previous = s.At
	}
	if math.IsInf(previous, -1) {
		outer = length
	} else {
		outer = max(outer, length-previous)
	}
	if attempts != e.Attempts {
		c.add("%s: the samples add up to %d attempts, recorded %d", at, attempts, e.Attempts)
	}
	spoken, failed := 0, 0
	for protocol, n := range e.Protocols {
		if spoken += n; n < 0 || protocol == "" {
			c.add("%s: %d handshakes over protocol %q", at, n, protocol)
		}
	}
	for _, n := range failures {
		failed += n
	}
	// A handshake may be fine and its request fail.
	if len(e.Protocols) > 0 && (spoken > e.Attempts || spoken < e.Attempts-failed) {
		c.add("%s: %d handshakes by protocol, %d attempts of which %d failed", at, spoken, e.Attempts, failed)
	}
	if !sameCounts(failures, e.Failures) {
		c.add("%s: the samples add up to failures %v, recorded %v", at, failures, e.Failures)
	}
	// Runs of samples hide when their handshakes were. Before the first and
	// after the last success there may be a gap, too.
	if lower := gap; !grouped && e.LongestGapSeconds < lower-slack || e.LongestGapSeconds > max(gap, outer)+slack || e.LongestGapSeconds < 0 {
		c.add("%s: the longest gap is %.3f s, recorded %.3f s", at, gap, e.LongestGapSeconds)
	}
	for phase, p := range e.Latency {
		if p["p50"] > p["p90"] || p["p90"] > p["p99"] || p["p99"] > p["max"] || p["p50"] < 0 {
			c.add("%s: the percentiles %s are not in order", at, phase)
		}
	}
	if proved && len(r.Certs) > 1 && newest < 1 {
		c.add("%s: the step is proved, but the last certificate on the wire is the old one", at)
	}
}

func sameCounts(a, b map[string]int) bool {
	for _, m := range []map[string]int{a, b} {
		for k := range m {
			if a[k] != b[k] {
				return false
			}
		}
	}
	return true
}

// hops: cause before effect, as far as the hops are on record, and placed as
// follows from what was observed.
func (v *verifier) hops(c *Check, at string, r *RotationRecord, proved bool) {
	when := make(map[string]time.Time)
	placed := false
	for _, h := range r.Hops {
		if _, twice := when[h.Name]; twice || h.Name == "" {
			c.add("%s: hop %q is there twice or has no name", at, h.Name)
		}
		when[h.Name] = h.At
		placed = placed || h.Source != ""
		if h.At.Before(r.Began.Add(-clockSlack)) || h.At.After(r.Ended.Add(clockSlack)) {
			c.add("%s: hop %s is outside the rotation", at, h.Name)
		}
	}
	for _, pair := range [][2]string{{"asked", "issuing"}, {"asked", "secret"}, {"first-on-wire", "last-on-wire"}, {"asked", "first-on-wire"},
		{"fault", "unsealed"}, {"unsealed", "restored"}, {"fault", "restored"}, {"restored", "caught-up"}, {"last-on-wire", "caught-up"},
		{"made", "overlap"}, {"overlap", "took-over"}, {"took-over", "asked"}, {"secret", "reissued"}, {"reissued", "retired"}, {"secret", "retired"}} {
		a, ok1 := when[pair[0]]
		b, ok2 := when[pair[1]]
		if ok1 && ok2 && b.Before(a.Add(-hopSlack)) {
			c.add("%s: hop %s is before hop %s", at, pair[1], pair[0])
		}
	}
	if placed {
		v.placed(c, at, r, proved)
	}
	if _, ok := when["last-on-wire"]; proved && !ok {
		c.add("%s: the step is proved without hop last-on-wire", at)
	}
}

// placed: the hops are where PlaceHops puts them, and what a proved step says of
// the way from the request to the wire is causal without any slack.
func (v *verifier) placed(c *Check, at string, r *RotationRecord, proved bool) {
	if k := r.Clock; k.Least > k.Most || k.Resolution < 0 {
		c.add("%s: the API server's clock is ahead by %g s to %g s, to %g s", at, k.Least, k.Most, k.Resolution)
	}
	for i, want := range PlaceHops(r.Hops, r.Clock) {
		have := r.Hops[i]
		if have.Name != want.Name || !have.At.Equal(want.At) || !have.Earliest.Equal(want.Earliest) || have.Source != want.Source || have.Order != want.Order {
			c.add("%s: hop %d is %s at %s, computed %s at %s: or its earliest moment, source or order is not what was observed", at, i+1,
				have.Name, have.At.Format(time.RFC3339Nano), want.Name, want.At.Format(time.RFC3339Nano))
			return
		}
	}
	reached := make(map[string]int)
	for i, h := range r.Hops {
		reached[h.Name] = i + 1
	}
	way := []string{"requested", "approved", "signed", "secret", "first-on-wire", "last-on-wire"}
	for i, cause := range way {
		for _, effect := range way[i+1:] {
			if proved && reached[cause] > reached[effect] && reached[effect] > 0 {
				c.add("%s: hop %s is before hop %s", at, effect, cause)
			}
		}
	}
}

// hopSlack is how much later a watch may tell of what happened already, in
// records that do not say how their hops were placed; Kubernetes writes whole
// seconds into conditions.
const hopSlack = time.Second

// measured: rules about sums saw what the samples add up to.
func (v *verifier) measured(c *Check, at string, r *RotationRecord) {
	failures, gap := 0, 0.0
	for _, e := range r.Endpoints {
		for _, n := range e.Failures {
			failures += n
		}
		gap = max(gap, e.LongestGapSeconds)
	}
	var caught time.Time
	for _, h := range r.Hops {
		if h.Name == "caught-up" {
			caught = h.At
		}
	}
	_, most, switched := Switch(r.Hops)
	back := r.Fault.Ended
	for _, rule := range r.Rules {
		saw, _ := size(rule.Saw)
		switch rule.Name {
		case "maxFailures":
			if saw != float64(failures) {
				c.add("%s: %d handshakes failed, the rule saw %v", at, failures, rule.Saw)
			}
		case "maxGap":
			if !near(saw, gap, slack) {
				c.add("%s: the longest gap is %.3f s, the rule saw %v", at, gap, rule.Saw)
			}
		case "maxSwitch":
			if switched && !near(saw, most.Seconds(), slack) {
				c.add("%s: the switch took %.3f s, the rule saw %v", at, most.Seconds(), rule.Saw)
			}
		case "maxDown":
			if down := back.Sub(r.Fault.Began).Seconds(); !back.IsZero() && !near(saw, down, slack) {
				c.add("%s: %s was away for %.3f s, the rule saw %v", at, r.Fault.Part, down, rule.Saw)
			}
		case "maxCatchUp":
			if lag := caught.Sub(back).Seconds(); !back.IsZero() && !caught.IsZero() && !near(saw, lag, slack) {
				c.add("%s: catching up took %.3f s, the rule saw %v", at, lag, rule.Saw)
			}
		}
	}
}
