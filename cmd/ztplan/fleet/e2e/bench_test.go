package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
)

const (
	benchClusters = 200
	benchParallel = 20
	benchTime     = 15 * time.Second // of one cluster's run, most of it waiting
)

// slowSite is a server that answers after half of benchTime, and its certificate: a
// request of curlTLS may take ten seconds.
func slowSite(t testing.TB) (address, trust string) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(benchTime / 2)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
	}))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

// benchFleet writes a fleet of n clusters whose plan waits for the slow site, and contacts
// no cluster.
func (w *world) benchFleet(fleet string, n int, address, trust string) string {
	w.t.Helper()
	plan := "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: site}\nsteps:\n"
	for _, id := range []string{"first", "second"} {
		plan += fmt.Sprintf(`  - id: %s
    uses: curlTLS%s
    with:
      url: https://example.com/
      address: %s
      trust: |
        %s
`, id, map[string]string{"second": "\n    needs: [first]"}[id], address, strings.ReplaceAll(strings.TrimSpace(trust), "\n", "\n        "))
	}
	w.write("site.yaml", plan)
	var list strings.Builder
	for i := range n {
		config := w.write(fmt.Sprintf("k%d", i), fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
"clusters":[{"name":"c","cluster":{"server":"https://c%d.example:6443"}}],"users":[{"name":"u","user":{}}]}`, i))
		fmt.Fprintf(&list, "- {name: c%03d, file: %s}\n", i, config)
	}
	w.write("clusters.yaml", list.String())
	return w.write(fleet+".yaml", fmt.Sprintf(`apiVersion: ztplan.dev/v1
kind: Fleet
metadata: {name: %s}
plan: site.yaml
hub: {kubeconfig: %s, namespace: %s}
image: ghcr.io/ztplan/ztplan:devel
clusters: {file: clusters.yaml}
access: {keyless: {audience: "${cluster.name}"}}
waves: [{name: all, parallel: %d}]
`, fleet, w.hub.kubeconfig, namespace, benchParallel))
}

// measured runs a command to its end and returns how long it took and the most memory that it
// had, in bytes.
func (w *world) measured(args ...string) (time.Duration, int64) {
	w.t.Helper()
	cmd := exec.Command(w.ztplan, args...)
	cmd.Dir, cmd.Env = w.work, []string{"HOME=" + w.work, "NO_COLOR=1"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Run(); err != nil {
		w.t.Fatalf("ztplan %s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return time.Since(began), int64(usage.Maxrss) << 10
}

// The fleet's own part of the time, its requests to the hub, and the driver's memory. Each
// is a ratio or a count; limits depend on the machine only where noted.
func TestBench(t *testing.T) {
	if !full() {
		t.Skip("200 clusters: make fleet-bench")
	}
	w := newWorld(t, 0)
	address, trust := slowSite(t)
	_, few := w.measured("fleet", "run", w.benchFleet("few", 20, address, trust))
	requests := w.hub.requests(t, "system:serviceaccount:"+namespace)
	wall, most := w.measured("fleet", "run", w.benchFleet("many", benchClusters, address, trust))
	requests = w.hub.requests(t, "system:serviceaccount:"+namespace) - requests

	var sum time.Duration
	var gaps []time.Duration
	for _, p := range w.pods("ztplan.dev/object=pod,ztplan.dev/fleet=many") {
		for _, s := range p.Status.ContainerStatuses {
			if end := s.State.Terminated; s.Name == objects.Container && end != nil {
				sum += end.FinishedAt.Sub(end.StartedAt.Time)
				gaps = append(gaps, end.StartedAt.Sub(p.CreationTimestamp.Time))
			}
		}
	}
	slices.Sort(gaps)
	ideal := benchClusters * benchTime / benchParallel
	t.Logf("%d clusters of %v, %d at once, on %d processors", benchClusters, benchTime, benchParallel, runtime.GOMAXPROCS(0))
	t.Logf("wall %.1f s; %.1f s if nothing but waiting took time: overhead %.1f %%", wall.Seconds(), ideal.Seconds(), 100*(wall.Seconds()/ideal.Seconds()-1))
	t.Logf("of the pods' own time (%.1f s for each, of %d slots): overhead %.1f %%", sum.Seconds()/benchClusters, benchParallel, 100*(wall.Seconds()/(sum.Seconds()/benchParallel)-1))
	t.Logf("from a pod's creation to its start: median %v", gaps[len(gaps)/2])
	predicted := predict(requestLimits{QPS: 300, Burst: 600}, waveLoad{ // as the lab's controller manager has them
		Clusters: benchClusters, Parallel: benchParallel, Run: sum / benchClusters, Start: gaps[len(gaps)/2],
	})
	t.Logf("the model predicts %.1f s for these pods; measured/predicted %.2f", predicted.Wall.Seconds(), wall.Seconds()/predicted.Wall.Seconds())
	t.Logf("requests of the pods to the hub: %.2f for each cluster (about 5)", float64(requests)/benchClusters)
	t.Logf("memory of the driver: %.0f MB with 20 clusters, %.0f MB with %d: ratio %.2f", float64(few)/1e6, float64(most)/1e6, benchClusters, float64(most)/float64(few))
	predictions(t)
}

// predictions prints the predictions for sizes that are not measured.
func predictions(t *testing.T) {
	const parallel = 500 // on each hub
	t.Logf("predicted for runs of 60 s, %d at once on each hub, 2 s from a pod's creation to its start:", parallel)
	for _, clusters := range []int{1_000, 10_000, 100_000} {
		for _, hubs := range []int{1, 4, 10} {
			line := fmt.Sprintf("  %6d clusters on %2d hubs:", clusters, hubs)
			for _, limits := range []requestLimits{defaultLimits(), {QPS: 100, Burst: 200}} {
				p := predict(limits, waveLoad{Clusters: clusters / hubs, Parallel: parallel, Run: time.Minute, Start: 2 * time.Second})
				line += fmt.Sprintf("  %v (%.0f %% overhead) with %.0f requests a second", p.Wall.Round(time.Second), 100*p.overhead(), limits.QPS)
			}
			t.Log(line)
		}
	}
}
