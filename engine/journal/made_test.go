package journal_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/journal"
)

// applied opens a journal, applies the edits "step path" in it, and closes it.
func applied(t *testing.T, p journal.Plan, edits ...string) {
	t.Helper()
	j := open(t, p, tick)
	for _, e := range edits {
		step, path, _ := strings.Cut(e, " ")
		outcome := engine.ActionApplied
		if rest, refused := strings.CutPrefix(path, "!"); refused {
			path, outcome = rest, engine.ActionFail
		}
		if err := j.Intent(event(engine.ActionApply, step, path)); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(path, "?") {
			return // killed
		}
		if err := j.Outcome(event(outcome, step, path)); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(engine.Summary{}); err != nil {
		t.Fatal(err)
	}
}

var tick = clock()

func orphans(p journal.Plan, steps ...string) []string {
	p.Steps = steps
	var out []string
	for _, m := range journal.Orphans(p) {
		out = append(out, fmt.Sprint(m.Step, ": ", m))
	}
	return out
}

func TestOrphans(t *testing.T) {
	p := plan(t)
	p.Server, p.Steps = "https://a", []string{"root", "app"}
	want := func(name string, got []string, want ...string) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	want("no journal", orphans(p, "app"))
	applied(t, p, "root pki", "root pki/root", "app Deployment/x", "root pki/root", "root !pki/refused", "gone x")
	want("nothing is gone", orphans(p, "root", "app", "gone"))
	want("in order, each path once, and what is in another path not at all", orphans(p, "other"), "root: pki (k)", "app: Deployment/x (k)", "gone: x (k)")

	applied(t, p, "app ?Service/x")
	want("told to the run before", orphans(p, "root"), "app: Deployment/x, ?Service/x (k)")

	elsewhere := p
	elsewhere.Server = "https://b"
	want("another cluster", orphans(elsewhere, "root"))
	applied(t, elsewhere, "app Deployment/x")
	want("beside another cluster", orphans(p, "app"), "root: pki (k)")

	for range journal.Kept + 1 {
		applied(t, p)
	}
	want("after many runs", orphans(p, "app"), "root: pki (k)")
	if entries, err := os.ReadDir(p.Dir()); err != nil || len(entries) > journal.Kept+1 {
		t.Errorf("%d files, %v", len(entries), err)
	}

	p.Steps = []string{"app"}
	applied(t, p)
	want("told", orphans(p, "app"))
	applied(t, p, "root pki")
	want("made again", orphans(p, "app"), "root: pki (k)")
}

func TestWhatAStepAsksForNoMore(t *testing.T) {
	p := plan(t)
	p.Steps = []string{"auth"}
	asks := func(paths ...string) journal.Plan {
		p.Owns = func(step, kind string) func(string) bool {
			if step != "auth" || kind != "k" {
				t.Errorf("asked for step %s of kind %s", step, kind)
			}
			return func(path string) bool { return slices.Contains(paths, path) }
		}
		return p
	}
	want := func(name string, got []string, want ...string) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	applied(t, p, "auth role/a", "auth role/b", "auth role/b/ttl")
	want("the kind does not say", orphans(p, "auth"))
	want("all", orphans(asks("role/a", "role/b", "role/b/ttl"), "auth"))
	want("less", orphans(asks("role/a"), "auth"), "auth: role/b (k)")
	want("the step is gone", orphans(p, "other"), "auth: role/a, role/b (k)")

	applied(t, asks("role/a"))
	want("told", orphans(asks("role/a"), "auth"))
	want("the rest of it", orphans(asks(), "auth"), "auth: role/a (k)")
	applied(t, asks("role/a"), "auth role/b")
	want("made again", orphans(asks("role/a"), "auth"), "auth: role/b (k)")
	applied(t, asks())
	want("nothing is left of it", orphans(asks(), "auth"))
	want("nor of the step", orphans(p, "other"))
}

// A run that overlaps with another has opened its journal before the other has
// recorded everything.
func TestOrphansOfRunsSideBySide(t *testing.T) {
	p := plan(t)
	p.Steps = []string{"root"}
	first := open(t, p, tick)
	applied(t, p)
	for _, say := range []func(engine.Event) error{first.Intent, first.Outcome} {
		if err := say(event(engine.ActionApplied, "root", "pki")); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Close(engine.Summary{}); err != nil {
		t.Fatal(err)
	}
	if got := orphans(p, "other"); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

func TestMadeIsShort(t *testing.T) {
	m := journal.Made{Kind: "k", Paths: strings.Split("a b c d e f g h i j", " ")}
	if got := m.String(); got != "a, b, c, d, e, f, g, h and 2 more (k)" {
		t.Error(got)
	}
}

// A plan does not ask for the changes of a proof: they leave no orphans.
func TestProofsLeaveNothing(t *testing.T) {
	p := plan(t)
	j := open(t, p, tick)
	for _, path := range []string{"Certificate/a/b/status/conditions/Issuing", "pki/issuer/(new)"} {
		e := event(engine.ActionApply, "rotation", path)
		e.Proof = true
		if err := j.Intent(e); err != nil {
			t.Fatal(err)
		}
		if e.Action = engine.ActionApplied; path == "pki/issuer/(new)" {
			continue // killed
		}
		if err := j.Outcome(e); err != nil {
			t.Fatal(err)
		}
	}
	if got := orphans(p); got != nil {
		t.Errorf("left behind: %q", got)
	}
	last, err := journal.Last(p, "")
	if err != nil || len(last.Unfinished) != 1 || !last.Unfinished[0].Proof {
		t.Errorf("what the run was doing: %+v, %v", last, err)
	}
}
