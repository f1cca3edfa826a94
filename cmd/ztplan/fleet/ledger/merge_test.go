package ledger_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// hubReport writes the report of a hub with the clusters and returns it, verified, and its
// fleet.json.
func hubReport(t *testing.T, hub string, change func(l *ledger.Leaf), clusters ...string) (*ledger.Report, []byte) {
	t.Helper()
	dir := t.TempDir()
	var leaves []ledger.Leaf
	for _, name := range clusters {
		l := ledger.Leaf{Cluster: name, Wave: "all", State: ledger.Held, Verdict: &record.Verdict{
			Schema: record.VerdictSchema, Run: "r1", Cluster: name, Exit: record.ExitHeld, UID: "uid-of-" + name,
		}}
		if change != nil {
			change(&l)
		}
		leaves = append(leaves, l)
	}
	counts := ledger.Count(leaves)
	head := &ledger.Head{Schema: ledger.Schema, Fleet: "prod", Run: "r1", Rounds: 1, Mode: "run", Hub: hub, Counts: counts,
		Began: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), Result: ledger.Result(counts, "")}
	if err := ledger.Write(t.Context(), dir, head, leaves, nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	r, err := ledger.Verify(t.Context(), dir, ledger.Options{})
	if err != nil || !r.Holds() {
		t.Fatalf("%v: %s", err, problems(r))
	}
	data, err := os.ReadFile(filepath.Join(dir, ledger.HeadFile))
	if err != nil {
		t.Fatal(err)
	}
	return r, data
}

// Reports of two hubs are one, whatever their order; the root is that of RFC 6962 over
// both fleet.json.
func TestMerge(t *testing.T) {
	b, headB := hubReport(t, "https://hub-b", nil, "c3", "c4", "c5")
	a, headA := hubReport(t, "https://hub-a", nil, "c1", "c2")
	m, err := ledger.Merge([]*ledger.Report{b, a})
	if err != nil || !m.Check.Holds() {
		t.Fatalf("%v %q", err, m.Check.Problems)
	}
	if d := cmp.Diff(map[string]int{ledger.Held: 5}, m.Counts); d != "" || m.Clusters != 5 || m.Result != "stopped" {
		t.Errorf("%s, %d clusters, %s", d, m.Clusters, m.Result)
	}
	leaf := func(data []byte) []byte { h := sha256.Sum256(append([]byte{0}, data...)); return h[:] }
	root := sha256.Sum256(append(append([]byte{1}, leaf(headA)...), leaf(headB)...))
	if want := hex.EncodeToString(root[:]); m.Root != want {
		t.Errorf("root %s, want %s", m.Root, want)
	}
}

func TestMergeRefuses(t *testing.T) {
	same := func(l *ledger.Leaf) { l.Verdict.UID = "uid-of-c1" }
	none := func(l *ledger.Leaf) { l.Verdict = nil }
	for _, tc := range []struct {
		name   string
		change func(l *ledger.Leaf)
		second string
		want   string
	}{
		{"a name in two", nil, "c2", "cluster c2 is in fleet prod on https://hub-a (run r1) and in fleet prod on https://hub-b (run r1)"},
		{"a cluster with two names", same, "other", "c1 of fleet prod on https://hub-a (run r1) and other of fleet prod on https://hub-b (run r1) are one cluster"},
		{"a name in two, not touched", none, "c1", "cluster c1 is in"},
		{"not touched", none, "c3", ""},
	} {
		a, _ := hubReport(t, "https://hub-a", nil, "c1", "c2")
		b, _ := hubReport(t, "https://hub-b", tc.change, tc.second)
		m, err := ledger.Merge([]*ledger.Report{a, b})
		if got := strings.Join(m.Check.Problems, "\n"); err != nil || (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %v: %q", tc.name, err, got)
		}
	}
}
