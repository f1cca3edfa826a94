package ui_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/ui"
	"github.com/ztplan/ztplan/engine"
)

// look is a dry run with a step that differs, one that does not, one that is known later,
// and a proof.
var look = []engine.Event{
	{Action: engine.ActionPlan, Step: "a"}, {Action: engine.ActionPlan, Step: "b"}, {Action: engine.ActionPlan, Step: "c"}, {Action: engine.ActionPlan, Step: "p", Proof: true},
	{Action: engine.ActionUnchanged, Step: "a"},
	{Action: engine.ActionWarn, Step: "b", Message: "take care"},
	{Action: engine.ActionDiffers, Step: "b", Path: "x", Have: "1", Want: "2"},
	{Action: engine.ActionPending, Step: "b", Needs: []string{"a"}},
	{Action: engine.ActionAfter, Step: "c", Needs: []string{"b"}, Want: map[string]any{"name": "input"}},
	{Action: engine.ActionWould, Step: "p", Message: "assert that it is refused"},
	{Action: engine.ActionWould, Step: "p", Path: "login", Want: []any{"the same in other words"}, Message: "must be refused"},
	{Action: engine.ActionEnd, Summary: &engine.Summary{Result: engine.ResultDiffers, Pending: 2, Unchanged: 1, ProofEdits: 1, Digest: "sha256:0"}},
}

// shown returns a dry run as text; prepare may be nil.
func shown(verbose bool, prepare func(*ui.Text)) string {
	var b bytes.Buffer
	t := ui.NewText(&b, ui.Style{}, verbose, true)
	if prepare != nil {
		prepare(t)
	}
	for _, e := range look {
		t.Event(e)
	}
	return b.String()
}

// A status shows differences, warnings and failures.
func TestOnlyDrift(t *testing.T) {
	const want = "! b        warning: take care\n~ b        x\n      ~ 1 → 2\n\n» known only after others: c\n\n2 to change, 1 unchanged in 0.00s\ndigest sha256:0\ndiffers (dry run)\n"
	if got := shown(false, (*ui.Text).OnlyDrift); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got, want := shown(true, (*ui.Text).OnlyDrift), shown(true, nil); got != want {
		t.Errorf("with verbose it is not the dry run as a whole:\n%s", got)
	}
}

// A dry run names the attempts of a proof once: its intent has named them.
func TestWouldIsSaidOnce(t *testing.T) {
	const again = "the same in other words"
	got := shown(false, nil)
	if strings.Contains(got, again) || !strings.Contains(got, "would change login  must be refused\n") || !strings.Contains(got, "-v shows every field") {
		t.Errorf("got\n%s", got)
	}
	if got := shown(true, nil); !strings.Contains(got, again) {
		t.Errorf("with verbose:\n%s", got)
	}
}
