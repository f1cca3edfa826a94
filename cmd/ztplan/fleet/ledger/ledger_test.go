package ledger_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

func newKey(t testing.TB) *attest.Key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := attest.NewKey(private.Public(), func(_ context.Context, data []byte) ([]byte, error) { return ed25519.Sign(private, data), nil })
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// leavesOf returns n leaves; the evidence of cluster i is the text "evidence i".
func leavesOf(n int, change func(i int, l *ledger.Leaf)) ([]ledger.Leaf, []string) {
	var leaves []ledger.Leaf
	var names []string
	for i := range n {
		name := fmt.Sprintf("c%05d", i)
		l := ledger.Leaf{Cluster: name, Wave: "all", State: ledger.Proved, Tries: 1, Verdict: &record.Verdict{
			Schema: record.VerdictSchema, Run: "r1", Cluster: name, Result: engine.ResultProved, Evidence: evidence.Digest([]byte("evidence " + name)),
		}}
		if change != nil {
			change(i, &l)
		}
		if l.Verdict != nil && l.Verdict.Evidence != "" {
			names = append(names, name)
		}
		leaves = append(leaves, l)
	}
	return leaves, names
}

func write(t testing.TB, dir string, leaves []ledger.Leaf, names []string, key *attest.Key) {
	t.Helper()
	counts := ledger.Count(leaves)
	head := &ledger.Head{Schema: ledger.Schema, Fleet: "prod", Run: "r1", Rounds: 1, Digest: strings.Repeat("0", 64), Mode: "run", Counts: counts,
		Began: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), Result: ledger.Result(counts, "")}
	err := ledger.Write(t.Context(), dir, head, leaves, names, func(_ context.Context, name string) ([]byte, error) { return []byte("evidence " + name), nil }, key)
	if err != nil {
		t.Fatal(err)
	}
}

func problems(r *ledger.Report) string {
	var out []string
	for _, c := range r.Checks {
		for _, p := range c.Problems {
			out = append(out, c.Name+": "+p)
		}
	}
	return strings.Join(out, "\n")
}

func TestVerify(t *testing.T) {
	key, dir := newKey(t), t.TempDir()
	leaves, names := leavesOf(7, func(i int, l *ledger.Leaf) {
		if i == 3 {
			l.State, l.Verdict, l.Cause = ledger.Held, nil, "wave all: 1 of 7 clusters failed"
		}
	})
	write(t, dir, leaves, names, key)
	r, err := ledger.Verify(t.Context(), dir, ledger.Options{Key: key})
	if err != nil || !r.Holds() || !r.Signed || r.Head.Result != "stopped" || len(r.Leaves) != 7 {
		t.Fatalf("%v, %s", err, problems(r))
	}
	if r, err := ledger.Verify(t.Context(), dir, ledger.Options{Key: newKey(t)}); err != nil || r.Holds() || r.Signed {
		t.Errorf("by another key: %v, %s", err, problems(r))
	}
}

// Whatever is changed is found: a file, a line, a number, an order.
func TestTampering(t *testing.T) {
	key := newKey(t)
	replace := func(name, from, to string) func(string) error {
		return func(dir string) error {
			name := filepath.Join(dir, name)
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			if !bytes.Contains(data, []byte(from)) {
				return fmt.Errorf("%s has no %q", name, from)
			}
			return os.WriteFile(name, bytes.Replace(data, []byte(from), []byte(to), 1), 0o644)
		}
	}
	for _, tc := range []struct {
		name   string
		change func(dir string) error
		key    *attest.Key
		want   string
	}{
		{"a state", replace("leaves.jsonl", `"state":"failed"`, `"state":"proved"`), nil, "tree: "},
		{"a digest", replace("leaves.jsonl", evidence.Digest([]byte("evidence c00001")), strings.Repeat("0", 64)), nil, "tree: "},
		{"a leaf less", replace("leaves.jsonl", "{", "\n{"), nil, "leaves.jsonl:1: "},
		{"the root", replace("fleet.json", `"root": "`, `"root": "00`), nil, "tree: "},
		{"the result", replace("fleet.json", `"result": "failed"`, `"result": "proved"`), nil, "result: the result is failed"},
		{"the counts", replace("fleet.json", `"failed": 1`, `"failed": 0`), nil, "result: 1 clusters are failed"},
		{"the fleet", replace("fleet.json", `"fleet": "prod"`, `"fleet": "dev"`), key, "signature: "},
		{"evidence", replace("clusters/c00002/evidence.json", "evidence", "evidense"), nil, "evidence: clusters/c00002/evidence.json is not the evidence"},
		{"evidence that is gone", func(dir string) error { return os.Remove(filepath.Join(dir, "clusters/c00002/evidence.json")) }, nil, "is missing"},
		{"the statement", replace("fleet.intoto.jsonl", `"payload":"`, `"payload":"AA`), key, "signature: "},
		{"no statement", func(dir string) error { return os.Remove(filepath.Join(dir, "fleet.intoto.jsonl")) }, key, "signature: fleet.intoto.jsonl is missing"},
		{"a key that is unknown", replace("fleet.json", `"schema":`, `"more": 1, "schema":`), nil, "format: "},
	} {
		dir := t.TempDir()
		leaves, names := leavesOf(5, func(i int, l *ledger.Leaf) {
			if i == 4 {
				l.State, l.Verdict.Exit, l.Verdict.Result = ledger.Failed, 1, engine.ResultFailed
			}
		})
		write(t, dir, leaves, names, key)
		if err := tc.change(dir); err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		r, err := ledger.Verify(t.Context(), dir, ledger.Options{Key: tc.key})
		if err != nil || r.Holds() || !strings.Contains(problems(r), tc.want) {
			t.Errorf("%s: %v, %q", tc.name, err, problems(r))
		}
	}
}

