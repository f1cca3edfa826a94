package journal_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/journal"
)

func plan(t *testing.T) journal.Plan {
	return journal.Plan{Base: filepath.Join(t.TempDir(), "runs"), Name: "lab", File: "/plans/lab.yaml"}
}

// clock goes on by a second whenever it is asked.
func clock() func() time.Time {
	var mu sync.Mutex
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return func() time.Time { mu.Lock(); defer mu.Unlock(); now = now.Add(time.Second); return now }
}

func open(t *testing.T, p journal.Plan, now func() time.Time) *journal.Journal {
	t.Helper()
	j, err := journal.Open(p, now)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func file(p journal.Plan, j *journal.Journal) string {
	return filepath.Join(p.Dir(), j.Run()+".jsonl")
}

func event(a engine.Action, step, path string) engine.Event {
	return engine.Event{Action: a, Step: step, Kind: "k", Path: path, Attempt: 1}
}

func TestOneRun(t *testing.T) {
	p := plan(t)
	j := open(t, p, clock())
	path := file(p, j)
	check := func(what string, err error, lines int) {
		t.Helper()
		b, rerr := os.ReadFile(path)
		if err != nil || rerr != nil || bytes.Count(b, []byte("\n")) != lines {
			t.Fatalf("%s: %v, %v; %d lines, want %d", what, err, rerr, bytes.Count(b, []byte("\n")), lines)
		}
	}
	check("open", nil, 1)
	check("intent", j.Intent(event(engine.ActionApply, "root", "pki")), 2)
	check("outcome", j.Outcome(event(engine.ActionApplied, "root", "pki")), 3)
	failed := event(engine.ActionFail, "role", "web")
	failed.Error = "403"
	check("intent", j.Intent(event(engine.ActionApply, "role", "web")), 4)
	check("outcome", j.Outcome(failed), 5)
	check("close", j.Close(engine.Summary{Changed: 1}), 6)
	if err := j.Intent(event(engine.ActionApply, "late", "x")); err == nil {
		t.Error("a closed journal takes records")
	}

	records, err := journal.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range records {
		got = append(got, fmt.Sprint(r.Seq, r.Type, r.Step, r.Path, r.Error))
	}
	want := []string{"1run", "2intentrootpki", "3donerootpki", "4intentroleweb", "5failedroleweb403", "6end"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("records (-want +got):\n%s", d)
	}
	if r := records[0]; r.Version != 1 || r.Plan != "lab" || r.File != "/plans/lab.yaml" || r.PID != os.Getpid() || r.Run != j.Run() {
		t.Errorf("first record %+v", r)
	}
	for _, q := range []string{path, p.Dir(), p.Base} {
		info, err := os.Stat(q)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v, %v", q, info.Mode(), err)
		}
	}
	if r, err := journal.Last(p, ""); err != nil || !r.Ended || r.Alive || len(r.Unfinished) != 0 {
		t.Errorf("last: %+v, %v", r, err)
	}
	other := p
	other.File = "/elsewhere/lab.yaml"
	if r, err := journal.Last(other, ""); r != nil || err != nil {
		t.Errorf("another plan of this name: %+v, %v", r, err)
	}
}

func TestDamageShows(t *testing.T) {
	p := plan(t)
	j := open(t, p, clock())
	for i := range 3 {
		if err := j.Intent(event(engine.ActionApply, "s", fmt.Sprint("p", i))); err != nil {
			t.Fatal(err)
		}
	}
	path := file(p, j)
	if err := j.Close(engine.Summary{}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(whole), "\n")
	for _, tc := range []struct {
		name, text, problem string
		records             int
	}{
		{"whole", string(whole), "", 5},
		{"cut off in the last line", string(whole[:len(whole)-9]), "", 4},
		{"empty", "", "", 0},
		{"changed", strings.Replace(string(whole), `"p1"`, `"px"`, 1), "line 4: the line before it was changed", 3},
		{"line lost", lines[0] + lines[1] + lines[3] + lines[4], "line 3: number 4 after 2", 2},
		{"no JSON", lines[0] + "{\n" + lines[1], "line 2: ", 1},
		{"other version", strings.Replace(lines[0], `"version":1`, `"version":2`, 1), "line 1: not the first record of a journal of version 1", 0},
	} {
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		records, err := journal.Read(path)
		text := fmt.Sprint(err)
		if (err == nil) != (tc.problem == "") || err != nil && !strings.Contains(text, tc.problem) || len(records) != tc.records {
			t.Errorf("%s: %d records, want %d; error %v, want %q", tc.name, len(records), tc.records, err, tc.problem)
		}
	}
}

