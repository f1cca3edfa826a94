package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// A gatewayFault is a row of the table of proofs: a fault of one of the gateway's workers,
// and the finding that a proof must have.
type gatewayFault struct {
	bug    string // of the lab's gateway; "" for none
	with   string // further inputs of the proof
	broken string // the rule that does not hold; "" if all hold
	says   string // matches the detail of the finding
}

var gatewayFaults = []gatewayFault{
	{},
	{bug: "one-worker-stale", with: "maxSwitch: 1s, maxLate: 2s, ",
		broken: `^the switch takes at most 1s$`, says: `did not come by itself within 2s either`},
	{bug: "late-worker=3s", with: "maxSwitch: 1s, maxLate: 20s, ",
		broken: `^the switch takes at most 1s$`, says: `the last server was late, and did come by itself`},
}

// proofs runs a proof many times against gateways with and without a worker that
// is behind, counts the verdicts and prints them. Not one may be false: a stale
// worker that was proved to be none, or a failure without a fault.
func (w *world) proofs(t *testing.T, workers []int, runs int) {
	w.writeProof("ca.pem", w.rootCertificate())
	t.Logf("%-8s %-18s %5s %7s %7s %11s %10s", "workers", "fault", "runs", "proved", "failed", "handshakes", "seconds")
	for _, n := range workers {
		w.useWorkers(n)
		for _, f := range gatewayFaults {
			proved, failed := 0, 0
			var handshakes, seconds []float64
			for range runs {
				w.show("")
				w.show(f.bug)
				o := w.prove(f.with)
				seconds = append(seconds, o.wall.Seconds())
				handshakes = append(handshakes, float64(o.attempts()))
				switch {
				case o.code == 0:
					proved++
				case o.code == 1:
					failed++
				}
				switch {
				case f.bug == "":
					must(t, "without a fault", o, 0)
				case o.code != 1:
					t.Errorf("%d workers, %s: a false verdict: %v", n, f.bug, o)
				default:
					expectViolation(t, o, f.broken, f.says)
				}
			}
			w.show("")
			t.Logf("%-8d %-18s %5d %7d %7d %11.0f %10.1f", n, f.bug, runs, proved, failed, median(handshakes), median(seconds))
		}
	}
	must(t, "the gateway as it was", w.do(nil, "run", planFile, "--only", "apisix"), 0)
	w.look()
}

// useWorkers gives the gateway a number of workers, by the plan's own values.
func (w *world) useWorkers(n int) {
	w.t.Helper()
	values := fmt.Sprintf("apisix: {nginx: {workerProcesses: %d}}\n", n)
	vars := "gatewayValues: [lab/values-apisix.yaml, lab/values-workers.yaml]\n"
	for name, text := range map[string]string{"plans/lab/values-workers.yaml": values, "plans/workers.yaml": vars} {
		if err := os.WriteFile(filepath.Join(w.work, name), []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	must(w.t, fmt.Sprintf("a gateway with %d workers", n),
		w.do(nil, "run", planFile, "--only", "apisix", "--var-file", "plans/workers.yaml"), 0)
	w.look()
	must(w.t, "the gateway with them", w.prove(""), 0)
}

// attempts returns how many handshakes the clients of a proof made.
func (o *outcome) attempts() int {
	counted := regexp.MustCompile(`^\d+ of (\d+)$`)
	for _, e := range o.events {
		if (e.Action == engine.ActionFinding || e.Action == engine.ActionViolated) && strings.HasPrefix(e.Path, "no probe fails") {
			if m := counted.FindStringSubmatch(fmt.Sprint(e.Have)); m != nil {
				n := 0
				_, _ = fmt.Sscan(m[1], &n)
				return n
			}
		}
	}
	return 0
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// TestProof is `make proof`: 2, 4 and 8 workers, ZTPLAN_PROOFS runs each (default 50).
// make test has one worker that is stale (TestRotations/gateway-bugs) and one that is late
// (TestRotations/servers/gateways), with the number of workers that the plan has.
func TestProof(t *testing.T) {
	if !full() {
		t.Skip("make proof counts verdicts; TestRotations has a gateway with each of the faults")
	}
	runs := 50
	if s := os.Getenv("ZTPLAN_PROOFS"); s != "" {
		var err error
		if runs, err = strconv.Atoi(s); err != nil {
			t.Fatalf("ZTPLAN_PROOFS: %v", err)
		}
	}
	began := time.Now()
	w := newWorld(t)
	must(t, "the whole plan", w.run(), 0)
	w.look()
	w.proofs(t, []int{2, 4, 8}, runs)
	t.Logf("done in %.0f s: no false verdict", time.Since(began).Seconds())
}
