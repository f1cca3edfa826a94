package helminstall

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/helmkit/chart"
)

// A chart is put on record once in a run, however often the step looks, and
// without the password in its address.
func TestEvidence(t *testing.T) {
	var got []any
	env := &engine.Env{Step: "vault", Session: new(engine.Session), Record: func(name string, data any) { got = append(got, name, data) }}
	s := &Spec{Repo: "https://user:secret@charts.example.org"}
	w := &installation{chart: &chart.Chart{Name: "vault", Version: "0.31.0", AppVersion: "1.20.4", Digest: "ab"}}
	for range 3 {
		if err := s.record(t.Context(), env, w); err != nil {
			t.Fatal(err)
		}
	}
	want := []any{evidence.RecordChart, evidence.Chart{
		Name: "vault", Version: "0.31.0", AppVersion: "1.20.4", Repository: "https://user:xxxxx@charts.example.org", Digest: "ab",
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	env.Record = nil
	if err := s.record(t.Context(), env, w); err != nil {
		t.Error(err)
	}
}
