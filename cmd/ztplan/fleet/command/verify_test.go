package command

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

// fleetReport writes the folder of a fleet with one cluster.
func fleetReport(t *testing.T, hub, cluster string) string {
	t.Helper()
	dir, proof := t.TempDir(), []byte("evidence of "+cluster)
	leaves := []ledger.Leaf{{Cluster: cluster, Wave: "all", State: ledger.Proved, Tries: 1, Verdict: &record.Verdict{
		Schema: record.VerdictSchema, Run: "r1", Cluster: cluster, UID: cluster, Result: engine.ResultProved, Evidence: evidence.Digest(proof)}}}
	counts := ledger.Count(leaves)
	head := &ledger.Head{Schema: ledger.Schema, Fleet: "prod", Hub: hub, Run: "r1", Rounds: 1, Digest: strings.Repeat("0", 64), Mode: "run", Counts: counts,
		Began: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), Result: ledger.Result(counts, "")}
	if err := ledger.Write(t.Context(), dir, head, leaves, []string{cluster}, func(context.Context, string) ([]byte, error) { return proof, nil }, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// As JSON there is one object, also when a check does not hold.
func TestVerifyAsJSON(t *testing.T) {
	type check struct {
		Name     string
		Holds    *bool
		Problems []string
	}
	type result struct {
		Holds   bool
		Reports []struct {
			Folder, Fleet, Hub, Run, Result, Root string
			Holds, Signed                         bool
			Counts                                map[string]int
			Checks                                []check
		}
		Merged *struct {
			Result, Root string
			Counts       map[string]int
			Check        check
		}
	}
	verified := func(t *testing.T, code int, dirs ...string) (r result) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		a := &commands{Invocation: &cli.Invocation{Output: "json"}, version: "devel"}
		a.Open(strings.NewReader(""), &stdout, &stderr)
		if err := a.verify(t.Context(), dirs, ledger.Options{}); cli.CodeOf(err) != code {
			t.Errorf("exit code %d, want %d: %v", cli.CodeOf(err), code, err)
		}
		if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
			t.Fatalf("%v in %s", err, &stdout)
		}
		return r
	}
	east, west := fleetReport(t, "east", "a"), fleetReport(t, "west", "b")

	r := verified(t, cli.OK, east)
	if one := r.Reports[0]; !r.Holds || !one.Holds || one.Signed || one.Folder != east || one.Fleet != "prod" || one.Hub != "east" || one.Run != "r1" ||
		one.Result != "proved" || one.Counts[ledger.Proved] != 1 || len(one.Root) != 64 || r.Merged != nil {
		t.Errorf("one report: %+v", r)
	}
	for _, c := range r.Reports[0].Checks {
		if open := c.Name == "signature"; open != (c.Holds == nil) || !open && !*c.Holds {
			t.Errorf("check %s: holds %v", c.Name, c.Holds)
		}
	}

	r = verified(t, cli.OK, east, west)
	if m := r.Merged; !r.Holds || m == nil || m.Result != "proved" || m.Counts[ledger.Proved] != 2 || len(m.Root) != 64 || m.Check.Holds == nil || !*m.Check.Holds {
		t.Errorf("two reports: %+v", r)
	}

	r = verified(t, cli.Failed, east, fleetReport(t, "west", "a"))
	if m := r.Merged; r.Holds || !r.Reports[1].Holds || m == nil || len(m.Check.Problems) == 0 {
		t.Errorf("a cluster that is in both: %+v", r)
	}

	if err := os.WriteFile(filepath.Join(west, ledger.ClustersDir, "b", "evidence.json"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = verified(t, cli.Failed, east, west)
	if r.Holds || !r.Reports[0].Holds || r.Reports[1].Holds || r.Merged != nil {
		t.Errorf("evidence of another run: %+v", r)
	}
}
