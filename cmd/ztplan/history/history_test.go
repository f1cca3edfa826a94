package history_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/history"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/journal"
)

var began = time.Date(2026, 1, 18, 17, 0, 0, 0, time.UTC)

func record(t journal.Type, step, path string, seconds float64) journal.Record {
	return journal.Record{Type: t, Step: step, Kind: "k", Path: path, Time: began.Add(time.Duration(seconds * float64(time.Second)))}
}

func report(locked, alive bool, records ...journal.Record) *journal.Report {
	first := journal.Record{Type: journal.Run, Run: "20260118T170000.000000Z-0a", Plan: "lab", File: "/plans/lab.yaml", Time: began, Locked: locked}
	return &journal.Report{Path: "/j", Run: first, Records: append([]journal.Record{first}, records...), Alive: alive}
}

func ended(result engine.Result) *journal.Report {
	s := engine.Summary{Result: result, Proofs: 2, Proved: 1, WallSeconds: 3.5, CriticalPath: []string{"a", "b"}}
	r := report(true, false,
		record(journal.Intent, "a", "x", 1), record(journal.Intent, "b", "x", 1), record(journal.Failed, "a", "x", 2),
		record(journal.Intent, "a", "x", 3), record(journal.Done, "a", "x", 4), record(journal.Unknown, "b", "x", 5),
		journal.Record{Type: journal.Intent, Step: "p", Path: "pod", Proof: true, Time: began}, journal.Record{Type: journal.Done, Step: "p", Path: "pod", Proof: true, Time: began},
		journal.Record{Type: journal.End, Summary: &s, Time: began.Add(time.Minute)})
	r.Ended = true
	return r
}

func TestResults(t *testing.T) {
	damaged := report(true, false)
	damaged.Damage = errors.New("line 2: no JSON")
	for name, c := range map[string]struct {
		r               *journal.Report
		result, outcome string
		seconds         float64
	}{
		"ended":             {ended(engine.ResultConverged), "converged", "converged, 1 proof skipped", 3.5},
		"without a result":  {ended(""), "unknown", "ended without a result", 3.5},
		"under way":         {report(true, true, record(journal.Intent, "a", "x", 2)), "running", "running", 2},
		"killed":            {report(true, false, record(journal.Intent, "a", "x", 2)), "cut-off", "cut off", 2},
		"there is no lock":  {report(false, false), "unknown", "running or cut off", 0},
		"a damaged journal": {damaged, "unknown", "not known: the journal is damaged", 0},
	} {
		if got := history.New(c.r); got.Result != c.result || got.Outcome != c.outcome || got.Seconds != c.seconds {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := history.New(ended("proved")); got.Edits != 1 || got.ProofEdits != 1 {
		t.Errorf("edits: %+v", got)
	}
}

// Each edit has the outcome that followed it.
func TestEdits(t *testing.T) {
	var got []string
	for _, e := range history.NewDetail(ended(engine.ResultFailed)).Changes {
		got = append(got, e.Step+" "+string(e.Outcome))
	}
	if text := strings.Join(got, ", "); text != "a failed, b unknown, a done, p done" {
		t.Error(text)
	}
	var b bytes.Buffer
	if err := history.Text(&b, history.NewDetail(ended(engine.ResultFailed))); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"plan     lab, /plans/lab.yaml\n", "result   failed\n", "path     a → b\n", "\n4 edits\n✗ a  x    ", "\n? b  x    cut off: it may have taken effect\n", "by a proof\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("there is no %q in\n%s", want, b.String())
		}
	}
}

func TestFind(t *testing.T) {
	a, b := report(true, false), report(true, false)
	b.Run.Run = "20260118T170000.000000Z-0b"
	all := []*journal.Report{b, a}
	for id, want := range map[string]*journal.Report{a.Run.Run: a, b.Run.Run: b, "2026": nil, "20260118T170000.000000Z-0": nil, "x": nil} {
		got, err := history.Find(all, id)
		if got != want || (err == nil) != (want != nil) || err != nil && engine.HintOf(err) == "" {
			t.Errorf("%s: %v, %v", id, got, err)
		}
	}
	if got, err := history.Find(all[:1], "2026"); got != b || err != nil {
		t.Errorf("the only one: %v, %v", got, err)
	}
}
