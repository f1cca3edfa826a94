package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// A trial is a fleet of the world's members with a name of its own. Its plan writes to the
// member, asks the gate, and writes again.
type trial struct {
	*world
	gate    *gate
	witness *witness
	file    string
	toll    toll
}

// A toll counts events that must never happen.
type toll struct {
	twice, lost, retouched, unheld int
}

func (c toll) String() string {
	return fmt.Sprintf("clusters run twice at once %d, evidence lost %d, settled clusters touched again %d, stop rules broken %d", c.twice, c.lost, c.retouched, c.unheld)
}

// A setting changes the beginning of a trial.
type setting struct {
	waves   string // the key waves
	retries int
	access  string         // the key access
	server  map[int]string // kubeconfigs of members instead of their own
}

const onlyAll = "waves: [{name: all, parallel: 1}]\n"

func (w *world) trial(t testing.TB, g *gate, fleet string, s setting) *trial {
	tr := &trial{world: w.with(t, fleet, len(w.members)), gate: g, witness: watchPods(t, w.hub.client, fleet)}
	tr.write(fleet+"-plan.yaml", fmt.Sprintf(`apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: %[1]s}
vars: {member: {type: string, required: true}}
steps:
  - id: before
    uses: applyManifest
    with:
      createNamespace: true
      namespace: %[1]s
      manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: before, namespace: %[1]s}, data: {member: "${vars.member}"}}]
  - id: gate
    uses: curlTLS
    needs: [before]
    timeout: 10m
    retry: {attempts: 0, delay: 300ms, backoff: 1}
    with: {url: "https://example.com/%[1]s/${vars.member}/held", address: "%[2]s", trust: "%[3]s"}
  - id: site
    uses: curlTLS
    needs: [gate]
    retry: {attempts: 1}
    with: {url: "https://example.com/%[1]s/${vars.member}", address: "%[2]s", trust: "%[3]s"}
  - id: after
    uses: applyManifest
    needs: [site]
    with:
      manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: after, namespace: %[1]s}, data: {member: "${vars.member}"}}]
`, fleet, g.address, strings.ReplaceAll(g.trust, "\n", `\n`)))
	var clusters strings.Builder
	for i, m := range w.members {
		config := m.kubeconfig
		if other, ok := s.server[i]; ok {
			config = other
		}
		fmt.Fprintf(&clusters, "    - {name: %s, file: %s, labels: {ring: %q}}\n", name(i), config, strconv.Itoa(min(i, 1)))
	}
	if s.access == "" {
		s.access = `access: {keyless: {audience: "${cluster.name}"}}`
	}
	if s.waves == "" {
		s.waves = twoWaves
	}
	tr.file = tr.write(fleet+".yaml", fmt.Sprintf(`apiVersion: ztplan.dev/v1
kind: Fleet
metadata: {name: %[1]s}
plan: %[1]s-plan.yaml
hub: {kubeconfig: %s, namespace: %s}
image: ghcr.io/ztplan/ztplan:devel
clusters:
  kubeconfigs:
%s%s
vars: {member: "${cluster.name}"}
retries: %d
%s`, fleet, w.hub.kubeconfig, namespace, clusters.String(), s.access, s.retries, s.waves))
	return tr
}

func (tr *trial) path(i int) string { return "/" + tr.fleet + "/" + name(i) }

// pass lets the runs of clusters go on, now and later.
func (tr *trial) pass(members ...int) {
	for _, i := range members {
		tr.gate.answer(tr.path(i), true)
	}
}

// fail lets the runs of clusters fail, now and later.
func (tr *trial) fail(members ...int) {
	for _, i := range members {
		tr.gate.answer(tr.path(i), false)
	}
}

