package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// copyPlan puts the plan of the guide into the working directory, with the keys of Vault
// in a Secret of each cluster: a file would end with the pod.
func (w *world) copyPlan() {
	w.t.Helper()
	if err := os.CopyFS(w.work, os.DirFS("../../../../plans")); err != nil {
		w.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(w.work, "lab.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	const file, secret = "keys: {file: vault-cluster-keys.json}", "keys: {secret: {namespace: vault, name: ztplan-keys}}"
	if n := strings.Count(string(text), file); n != 2 {
		w.t.Fatalf("plans/lab.yaml names its key file %d times", n)
	}
	w.write("site.yaml", strings.NewReplacer(file, secret, "name: lab\n", "name: lab-${vars.cluster}\n", "vars:\n", "vars:\n  cluster: none\n").Replace(string(text)))
}

// mirrors returns the key mirrors of a fleet: the charts that the first member serves.
func (w *world) mirrors() string {
	var b strings.Builder
	b.WriteString("mirrors:\n")
	for from, to := range w.members[0].mirrors {
		fmt.Fprintf(&b, "  %q: %q\n", from, to)
	}
	return b.String()
}

// waitFor waits until a pod of a cluster's round runs.
func (w *world) waitFor(what string, cond func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !cond() {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not within two minutes", what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// The guide's whole plan with its rotation proof on each member, in waves: a member that
// grants nothing fails, the one after it is held; a stop lets the one that runs finish;
// resumptions run the clusters that are owed.
func TestRotations(t *testing.T) {
	if !full() {
		t.Skip("the whole plan on three members: make fleet")
	}
	w := newWorld(t, 3)
	w.copyPlan()
	file := w.fleetFile(w.mirrors() + twoWaves)
	step := func(code int, args ...string) outcome {
		began := time.Now()
		o := w.do(code, args...)
		t.Logf("$ ztplan %s   (exit %d, %.1f s)\n%s", strings.Join(args, " "), code, time.Since(began).Seconds(), o.out)
		return o
	}
	rights := w.members[1].client.RbacV1().ClusterRoleBindings()
	binding, err := rights.Get(t.Context(), w.fleet, metav1.GetOptions{})
	if err == nil {
		err = rights.Delete(t.Context(), w.fleet, metav1.DeleteOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}

	o := step(1, "fleet", "run", file, "--report", "report")
	if !strings.Contains(o.out, "1 proved, 1 failed, 1 held") {
		t.Errorf("%v", o)
	}
	binding.ResourceVersion, binding.UID = "", ""
	if _, err := rights.Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	t.Logf("$ ztplan fleet resume, and ztplan fleet stop as soon as a pod runs")
	_, resumed := w.start("fleet", "resume", file, "--report", "report")
	w.waitFor("a pod of the resumption", func() bool {
		for _, p := range w.pods("ztplan.dev/object=pod,ztplan.dev/round=1") {
			if p.Status.Phase == corev1.PodRunning && w.members[1].touched(t) > 0 {
				return true
			}
		}
		return false
	})
	step(0, "fleet", "stop", file, "--reason", "change freeze")
	o = <-resumed
	t.Logf("exit %d\n%s", o.code, o.out)
	if o.code != 1 || !strings.Contains(o.out, "2 proved, 1 held") {
		t.Errorf("%v", o)
	}
	if n := w.members[2].touched(t); n != 0 {
		t.Errorf("the cluster that was held got %d requests", n)
	}

	o = step(0, "fleet", "resume", file, "--report", "report")
	if !strings.Contains(o.out, "1 cluster of 3") || !strings.Contains(o.out, "proved: 3 proved") {
		t.Errorf("%v", o)
	}
	step(0, "fleet", "status", file)
	step(0, "fleet", "verify", "report", "--deep")
	t.Logf("PASS: 3 clusters proved in 3 rounds; held clusters got no request")
}
