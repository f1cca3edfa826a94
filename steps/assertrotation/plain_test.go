//go:build !race

package assertrotation

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/probe"
	"github.com/ztplan/ztplan/steps/internal/timeline"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

// A tale is one rotation as it truly was, and how the run heard of it.
type tale struct {
	rng   *rand.Rand
	pairs []*tlstest.Pair // old, new, and the one of a second renewal
	p     *proof
	r     *rotation
	zero  time.Time
	skew  time.Duration // how far the API server's clock is ahead

	truth map[timeline.Milestone]time.Duration
	heard []hearsay
}

// A hearsay is a moment at which the run hears of something.
type hearsay struct {
	at   time.Duration
	what string
	take func(now time.Time)
}

func newTale(seed uint64, pairs []*tlstest.Pair) *tale {
	t := &tale{rng: rand.New(rand.NewPCG(seed, 1)), pairs: pairs, zero: time.Date(2026, 1, 18, 16, 0, 0, 0, time.UTC), truth: make(map[timeline.Milestone]time.Duration)}
	t.zero = t.zero.Add(time.Duration(t.rng.IntN(1000)) * time.Millisecond)
	now := t.zero
	spec := Kind.New().(*Spec)
	if t.rng.IntN(3) == 0 {
		spec.Trigger = triggerWait
	}
	end := []tlskit.Endpoint{tlskit.NewEndpoint("a:443", nil), tlskit.NewEndpoint("b:443", nil)}
	t.p = &proof{
		spec: spec, env: &engine.Env{Now: func() time.Time { return now }}, endpoints: end, url: &url.URL{},
		state: certwatch.NewState(t.zero), clock: certwatch.NewClock(time.Now), watch: new(certwatch.Watch),
		rec: probe.NewRecord(end, probe.Assumed(0), probe.Limits{Timeout: time.Second}, t.zero),
	}
	t.p.state.Handle(certwatch.Change{Certificate: t.certificate(1, "", 10, 0)})
	t.p.state.Handle(certwatch.Change{Secret: t.secret(0, 10, 0)})
	t.r = newRotation(t.p, 0)
	return t
}

func (t *tale) ms(least, most int) time.Duration {
	return time.Duration(least+t.rng.IntN(most-least+1)) * time.Millisecond
}

// server returns the time by the API server's clock, in whole seconds.
func (t *tale) server(at time.Duration) metav1.Time {
	return metav1.NewTime(t.zero.Add(at + t.skew).Truncate(time.Second))
}

func (t *tale) meta(name string, version int, at time.Duration, fields string) metav1.ObjectMeta {
	stamp := t.server(at)
	return metav1.ObjectMeta{
		Name: name, UID: types.UID(name), ResourceVersion: fmt.Sprint(version),
		ManagedFields: []metav1.ManagedFieldsEntry{{Time: &stamp, FieldsV1: metav1.NewFieldsV1(fields)}},
	}
}

func (t *tale) certificate(revision int, issuing string, version int, at time.Duration) *certwatch.Certificate {
	c := &certwatch.Certificate{Metadata: t.meta("cert", version, at, `{"f:status":{"f:revision":{},"f:conditions":{"k:{\"type\":\"Issuing\"}":{"f:status":{}}}}}`)}
	c.Status.Revision = revision
	if issuing != "" {
		c.Status.Conditions = certwatch.Conditions{{Type: "Issuing", Status: metav1.ConditionStatus(issuing)}}
	}
	return c
}

func (t *tale) secret(pair, version int, at time.Duration) *certwatch.Bundle {
	return &certwatch.Bundle{Chain: t.pairs[pair].Chain, Metadata: t.meta("secret", version, at, `{"f:data":{"f:tls.crt":{}}}`)}
}

func (t *tale) request(revision, version int, created, at time.Duration, kinds ...string) *certwatch.Request {
	q := &certwatch.Request{Metadata: t.meta(fmt.Sprintf("cert-%d", revision), version, at,
		`{"f:status":{"f:conditions":{"k:{\"type\":\"Approved\"}":{"f:status":{}},"k:{\"type\":\"Ready\"}":{"f:status":{}}}}}`)}
	q.Metadata.CreationTimestamp = t.server(created)
	q.Metadata.Annotations = map[string]string{"cert-manager.io/certificate-revision": fmt.Sprint(revision)}
	for _, kind := range kinds {
		q.Status.Conditions = append(q.Status.Conditions, metav1.Condition{Type: kind, Status: "True"})
		if kind == "Ready" {
			q.Status.Certificate = base64.StdEncoding.EncodeToString(t.pairs[revision-1].CertPEM)
		}
	}
	return q
}