// arrive waits until the n-th pod of a cluster is held by the gate.
func (tr *trial) arrive(i, n int) {
	tr.t.Helper()
	tr.waitFor(fmt.Sprintf("pod %d of %s", n, name(i)), func() bool {
		pods := tr.tries()[name(i)]
		slices.SortFunc(pods, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
		if len(pods) < n || len(pods[n-1].Status.ContainerStatuses) == 0 {
			return false
		}
		r := pods[n-1].Status.ContainerStatuses[0].State.Running
		return r != nil && tr.gate.heldSince(tr.path(i), r.StartedAt.Add(time.Second))
	})
}

// touches returns how many requests of the fleet's pods a member has seen.
func (tr *trial) touches(i int) int {
	n := 0
	for _, wave := range []string{"canary", "rest", "all"} {
		n += tr.members[i].requests(tr.t, tr.user(wave)+`"`)
	}
	return n
}

// untouched counts members that were held and saw a request.
func (tr *trial) untouched(members ...int) {
	tr.t.Helper()
	for _, i := range members {
		if n := tr.touches(i); n != 0 {
			tr.toll.unheld++
			tr.t.Errorf("%s was held, and got %d requests", name(i), n)
		}
	}
}

// resume resumes the fleet, which must end well, without a request to the members that are
// settled.
func (tr *trial) resume(code int, settled ...int) outcome {
	tr.t.Helper()
	before := make([]int, len(tr.members))
	for _, i := range settled {
		before[i] = tr.touches(i)
	}
	o := tr.do(code, "fleet", "resume", tr.file)
	for _, i := range settled {
		if n := tr.touches(i) - before[i]; n != 0 {
			tr.toll.retouched++
			tr.t.Errorf("%s was settled, and got %d requests", name(i), n)
		}
	}
	return o
}

// has fails the test unless a command printed all of these.
func (tr *trial) has(o outcome, texts ...string) {
	tr.t.Helper()
	for _, text := range texts {
		if !strings.Contains(o.out+o.errors, text) {
			tr.t.Errorf("no %q in\n%v", text, o)
		}
	}
}

// members of the fleet by Job and index.
func (tr *trial) entries() map[string]string {
	tr.t.Helper()
	list, err := tr.hub.client.CoreV1().ConfigMaps(namespace).List(tr.t.Context(), metav1.ListOptions{LabelSelector: record.LabelFleet + "=" + tr.fleet + "," + record.LabelKind + "=clusters"})
	if err != nil {
		tr.t.Fatal(err)
	}
	out := make(map[string]string)
	for _, cm := range list.Items {
		job := cm.Name[:strings.LastIndex(cm.Name, "-")]
		for index, text := range cm.Data {
			e, err := record.Parse[record.Entry]([]byte(text))
			if err != nil {
				tr.t.Fatal(err)
			}
			out[job+"/"+index] = e.Name
		}
	}
	return out
}

// tries returns the pods of each cluster.
func (tr *trial) tries() map[string][]corev1.Pod {
	tr.t.Helper()
	entries, out := tr.entries(), make(map[string][]corev1.Pod)
	for _, p := range tr.pods(record.LabelFleet + "=" + tr.fleet + "," + record.LabelKind + "=pod") {
		name := entries[p.Labels[batchv1.JobNameLabel]+"/"+p.Annotations[batchv1.JobCompletionIndexAnnotation]]
		out[name] = append(out[name], p)
	}
	return out
}

// running returns the pod of a cluster that runs.
func (tr *trial) running(i int) corev1.Pod {
	tr.t.Helper()
	for _, p := range tr.tries()[name(i)] {
		if p.Status.Phase == corev1.PodRunning {
			return p
		}
	}
	tr.t.Fatalf("no pod of %s runs", name(i))
	return corev1.Pod{}
}

func (tr *trial) jobs() []batchv1.Job {
	tr.t.Helper()
	list, err := tr.hub.client.BatchV1().Jobs(namespace).List(tr.t.Context(), metav1.ListOptions{LabelSelector: record.LabelFleet + "=" + tr.fleet})
	if err != nil {
		tr.t.Fatal(err)
	}
	return list.Items
}

// process returns the process of a pod's program.
func (tr *trial) process(p corev1.Pod) int {
	tr.t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		tr.t.Fatal(err)
	}
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && tr.environment(pid, "ZTPLAN_POD_NAME") == p.Name {
			return pid
		}
	}
	tr.t.Fatalf("pod %s has no process", p.Name)
	return 0
}

// environment returns a variable of a process.
func (tr *trial) environment(pid int, name string) string {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return "" // it has ended
	}
	for v := range strings.SplitSeq(string(data), "\x00") {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// kill ends the program of a pod with a signal.
func (tr *trial) kill(p corev1.Pod, sig syscall.Signal) {
	tr.t.Helper()
	if err := syscall.Kill(tr.process(p), sig); err != nil {
		tr.t.Fatal(err)
	}
}

// killDriver ends a driver with SIGKILL and waits for its end.
func killDriver(cmd *exec.Cmd, done <-chan outcome) {
	_ = cmd.Process.Kill()
	<-done
}

// leaves returns the clusters as ztplan fleet status has them.
func (tr *trial) leaves() map[string]ledger.Leaf {
	tr.t.Helper()
	_, done := tr.start("fleet", "status", tr.file, "--output", "json")
	o := <-done
	var status struct {
		Leaves []ledger.Leaf `json:"leaves"`
	}
	if err := json.Unmarshal([]byte(o.out), &status); err != nil {
		tr.t.Fatalf("%v: %v", err, o)
	}
	out := make(map[string]ledger.Leaf)
	for _, l := range status.Leaves {
		out[l.Cluster] = l
	}
	return out
}

// count adds the faults that the objects of the hub show to the toll: pods of one cluster
// that ran at the same time, and clusters that a Job settled whose evidence is not there.
func (tr *trial) count() {
	tr.t.Helper()
	tr.countTwice()
	jobs := tr.jobs()
	if len(jobs) == 0 {
		return // nothing was made
	}
	leaves, entries := tr.leaves(), tr.entries()
	for _, j := range jobs {
		for key, cluster := range entries {
			index, ok := strings.CutPrefix(key, j.Name+"/")
			if !ok || !slices.Contains(completed(j), index) {
				continue
			}
			if l := leaves[cluster]; !l.Settled() || l.Verdict.Evidence == "" {
				tr.toll.lost++
				tr.t.Errorf("job %s settled %s, whose state is %s: %s", j.Name, cluster, l.State, l.Cause)
			}
		}
	}
}

// completed returns the completed indexes of a Job.
func completed(j batchv1.Job) []string {
	var out []string
	for part := range strings.SplitSeq(j.Status.CompletedIndexes, ",") {
		low, high, span := strings.Cut(part, "-")
		if !span {
			high = low
		}
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		for i := from; err1 == nil && err2 == nil && i <= to; i++ {
			out = append(out, strconv.Itoa(i))
		}
	}
	return out
}
