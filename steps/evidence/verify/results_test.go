package verify_test

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// Evidence of versions that had no subject and called every success passed still
// verifies, and is read with care.
func TestOldEvidence(t *testing.T) {
	read := func(name string) *evidence.Document {
		t.Helper()
		data, err := os.ReadFile("../testdata/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		d, checks := verify.Evidence(data)
		if p := problems(checks); p != nil {
			t.Fatalf("%s does not verify: %q", name, p)
		}
		return d
	}
	if d := read("old-failed"); d.Result() != engine.ResultFailed {
		t.Errorf("the result of a failed run is read as %s", d.Result())
	}
	d := read("old-passed")
	if d.Result() != engine.ResultProved || d.Outcome() != "proved" {
		t.Errorf("every proof held: %s, %q", d.Result(), d.Outcome())
	}
	d.Steps[5].State = "skipped" // which nothing marks as a proof
	if d.Result() != engine.ResultConverged {
		t.Errorf("a step was skipped: %s", d.Result())
	}
	d.Run.Mode = evidence.ModeDryRun
	if d.Result() != engine.ResultNotRun {
		t.Errorf("a dry run: %s", d.Result())
	}
}

// Evidence of a run that ended awaiting a signature verifies, and cannot be made one of a
// run that proved everything.
func TestAwaiting(t *testing.T) {
	w := newWorld(t)
	var events []engine.Event
	for _, e := range w.events(t, 0) {
		switch {
		case e.Step != "denied" || e.Action == engine.ActionPlan || e.Action == engine.ActionStart:
		case e.Action == engine.ActionProved:
			e.Action, e.Message = engine.ActionAwaiting, "awaiting signature: sign it, then run again"
		default:
			continue
		}
		if s := e.Summary; s != nil {
			s.Result, s.Proved, s.Awaiting, s.Awaits = engine.ResultAwaiting, 2, 1, []string{"signature"}
		}
		events = append(events, e)
	}
	d := collect(t, events)
	if _, checks := verify.Evidence(encoded(t, d)); problems(checks) != nil {
		t.Fatalf("%q", problems(checks))
	}
	if d.Result() != engine.ResultAwaiting || d.Outcome() != "awaiting signature" {
		t.Errorf("%s, %q", d.Result(), d.Outcome())
	}
	for _, forge := range []func(){
		func() { d.Run.Result, d.Summary.Result = "proved", engine.ResultProved },
		func() { d.Summary.Awaiting = 0 },
		func() { d.Steps[len(d.Steps)-1].Reason = "" },
	} {
		kept, steps := *d, slices.Clone(d.Steps)
		forge()
		if err := d.Seal(); err != nil {
			t.Fatal(err)
		}
		if _, checks := verify.Evidence(encoded(t, d)); problems(checks) == nil {
			t.Errorf("%s, %d awaiting, and it verifies", d.Run.Result, d.Summary.Awaiting)
		}
		*d, d.Steps = kept, steps
	}
}

// A run whose proofs were left out is not called proved, for any reason, and a forged
// result is found.
func TestProofsLeftOut(t *testing.T) {
	skip := func(e engine.Event) []engine.Event {
		w := newWorld(t)
		var events []engine.Event
		for _, have := range w.events(t, 0) {
			switch {
			case have.Step != "denied" || have.Action == engine.ActionPlan:
			case have.Action == engine.ActionStart:
				e.Time, e.Step, e.Kind = have.Time, have.Step, have.Kind
				have = e
			default:
				continue
			}
			if s := have.Summary; s != nil {
				s.Result, s.Proved, s.Skipped = engine.ResultConverged, 2, 1
				s.CriticalSeconds, s.CriticalPath = 7.09, []string{"vault", "root", "site", "rotation"}
			}
			events = append(events, have)
		}
		return events
	}
	for _, why := range []string{"--skip", "its condition (when) is false"} {
		d := collect(t, skip(engine.Event{Action: engine.ActionSkip, Message: why}))
		if _, checks := verify.Evidence(encoded(t, d)); problems(checks) != nil {
			t.Fatalf("%s: %q", why, problems(checks))
		}
		if d.Result() != engine.ResultConverged || d.Outcome() != "converged, 1 proof skipped" || !slices.Equal(d.ProofsLeft(), []string{"denied"}) {
			t.Errorf("%s: %s, %q, %q", why, d.Result(), d.Outcome(), d.ProofsLeft())
		}
		for _, forged := range []func(){
			func() { d.Run.Result, d.Summary.Result = "proved", engine.ResultProved },
			func() { d.Run.Result, d.Summary.Result = "passed", "" },
			func() { d.Summary.Proofs = 2 },
		} {
			kept := *d
			forged()
			if err := d.Seal(); err != nil {
				t.Fatal(err)
			}
			if _, checks := verify.Evidence(encoded(t, d)); problems(checks) == nil {
				t.Errorf("%s: %s, %d proofs, and it verifies", why, d.Run.Result, d.Summary.Proofs)
			}
			*d = kept
		}
	}
}

// Another value of a variable is another digest, of the section and of the
// whole.
func TestVariablesCount(t *testing.T) {
	d := collect(t, newWorld(t).events(t, 0))
	before := d.Digests
	d.Subject.Variables["domain"] = "other.local"
	if err := d.Seal(); err != nil {
		t.Fatal(err)
	}
	var changed []string
	for i, s := range d.Digests.Sections {
		if s != before.Sections[i] {
			changed = append(changed, s.Name)
		}
	}
	if !slices.Equal(changed, []string{"subject"}) || d.Digests.Overall == before.Overall {
		t.Errorf("sections %q changed, overall %s", changed, d.Digests.Overall)
	}
}

// The digests of the pages have one of their own, and do not change the others.
func TestPagesHaveADigest(t *testing.T) {
	d := collect(t, newWorld(t).events(t, 0))
	overall := d.Digests.Overall
	d.Pages = []evidence.FileDigest{{Name: "report.html", Digest: evidence.Digest([]byte("page"))}}
	if err := d.Seal(); err != nil {
		t.Fatal(err)
	}
	data := encoded(t, d)
	if _, checks := verify.Evidence(data); problems(checks) != nil || d.Digests.Overall != overall {
		t.Errorf("%q, overall %s, before %s", problems(checks), d.Digests.Overall, overall)
	}
	bad := bytes.Replace(data, []byte(d.Pages[0].Digest), []byte(evidence.Digest([]byte("other"))), 1)
	if _, checks := verify.Evidence(bad); problems(checks) == nil {
		t.Error("another digest of a page verifies")
	}
}