func TestUnfinished(t *testing.T) {
	const apply, applied, fail, unknown = engine.ActionApply, engine.ActionApplied, engine.ActionFail, engine.ActionUnknown
	for _, tc := range []struct {
		name   string
		events []engine.Event
		want   []string
	}{
		{"nothing begun", nil, nil},
		{"done", []engine.Event{event(apply, "a", "x"), event(applied, "a", "x")}, nil},
		{"refused", []engine.Event{event(apply, "a", "x"), event(fail, "a", "x")}, nil},
		{"in the middle", []engine.Event{event(apply, "a", "x"), event(apply, "b", "x"), event(applied, "a", "x")}, []string{"b/x"}},
		{"two at once", []engine.Event{event(apply, "a", "x"), event(apply, "b", "x")}, []string{"a/x", "b/x"}},
		{"cut off", []engine.Event{event(apply, "a", "x"), event(unknown, "a", "x")}, []string{"a/x"}},
		{"cut off, then done", []engine.Event{event(apply, "a", "x"), event(unknown, "a", "x"), event(apply, "a", "x"), event(applied, "a", "x")}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := plan(t)
			j := open(t, p, clock())
			for _, e := range tc.events {
				add := j.Outcome
				if e.Action == apply {
					add = j.Intent
				}
				if err := add(e); err != nil {
					t.Fatal(err)
				}
			}
			r, err := journal.Last(p, "")
			if err != nil || r.Ended || !r.Alive {
				t.Fatalf("%+v, %v", r, err)
			}
			var got []string
			for _, u := range r.Unfinished {
				got = append(got, u.Step+"/"+u.Path)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if r, err := journal.Last(p, j.Run()); r != nil || err != nil {
				t.Errorf("last before the only one: %+v, %v", r, err)
			}
		})
	}
}

func TestOldOnesGo(t *testing.T) {
	p, now := plan(t), clock()
	living := open(t, p, now)
	var newest string
	for range journal.Kept + 5 {
		j := open(t, p, now)
		newest = file(p, j)
		if err := j.Close(engine.Summary{}); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(p.Dir())
	if err != nil || len(entries) != journal.Kept+1 {
		t.Errorf("%d files, want %d and the one of a living run; %v", len(entries), journal.Kept, err)
	}
	for _, path := range []string{newest, file(p, living)} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestConcurrentSteps(t *testing.T) {
	p := plan(t)
	j := open(t, p, clock())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 5 {
				path := fmt.Sprint(k)
				if err := j.Intent(event(engine.ActionApply, fmt.Sprint(i), path)); err != nil {
					t.Error(err)
				}
				if err := j.Outcome(event(engine.ActionApplied, fmt.Sprint(i), path)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if records, err := journal.Read(file(p, j)); err != nil || len(records) != 1+8*5*2 {
		t.Errorf("%d records, %v", len(records), err)
	}
}

const childVariable = "ZTPLAN_JOURNAL_CHILD"

// TestChild is not a test: it is the run that TestKilled kills.
func TestChild(t *testing.T) {
	base := os.Getenv(childVariable)
	if base == "" {
		return
	}
	j, err := journal.Open(journal.Plan{Base: base, Name: "lab", File: "/plans/lab.yaml"}, time.Now)
	if err == nil {
		err = j.Intent(event(engine.ActionApply, "init", "sys/init"))
	}
	fmt.Println("run", j.Run(), err)
	select {}
}

func TestKilled(t *testing.T) {
	p := plan(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childVariable+"="+p.Base)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var run, problem string
	if _, err := fmt.Fscan(out, new(string), &run, &problem); err != nil || problem != "<nil>" {
		t.Fatalf("the child says %q, %v", problem, err)
	}
	if r, err := journal.Last(p, ""); err != nil || !r.Alive || journal.Dead(p.Base, run) {
		t.Errorf("while it lives: %+v, %v, dead %v", r, err, journal.Dead(p.Base, run))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	r, err := journal.Last(p, "")
	if err != nil || r.Alive || r.Ended || len(r.Unfinished) != 1 || r.Unfinished[0].Path != "sys/init" {
		t.Errorf("after kill -9: %+v, %v", r, err)
	}
	if !journal.Dead(p.Base, run) {
		t.Error("it is not known to be dead")
	}
	for _, unknown := range []string{"", "../" + run, "20260101T000000.000000Z-00000000"} {
		if journal.Dead(p.Base, unknown) {
			t.Errorf("%q is taken for dead", unknown)
		}
	}
}

func TestNoPlace(t *testing.T) {
	p := plan(t)
	p.Base = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(p.Base, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := journal.Open(p, clock())
	if err == nil || !strings.Contains(err.Error(), p.Base) || engine.HintOf(err) == "" {
		t.Errorf("err %v, hint %q", err, engine.HintOf(err))
	}
}

// BenchmarkEdit is the time of the journal for each edit: two records, each on the
// disk before it goes on.
func BenchmarkEdit(b *testing.B) {
	p := journal.Plan{Base: b.TempDir(), Name: "bench", File: "/bench.yaml"}
	if dir := os.Getenv("ZTPLAN_BENCH_DIR"); dir != "" {
		p.Base = dir // a disk, where the temporary directory is none
	}
	j, err := journal.Open(p, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	before, after := event(engine.ActionApply, "root", "pki/root/generate"), event(engine.ActionApplied, "root", "pki/root/generate")
	b.ReportAllocs()
	for b.Loop() {
		if err := j.Intent(before); err != nil {
			b.Fatal(err)
		}
		if err := j.Outcome(after); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/edit")
}