// watch lets the run hear of the states of one resource as a watch may deliver
// them: late, twice, after a relist without some of them, or the last one alone.
func (t *tale) watch(name string, lag int, at []time.Duration, states []certwatch.Change) {
	after := time.Duration(0)
	only := t.rng.IntN(8) == 0
	for i, c := range states {
		if i < len(states)-1 && (only || t.rng.IntN(6) == 0) {
			continue
		}
		after = max(after, at[i]+t.ms(0, lag))
		t.hear(after, name, c)
		if t.rng.IntN(5) == 0 {
			t.hear(after+t.ms(0, lag), name+" again", c) // also when newer ones have come
		}
	}
}

func (t *tale) hear(at time.Duration, what string, c certwatch.Change) {
	t.heard = append(t.heard, hearsay{at, what, func(now time.Time) {
		t.r.handleRead(c)
		if t.p.state.Handle(c) {
			t.r.handleChange(c, now)
		}
	}})
}

// happen plays a renewal, from begin on, whose certificate is the nth, and
// returns when it was over.
func (t *tale) happen(n int, begin time.Duration, lag int) time.Duration {
	issuing := begin + t.ms(0, 20)
	created := issuing + t.ms(0, 1200)
	approved := created + t.ms(0, 20)
	signed := approved + t.ms(0, 300)
	written := signed + t.ms(0, 30)
	counted := written + t.ms(0, 30)
	for h, at := range map[timeline.Milestone]time.Duration{timeline.Issuing: issuing, timeline.Created: created, timeline.Approved: approved, timeline.Signed: signed, timeline.Secret: written, timeline.Revision: counted} {
		t.truth[h] = at
	}
	v := 100 * n
	t.watch("certificate", lag, []time.Duration{issuing, counted}, []certwatch.Change{
		{Certificate: t.certificate(n, "True", v, issuing)}, {Certificate: t.certificate(n+1, "", v+5, counted)},
	})
	t.watch("request", lag, []time.Duration{created, approved, signed}, []certwatch.Change{
		{Request: t.request(n+1, v+1, created, created)},
		{Request: t.request(n+1, v+2, created, approved, "Approved")},
		{Request: t.request(n+1, v+3, created, signed, "Approved", "Ready")},
	})
	// cert-manager may write the Secret again, with the same certificate.
	again := written + t.ms(1, 2000)
	t.watch("secret", lag, []time.Duration{written, again}, []certwatch.Change{
		{Secret: t.secret(n, v+4, written)}, {Secret: t.secret(n, v+6, again)},
	})
	return counted
}

// read lets the run read the Secret, whose states follow each other at the given
// times.
func (t *tale) read(every, lag int, until time.Duration, written []time.Duration) {
	for began := t.ms(0, every); began < until; began += t.ms(1, every) {
		served := began + t.ms(0, lag)
		state := 0
		for state < len(written) && written[state] <= served {
			state++
		}
		version, at := 10, time.Duration(0)
		if state > 0 {
			version, at = 100*state+4, written[state-1]
		}
		t.hear(served+t.ms(0, lag), "read", certwatch.Change{Secret: t.secret(state, version, at), ReadAt: t.zero.Add(began)})
	}
}

// probe lets the run probe an address that shows certificates from the given
// times on.
func (t *tale) probe(endpoint int, until time.Duration, switched []time.Duration) {
	for start := t.ms(0, 50); start < until; start += 50 * time.Millisecond {
		served := start + t.ms(0, 5)
		shown := served + t.ms(0, 5)
		n := 0
		for n < len(switched) && switched[n] <= served {
			n++
		}
		leaf := t.pairs[n].Leaf()
		t.heard = append(t.heard, hearsay{shown + t.ms(0, 5), "probe", func(time.Time) {
			s := probe.Sample{Endpoint: endpoint, Start: t.zero.Add(start), Handshake: shown - start, Leaf: leaf}
			t.p.rec.Add(s)
			t.r.handleSample(s)
		}})
	}
}