// Leaves and head that agree with each other and not with the verdicts are found.
func TestFalseLeaves(t *testing.T) {
	for name, change := range map[string]func(l *ledger.Leaf){
		"a failure that is proved":   func(l *ledger.Leaf) { l.Verdict.Exit = 1 },
		"proved without a verdict":   func(l *ledger.Leaf) { l.Verdict = nil },
		"another cluster's verdict":  func(l *ledger.Leaf) { l.Verdict.Cluster = "c00001" },
		"another run's verdict":      func(l *ledger.Leaf) { l.Verdict.Run = "r0" },
		"proved without evidence":    func(l *ledger.Leaf) { l.Verdict.Evidence = "" },
		"converged, and says proved": func(l *ledger.Leaf) { l.Verdict.Result = engine.ResultConverged },
	} {
		dir := t.TempDir()
		leaves, names := leavesOf(3, func(i int, l *ledger.Leaf) {
			if i == 0 {
				change(l)
			}
		})
		write(t, dir, leaves, names, nil)
		if r, err := ledger.Verify(t.Context(), dir, ledger.Options{}); err != nil || r.Holds() {
			t.Errorf("%s: holds, %v", name, err)
		}
	}
}

// One of a thousand clusters is shown to be in the tree with ten hashes.
func TestInclusion(t *testing.T) {
	dir := t.TempDir()
	leaves, names := leavesOf(1000, nil)
	write(t, dir, leaves, names, nil)
	r, err := ledger.Verify(t.Context(), dir, ledger.Options{Cluster: "c00500"})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, c := range r.Checks {
		if c.Name == "inclusion" {
			found = c.Holds() && strings.Contains(c.Did, "with 10 hashes")
		}
	}
	if !found {
		t.Errorf("%+v", r.Checks)
	}
	if r, err := ledger.Verify(t.Context(), dir, ledger.Options{Cluster: "other"}); err != nil || r.Holds() {
		t.Errorf("a cluster that is not in the fleet: %v", err)
	}
}

func TestCauses(t *testing.T) {
	leaves, _ := leavesOf(50, func(i int, l *ledger.Leaf) {
		switch {
		case i < 40:
			l.State, l.Verdict.Exit, l.Verdict.Step = ledger.Failed, 1, "login"
			l.Verdict.Cause = "https://" + l.Cluster + ".example: connection refused\nmore"
		case i < 43:
			l.State, l.Verdict, l.Cause = ledger.Crashed, nil, "OOMKilled"
		}
	})
	got := ledger.Causes(leaves)
	if len(got) != 2 || len(got[0].Names) != 40 || got[0].Text() != "step login: https://…: connection refused" || got[1].Clusters(2) != "c00040, c00041 and 1 more" {
		t.Errorf("%+v", got)
	}
}

// The limit is 2 s for 10,000 leaves; without the evidence, the leaves alone.
func BenchmarkVerify(b *testing.B) {
	dir := b.TempDir()
	leaves, names := leavesOf(10_000, nil)
	write(b, dir, leaves, names, newKey(b))
	for b.Loop() {
		r, err := ledger.Verify(b.Context(), dir, ledger.Options{})
		if err != nil || !r.Holds() {
			b.Fatal(err, problems(r))
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/2, "of-the-limit")
}
