package journal_test

import (
	"fmt"
	"os"
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
	want("in order, each path once", orphans(p, "other"), "root: pki, pki/root (k)", "app: Deployment/x (k)", "gone: x (k)")

	applied(t, p, "app ?Service/x")
	want("told to the run before", orphans(p, "root"), "app: Deployment/x, ?Service/x (k)")

	elsewhere := p
	elsewhere.Server = "https://b"
	want("another cluster", orphans(elsewhere, "root"))
	applied(t, elsewhere, "app Deployment/x")
	want("beside another cluster", orphans(p, "app"), "root: pki, pki/root (k)")

	for range journal.Kept + 1 {
		applied(t, p)
	}
	want("after many runs", orphans(p, "app"), "root: pki, pki/root (k)")
	if entries, err := os.ReadDir(p.Dir()); err != nil || len(entries) > journal.Kept+1 {
		t.Errorf("%d files, %v", len(entries), err)
	}

	p.Steps = []string{"app"}
	applied(t, p)
	want("told", orphans(p, "app"))
	applied(t, p, "root pki")
	want("made again", orphans(p, "app"), "root: pki (k)")
}

// A run that overlaps with another has opened its journal before the other has
// said everything.
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
