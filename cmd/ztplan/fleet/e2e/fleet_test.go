package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/session/lease"
)

// sitePlan writes one object into a namespace that has to be there. It has another name in
// each cluster.
const sitePlan = `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: "site-${vars.cluster}"}
vars: {domain: {type: string, required: true}, cluster: {default: none}}
steps:
  - id: site
    uses: applyManifest
    retry: {attempts: 1}
    with:
      manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: site, namespace: apps}, data: {domain: "${vars.domain}"}}]
`

// fleetFile returns a fleet of the members: a canary and the rest, one after the other.
func (w *world) fleetFile(more string) string {
	var clusters strings.Builder
	for i, m := range w.members {
		ring := "1"
		if i == 0 {
			ring = "0"
		}
		fmt.Fprintf(&clusters, "    - {name: %s, file: %s, labels: {ring: %q}, properties: {domain: %s.example}}\n", name(i), m.kubeconfig, ring, name(i))
	}
	return w.write("fleet.yaml", fmt.Sprintf(`apiVersion: ztplan.dev/v1
kind: Fleet
metadata: {name: %s}
plan: site.yaml
hub: {kubeconfig: %s, namespace: %s}
image: ghcr.io/ztplan/ztplan:devel
clusters:
  kubeconfigs:
%saccess: {keyless: {audience: "${cluster.name}"}}
vars: {domain: "${cluster.properties.domain}", cluster: "${cluster.name}"}
retries: 0
%s`, w.fleet, w.hub.kubeconfig, namespace, clusters.String(), more))
}

const twoWaves = `waves:
  - {name: canary, select: {ring: "0"}, parallel: 1, soak: 1s}
  - {name: rest, parallel: 1}
`

// makeNamespace makes the namespace without which the plan fails on a member.
func (w *world) makeNamespace(i int) {
	w.t.Helper()
	_, err := w.members[i].client.CoreV1().Namespaces().Create(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "apps"}}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) pods(selector string) []corev1.Pod {
	w.t.Helper()
	list, err := w.hub.client.CoreV1().Pods(namespace).List(w.t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

func (w *world) domain(i int) string {
	cm, err := w.members[i].client.CoreV1().ConfigMaps("apps").Get(w.t.Context(), "site", metav1.GetOptions{})
	if err != nil {
		return ""
	}
	return cm.Data["domain"]
}

// named checks that the plan has a name of its own in each cluster: that of the lock and of
// the evidence there. Objects on the hub bear the name of the fleet.
func (w *world) named(t *testing.T, file string) {
	t.Helper()
	if o := w.do(0, "fleet", "validate", file); !strings.Contains(o.out, "plan site-member-0 and 2 more names with 1 step") {
		t.Errorf("%v", o)
	}
	for i, m := range w.members {
		own := "site-" + name(i)
		var doc evidence.Document
		text, err := os.ReadFile(filepath.Join(w.work, "report", "clusters", name(i), "evidence.json"))
		if err == nil {
			err = json.Unmarshal(text, &doc)
		}
		if err != nil || doc.Plan.Name != own {
			t.Errorf("the evidence of %s is of plan %q: %v", name(i), doc.Plan.Name, err)
		}
		if _, err := m.client.CoordinationV1().Leases(lease.DefaultNamespace).Get(t.Context(), "ztplan-"+own, metav1.GetOptions{}); err != nil {
			t.Errorf("the lock of %s: %v", name(i), err)
		}
	}
}

// A fleet in two waves: one cluster fails, the one after it is held and not touched, and a
// resumption takes up these two only. Nothing is stored that opens a cluster.
func (w *world) waves(t *testing.T) {
	file := w.fleetFile(twoWaves)
	w.makeNamespace(0)
	w.makeNamespace(2)

	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := w.write("elsewhere.yaml", strings.ReplaceAll(string(text), "namespace: "+namespace+"}", "namespace: missing}"))
	if o := w.do(1, "fleet", "run", elsewhere); !strings.Contains(o.errors, "hint: make the namespace of the fleet: kubectl create namespace missing") {
		t.Errorf("%v", o)
	}

	o := w.do(1, "fleet", "run", file, "--report", "report")
	for _, want := range []string{"wave rest: 1 of 2 clusters failed, and 0 may", "failed: member-1: step site:", "stopped: 1 converged, 1 failed, 1 held"} {
		if !strings.Contains(o.out, want) {
			t.Errorf("no %q in\n%v", want, o)
		}
	}
	if got := []string{w.domain(0), w.domain(1), w.domain(2)}; got[0] != "member-0.example" || got[1] != "" || got[2] != "" {
		t.Errorf("the clusters have %q", got)
	}
	if n := w.members[2].touched(t); n != 0 {
		t.Errorf("the cluster that was held got %d requests", n)
	}
	w.do(0, "fleet", "verify", "report", "--deep")
	secrets, err := w.hub.client.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(secrets.Items) != 0 {
		t.Errorf("%d Secrets on the hub, %v", len(secrets.Items), err)
	}

	config, err := os.ReadFile(w.members[1].kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	put := func(text []byte) {
		if err := os.WriteFile(w.members[1].kubeconfig, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put([]byte(strings.ReplaceAll(string(config), w.members[1].server, "https://127.0.0.1:1")))
	if o := w.do(1, "fleet", "resume", file); !strings.Contains(o.errors, "member-1 was "+w.members[1].server+" and is https://127.0.0.1:1") {
		t.Errorf("%v", o)
	}
	put(config)

	w.makeNamespace(1)
	before := w.members[0].touched(t)
	o = w.do(0, "fleet", "resume", file, "--report", "report")
	if !strings.Contains(o.out, "2 clusters of 3") || !strings.Contains(o.out, "converged: 3 converged") {
		t.Errorf("%v", o)
	}
	for i := range w.members {
		if got := w.domain(i); got != name(i)+".example" {
			t.Errorf("%s has %q", name(i), got)
		}
	}
	if after := w.members[0].touched(t); after != before {
		t.Errorf("the resumption touched a cluster that was settled: %d requests", after-before)
	}
	w.do(0, "fleet", "verify", "report", "--deep")
	w.do(0, "fleet", "verify", "report", "--cluster", "member-1")
	w.do(0, "fleet", "status", file)
	w.do(1, "fleet", "resume", file)
	w.named(t, file)

	// A cluster has at most one pod at a time, and each try its own evidence.
	tries := make(map[string]int)
	for _, p := range w.pods("ztplan.dev/object=pod") {
		tries[p.Labels[batchv1.JobNameLabel]]++
	}
	if len(tries) != 3 {
		t.Errorf("pods by Job: %v", tries)
	}
}

// One hub with three members has fleets of every form, one after the other, and then some
// that meet faults. The first makes the namespaces of its plan.
func TestFleet(t *testing.T) {
	w := newWorld(t, 3)
	w.write("site.yaml", sitePlan)
	if !t.Run("waves", func(t *testing.T) { w.with(t, "waves", 3).waves(t) }) {
		t.FailNow()
	}
	t.Run("registry", func(t *testing.T) { w.with(t, "registry", 2).registry() })
	t.Run("driver", func(t *testing.T) { w.with(t, "driver", 2).driver() })
	t.Run("pull", func(t *testing.T) { w.with(t, "pull", 2).pull() })
	t.Run("profiles", func(t *testing.T) { w.with(t, "profiles", 2).profiles(t) })
	w.faults(t, func(f fault) bool { return f.quick })
}