// In any order, however late and however often the run hears of events, no hop is
// shown before its cause, each happened within the interval that is stated, and
// the switch did not take longer than the stated maximum.
func TestPlainHopsAreCausalAndBounded(t *testing.T) {
	ca := tlstest.NewCA(t, "Root CA Lab")
	pairs := make([]*tlstest.Pair, 3)
	for i := range pairs {
		pairs[i] = ca.Issue(t, tlstest.Leaf{Names: []string{"example.local"}})
	}
	const seeds = 800
	sources, orders, loose := make(map[string]int), 0, 0
	for seed := range seeds {
		w := newTale(uint64(seed), pairs)
		w.skew = w.ms(-90000, 90000)
		lag := []int{0, 30, 300, 5000}[w.rng.IntN(4)]
		if w.rng.IntN(3) > 0 { // the header Date of a few answers
			for range w.rng.IntN(20) {
				asked := w.ms(0, 3000)
				dated := asked + w.ms(0, 20)
				w.p.clock.Note(w.zero.Add(asked), w.zero.Add(dated+w.ms(0, 20)), w.server(dated).Time)
			}
		}
		asked := time.Duration(0)
		if w.p.spec.Trigger != triggerWait {
			asked = w.ms(0, 500)
			w.truth[timeline.Asked] = asked
			w.heard = append(w.heard, hearsay{asked + w.ms(0, lag), "asked", func(time.Time) {
				c := w.certificate(1, "True", 100, asked)
				c.Status.Conditions[0].Reason = "ManuallyTriggered"
				c.Status.Conditions[0].LastTransitionTime = metav1.NewTime(w.zero.Add(asked).Truncate(time.Second))
				w.r.handleRequested(requested{at: w.zero.Add(asked), cert: c})
			}})
		}
		over := w.happen(1, asked, lag)
		written := []time.Duration{w.truth[timeline.Secret]}
		switched := [][]time.Duration{{written[0] + w.ms(0, 3000)}, {written[0] + w.ms(0, 3000)}}
		newest := 1
		if w.rng.IntN(4) == 0 { // renewed again while the switch is under way
			over = w.happen(2, over, lag)
			written = append(written, w.truth[timeline.Secret])
			newest = 2
			for i := range switched {
				switched[i] = append(switched[i], max(switched[i][0], written[1])+w.ms(1, 3000))
			}
		}
		end := over + 20*time.Second
		if w.rng.IntN(4) > 0 {
			w.read([]int{50, 500}[w.rng.IntN(2)], 1+w.rng.IntN(200), end, written)
		}
		for i := range switched {
			w.probe(i, end, switched[i])
		}
		slices.SortStableFunc(w.heard, func(a, b hearsay) int { return int(a.at - b.at) })
		for _, h := range w.heard {
			h.take(w.zero.Add(h.at))
		}
		w.r.end = endComplete
		w.r.finish(w.zero.Add(end))

		line := w.r.line.Record()
		fail := func(format string, args ...any) {
			t.Errorf("seed %d: %s; truth %v; %s", seed, fmt.Sprintf(format, args...), w.truth, strings.Join(w.r.line.Lines(), "; "))
		}
		if !w.r.target.Equal(pairs[newest].Leaf()) {
			fail("the certificate is not the newest")
			continue
		}
		place := make(map[timeline.Milestone]int)
		for i, f := range line {
			place[timeline.Milestone(f.Name)] = i + 1
			sources[f.Source]++
			if f.Order != "" {
				orders++
			}
			truth, ok := w.truth[timeline.Milestone(f.Name)]
			if newest == 2 && (f.Name == string(timeline.Issuing) || f.Name == string(timeline.Asked)) {
				ok = false // of the first of two renewals
			}
			if at := w.zero.Add(truth); ok && (at.After(f.At) || at.Before(f.Earliest)) {
				fail("%s was at %s, not from %s to %s", f.Name, truth, f.Earliest.Sub(w.zero), f.At.Sub(w.zero))
			}
			if i > 0 && f.Order == "" && ok {
				if before, known := w.truth[timeline.Milestone(line[i-1].Name)]; known && before > truth && newest == 1 {
					fail("%s is said to be after %s", f.Name, line[i-1].Name)
				}
			}
		}
		way := []timeline.Milestone{timeline.Asked, timeline.Issuing, timeline.Created, timeline.Approved, timeline.Signed, timeline.Secret, timeline.FirstServed, timeline.LastServed}
		for i, cause := range way {
			for _, effect := range way[i+1:] {
				if place[effect] > 0 && place[cause] > place[effect] {
					fail("%s before %s", effect, cause)
				}
			}
		}
		if place[timeline.Revision] > 0 && place[timeline.Revision] < place[timeline.Secret] {
			fail("revision before secret")
		}
		last := max(switched[0][newest-1], switched[1][newest-1])
		observed, most, ok := w.r.lag()
		if !ok || most < last-written[newest-1] {
			fail("the switch took %s, and at most %s is said", last-written[newest-1], most)
		}
		if most > observed+time.Second {
			loose++
		}
		if again := evidence.PlaceHops(w.r.line.Record(), w.r.line.Clock()); !slices.Equal(again, w.r.line.Record()) {
			fail("placed again, the hops are elsewhere")
		}
	}
	for _, source := range []string{evidence.SourceRun, evidence.SourceObserved, evidence.SourceObject, evidence.SourceEffect} {
		if sources[source] == 0 {
			t.Errorf("no hop is known from source %q", source)
		}
	}
	t.Logf("%d rotations: hops by source %v, %d in the order as observed, %d switches known to a second or worse", seeds, sources, orders, loose)
}
