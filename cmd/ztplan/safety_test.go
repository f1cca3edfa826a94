package main

import (
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine/journal"
)

func TestWhatTheLastRunLeft(t *testing.T) {
	first := journal.Record{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)}
	edits := []journal.Record{{Step: "root", Path: "pki/root"}, {Step: "app", Path: "release/a/b"}}
	for _, tc := range []struct {
		name   string
		report *journal.Report
		want   string
	}{
		{"none", nil, ""},
		{"in order", &journal.Report{Run: first, Ended: true}, ""},
		{"under way", &journal.Report{Run: first, Alive: true, Unfinished: edits}, ""},
		{"killed between edits", &journal.Report{Run: first}, "the last run, of 2026-01-02 03:04:05, was cut off while it applied nothing: looking again"},
		{"killed", &journal.Report{Run: first, Unfinished: edits},
			"the last run, of 2026-01-02 03:04:05, was cut off while applying pki/root (step root), release/a/b (step app): looking again"},
		{"not known", &journal.Report{Run: first, Ended: true, Unfinished: edits[:1]},
			"the last run, of 2026-01-02 03:04:05, could not tell whether this took effect: pki/root (step root): looking again"},
	} {
		if got := lastRun(tc.report); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
