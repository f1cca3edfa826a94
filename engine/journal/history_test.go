package journal_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/journal"
)

// The runs of all plans are listed, newest first; a damaged journal as far as it goes,
// and one without a record not at all.
func TestHistory(t *testing.T) {
	p, now := plan(t), clock()
	other := p
	other.Name, other.File = "other", "/plans/other.yaml"
	first, second, third := open(t, p, now), open(t, other, now), open(t, p, now)
	for _, j := range []*journal.Journal{first, second} {
		if err := j.Close(engine.Summary{Result: engine.ResultConverged}); err != nil {
			t.Fatal(err)
		}
	}
	damaged := file(other, second)
	text, err := os.ReadFile(damaged)
	if err == nil {
		err = os.WriteFile(damaged, append(text, "{\n"...), 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(p.Dir(), "20250101T000000.000000Z-00000000.jsonl"), nil, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	got := journal.History(p.Base)
	if len(got) != 3 || got[0].Run.Run != third.Run() || got[1].Run.Run != second.Run() || got[2].Run.Run != first.Run() {
		t.Fatalf("%d runs: %+v", len(got), got)
	}
	if r := got[0]; !r.Alive || r.Ended || r.Summary() != nil {
		t.Errorf("a run under way: %+v", r)
	}
	if r := got[1]; r.Damage == nil || r.Summary() == nil {
		t.Errorf("a damaged journal: %+v", r)
	}
	if r := got[2]; r.Damage != nil || r.Summary().Result != engine.ResultConverged {
		t.Errorf("an ended run: %+v", r)
	}
	if got := journal.History(filepath.Join(p.Base, "none")); got != nil {
		t.Errorf("without a folder: %+v", got)
	}
}
