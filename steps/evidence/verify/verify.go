// Package verify checks the evidence of a run, offline: it computes everything again
// that follows from the document alone.
package verify

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certs"
)

// A Check is one comparison that was made again.
type Check struct {
	Name     string   // "certificates"
	Did      string   // the comparison, with counts
	Problems []string // empty if it holds
	Open     bool     // there was nothing to check, or nothing to check it with
}

// Holds reports whether nothing wrong was found.
func (c Check) Holds() bool { return len(c.Problems) == 0 }

// Mark returns the sign of the result in texts.
func (c Check) Mark() string {
	switch {
	case !c.Holds():
		return "✗"
	case c.Open:
		return "-"
	}
	return "✓"
}

// MarshalJSON implements [json.Marshaler]. The field holds is null for a check that is open.
func (c Check) MarshalJSON() ([]byte, error) {
	var holds *bool
	if is := c.Holds(); !c.Open || !is {
		holds = &is
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // that is for the outer encoder to decide
	err := enc.Encode(struct {
		Name     string   `json:"name"`
		Holds    *bool    `json:"holds"`
		Did      string   `json:"did"`
		Problems []string `json:"problems"`
	}{c.Name, holds, c.Did, append([]string{}, c.Problems...)})
	return b.Bytes(), err
}

// MaxInput is how many bytes of evidence its readers read, and of the events of a run.
const MaxInput = 256 << 20

// Evidence computes everything again that follows from the document alone. It
// contacts nothing and does not look at the clock: chains are verified at the
// times on record. The document is nil if data is none; there is always at
// least one check.
//
// A run that failed can have evidence that verifies: the record is whole and agrees
// with itself. Document.Result has the result.
func Evidence(data []byte) (*evidence.Document, []Check) {
	form := Check{Name: "form", Did: "one document of schema " + evidence.Schema + ", canonical bytes"}
	d, err := evidence.Decode(data)
	if err != nil {
		form.add("%v", err)
		return nil, []Check{form}
	}
	if canonical, err := d.Encode(); err != nil {
		form.add("%v", err)
	} else if !bytes.Equal(canonical, display.JSON(data)) { // older versions escaped only for JSON
		form.add("the bytes are not the canonical encoding: the file was edited or printed by something else")
	}
	v := &verifier{doc: d, certs: make(map[string]*x509.Certificate), used: make(map[string]bool), states: make(map[string]string)}
	for _, s := range d.Steps {
		v.states[s.ID] = s.State
	}
	return d, []Check{
		form, v.digests(), v.certificates(), v.run(), v.subject(), v.steps(), v.timeline(), v.charts(),
		v.rotations(), v.rollovers(), v.handshakes(), v.denials(), v.references(),
	}
}

func (c *Check) add(format string, args ...any) {
	c.Problems = append(c.Problems, fmt.Sprintf(format, args...))
}

// verifier holds the data that several checks need.
type verifier struct {
	doc    *evidence.Document
	certs  map[string]*x509.Certificate // by fingerprint
	used   map[string]bool              // fingerprints that something refers to
	states map[string]string            // of steps
}

func (v *verifier) digests() Check {
	c := Check{Name: "digests"}
	want, err := v.doc.ComputeDigests()
	if err != nil {
		c.add("%v", err)
		return c
	}
	have := v.doc.Digests
	c.Did = display.Count(len(want.Sections), "section") + " and the whole, SHA-256"
	if have.Algorithm != want.Algorithm {
		c.add("algorithm %q is not %q", have.Algorithm, want.Algorithm)
	}
	if len(have.Sections) != len(want.Sections) {
		c.add("%d sections have a digest instead of %d", len(have.Sections), len(want.Sections))
		return c
	}
	for i, s := range want.Sections {
		if have.Sections[i] != s {
			c.add("section %s was changed: digest %s, recorded %s", s.Name, short(s.Digest), short(have.Sections[i].Digest))
		}
	}
	if have.Overall != want.Overall {
		c.add("the overall digest is %s, recorded %s", short(want.Overall), short(have.Overall))
	}
	if have.Pages != want.Pages {
		c.add("section pages was changed: digest %s, recorded %s", short(want.Pages), short(have.Pages))
	}
	for _, p := range v.doc.Pages {
		if p.Name == "" || !evidence.IsDigest(p.Digest) {
			c.add("pages: %q has no name or no SHA-256", p.Name)
		}
	}
	return c
}

func short(digest string) string {
	if len(digest) > 12 {
		return digest[:12] + "…"
	}
	return digest
}

func (v *verifier) certificates() Check {
	c := Check{Name: "certificates", Did: display.Count(len(v.doc.Certificates), "certificate") + " parsed; fingerprint, serial, key, names and dates as recorded"}
	for _, r := range v.doc.Certificates {
		cert, err := certs.ParseOne(r.PEM)
		if err != nil {
			c.add("certificate %s does not parse: %v", short(r.Fingerprint), err)
			continue
		}
		want := evidence.Describe(cert)
		for _, f := range []struct {
			name       string
			have, want any
		}{
			{"fingerprint", r.Fingerprint, want.Fingerprint}, {"serial", r.Serial, want.Serial}, {"publicKey", r.PublicKey, want.PublicKey},
			{"subject", r.Subject, want.Subject}, {"issuer", r.Issuer, want.Issuer}, {"notBefore", r.NotBefore, want.NotBefore},
			{"notAfter", r.NotAfter, want.NotAfter}, {"ca", r.CA, want.CA}, {"pem", r.PEM, want.PEM},
		} {
			if f.have != f.want {
				c.add("certificate %s: %s is %v, recorded %v", short(r.Fingerprint), f.name, f.want, f.have)
			}
		}
		if !slices.Equal(r.Names, want.Names) {
			c.add("certificate %s: names are %q, recorded %q", short(r.Fingerprint), want.Names, r.Names)
		}
		if v.certs[r.Fingerprint] != nil {
			c.add("certificate %s is there twice", short(r.Fingerprint))
		}
		v.certs[r.Fingerprint] = cert
	}
	return c
}

func (v *verifier) run() Check {
	d := v.doc
	c := Check{Name: "run", Did: "result " + d.Run.Result + ", counts and critical path follow from the steps"}
	if !evidence.IsDigest(d.Plan.Digest) {
		c.add("plan.digest is no SHA-256")
	}
	for _, f := range d.Plan.Files {
		if f.Name == "" || !evidence.IsDigest(f.Digest) {
			c.add("plan.files: %q has no name or no SHA-256", f.Name)
		}
	}
	if d.Plan.Name == "" || d.Plan.File == "" || d.Run.Version == "" || d.Run.Platform == "" {
		c.add("name or file of the plan, or version or platform of the run, is missing")
	}
	if d.Run.Mode != evidence.ModeApply && d.Run.Mode != evidence.ModeDryRun {
		c.add("mode %q is neither apply nor dry-run", d.Run.Mode)
	}
	if d.Run.Ended.Before(d.Run.Began) {
		c.add("the run ended before it began")
	}
	interrupted := d.Run.Result == string(engine.ResultInterrupted)
	want := evidence.ResultOf(d.Run.Mode, d.Steps, interrupted)
	old := d.Run.Result == evidence.Passed && d.Subject == nil && d.Summary.Result == ""
	if old && slices.Contains([]engine.Result{engine.ResultProved, engine.ResultConverged, engine.ResultNotRun}, want) {
		want = evidence.Passed
	}
	if d.Run.Result != string(want) || !old && d.Summary.Result != "" && d.Summary.Result != want {
		c.add("the result is %s, recorded %s", want, d.Run.Result)
	}
	if !slices.ContainsFunc(d.Timeline, func(m evidence.Moment) bool { return m.Action == engine.ActionEnd }) {
		if !interrupted {
			c.add("the timeline has no end")
		}
		return c
	}
	v.summary(&c)
	return c
}

func (v *verifier) summary(c *Check) {
	d := v.doc
	want := evidence.CountsOf(d.Steps)
	for _, s := range d.Steps {
		edits := &want.Edits
		if s.Proof {
			edits = &want.ProofEdits
		}
		for _, e := range s.Edits {
			if *edits += e.Applied; d.Run.Mode == evidence.ModeDryRun {
				*edits++
			}
		}
		*edits += len(s.Changes)
	}
	have := d.Summary
	for _, n := range []struct {
		name       string
		have, want int
	}{
		{"unchanged", have.Unchanged, want.Unchanged}, {"changed", have.Changed, want.Changed}, {"proved", have.Proved, want.Proved},
		{"awaiting", have.Awaiting, want.Awaiting},
		{"pending", have.Pending, want.Pending}, {"skipped", have.Skipped, want.Skipped}, {"failed", have.Failed, want.Failed},
		{"edits", have.Edits, want.Edits}, {"proofs", have.Proofs, want.Proofs}, {"proofEdits", have.ProofEdits, want.ProofEdits},
	} {
		if n.have != n.want {
			c.add("summary.%s is %d, recorded %d", n.name, n.want, n.have)
		}
	}
	if wall := d.Run.Ended.Sub(d.Run.Began).Seconds(); !near(wall, have.WallSeconds, 0.25+wall/100) {
		c.add("the run took %.2f s, recorded %.2f s", wall, have.WallSeconds)
	}
	var critical float64
	for i, id := range have.CriticalPath {
		s := v.step(id)
		if s == nil {
			c.add("the critical path has %q, which is no step", id)
			continue
		}
		critical += s.Seconds
		if i > 0 && !v.follows(s, have.CriticalPath[i-1]) {
			c.add("the critical path goes from %s to %s, which does not need it", have.CriticalPath[i-1], id)
		}
	}
	if !near(critical, have.CriticalSeconds, 0.01) {
		c.add("the critical path took %.3f s, recorded %.3f s", critical, have.CriticalSeconds)
	}
}

// follows reports whether s needs id, directly or by way of steps that took no
// time: those are left out of a critical path.
func (v *verifier) follows(s *evidence.Step, id string) bool {
	seen, ahead := make(map[string]bool), []*evidence.Step{s}
	for len(ahead) > 0 {
		s, ahead = ahead[0], ahead[1:]
		if slices.Contains(s.Needs, id) {
			return true
		}
		for _, n := range s.Needs {
			if b := v.step(n); b != nil && b.Seconds == 0 && !seen[n] {
				seen[n] = true
				ahead = append(ahead, b)
			}
		}
	}
	return false
}

func (v *verifier) step(id string) *evidence.Step {
	for i := range v.doc.Steps {
		if v.doc.Steps[i].ID == id {
			return &v.doc.Steps[i]
		}
	}
	return nil
}

func (v *verifier) steps() Check {
	rules := 0
	c := Check{Name: "steps"}
	ids, proofs := make(map[string]bool), make(map[string]bool)
	for _, s := range v.doc.Steps {
		if is, ok := proofs[s.Kind]; ok && is != s.Proof {
			c.add("kind %s is a proof in one step and not in another", s.Kind)
		}
		proofs[s.Kind] = s.Proof
		if s.ID == "" || s.Kind == "" || ids[s.ID] {
			c.add("step %q has no id or kind, or is there twice", s.ID)
		}
		ids[s.ID] = true
		for _, n := range s.Needs {
			if v.step(n) == nil {
				c.add("step %s needs %q, which is no step", s.ID, n)
			}
		}
		broken, applied := 0, 0
		for _, f := range s.Findings {
			rules++
			if !f.Holds {
				broken++
			}
			if f.Rule == "" {
				c.add("step %s has a finding without a rule", s.ID)
			}
		}
		for _, e := range s.Edits {
			applied += e.Applied
			if e.Applied < 0 || e.Seconds < 0 {
				c.add("step %s: edit %s was applied %d times in %g s", s.ID, e.Path, e.Applied, e.Seconds)
			}
		}
		switch s.State {
		case "proved":
			if broken > 0 || len(s.Findings) == 0 {
				c.add("step %s is proved with %d of %d rules broken", s.ID, broken, len(s.Findings))
			}
		case "changed":
			if applied == 0 {
				c.add("step %s is changed and no edit was applied", s.ID)
			}
		case "unchanged":
			if applied > 0 {
				c.add("step %s is unchanged and %d edits were applied", s.ID, applied)
			}
		case "failed":
			if s.Error == "" {
				c.add("step %s failed without an error", s.ID)
			}
		case "skipped", "awaiting":
			if s.Reason == "" {
				c.add("step %s is %s without a reason", s.ID, s.State)
			}
		case "pending", "after", "would":
			if v.doc.Run.Mode != evidence.ModeDryRun {
				c.add("step %s is %s, which belongs to a dry run", s.ID, s.State)
			}
		default:
			c.add("step %s: there is no state %q", s.ID, s.State)
		}
		if broken > 0 && s.State != "failed" {
			c.add("step %s is %s with %d broken rules", s.ID, s.State, broken)
		}
		if s.Error != "" && s.State != "failed" {
			c.add("step %s is %s with an error", s.ID, s.State)
		}
	}
	c.Did = display.Count(len(v.doc.Steps), "step") + ", " + display.Count(rules, "finding") + "; states follow from edits and findings"
	return c
}

// timeline verifies that the events lead to the states and times on record.
func (v *verifier) timeline() Check {
	d := v.doc
	c := Check{Name: "timeline", Did: display.Count(len(d.Timeline), "event") + " in order; they lead to the states and times of the steps"}
	type heard struct {
		state            string
		began            time.Time
		seconds          float64
		retries, applied int
	}
	by := make(map[string]*heard)
	for _, s := range d.Steps {
		by[s.ID] = &heard{}
	}
	last := d.Run.Began
	for i, m := range d.Timeline {
		if m.Time.Before(last) {
			c.add("event %d is earlier than the one before it", i)
		}
		last = m.Time
		if m.Step == "" {
			if m.Action == engine.ActionEnd && !near(m.Seconds, d.Summary.WallSeconds, 1e-9) {
				c.add("the end says %g s and the summary %g s", m.Seconds, d.Summary.WallSeconds)
			}
			continue
		}
		h := by[m.Step]
		if h == nil {
			c.add("event %d is about %q, which is no step", i, m.Step)
			continue
		}
		switch m.Action {
		case engine.ActionStart:
			h.began = m.Time
		case engine.ActionRetry:
			h.retries++
		case engine.ActionApplied:
			h.applied++
		}
		if state, ok := evidence.StateOf(m.Action); ok {
			h.state, h.seconds = state, m.Seconds
		}
	}
	if last.After(d.Run.Ended) {
		c.add("the last event is later than the end of the run")
	}
	for _, s := range d.Steps {
		h, applied := by[s.ID], 0
		for _, e := range s.Edits {
			applied += e.Applied
		}
		if s.State != h.state && !(h.state == "" && (s.State == "skipped" || s.State == "would")) {
			c.add("step %s is %q by its events, recorded %q", s.ID, h.state, s.State)
		}
		if !s.Began.Equal(h.began) || s.Seconds != h.seconds || s.Retries != h.retries || applied != h.applied {
			c.add("step %s: start, duration, retries or edits are not those of its events", s.ID)
		}
	}
	return c
}

func (v *verifier) charts() Check {
	c := Check{Name: "charts", Did: display.Count(len(v.doc.Charts), "chart") + " with version and digest"}
	for _, ch := range v.doc.Charts {
		if ch.Name == "" || ch.Version == "" || !evidence.IsDigest(ch.Digest) {
			c.add("step %s: chart %q has no name, version or SHA-256", ch.Step, ch.Name)
		}
		v.known(&c, ch.Step)
	}
	return c
}

// references verifies that each certificate on record is referred to, and that each
// record belongs to a step.
func (v *verifier) references() Check {
	c := Check{Name: "references", Did: "every certificate belongs to a measurement, every record to a step"}
	for _, r := range v.doc.Certificates {
		if !v.used[r.Fingerprint] {
			c.add("nothing refers to certificate %s", short(r.Fingerprint))
		}
	}
	for _, r := range v.doc.Records {
		v.known(&c, r.Step)
		if r.Name == "" {
			c.add("step %s: a record has no name", r.Step)
		}
	}
	return c
}

func (v *verifier) known(c *Check, step string) {
	if _, ok := v.states[step]; !ok {
		c.add("there is no step %q", step)
	}
}

// clockSlack is how much the clock of a record may differ from that of the
// events: a record is made before its event.
const clockSlack = 5 * time.Second

func (v *verifier) within(c *Check, what string, at time.Time) {
	if at.Before(v.doc.Run.Began.Add(-clockSlack)) || at.After(v.doc.Run.Ended.Add(clockSlack)) {
		c.add("%s was at %s, outside the run", what, at.Format(time.RFC3339))
	}
}

func near(a, b, within float64) bool { return a-b <= within && b-a <= within }
