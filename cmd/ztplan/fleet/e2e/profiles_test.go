package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// inventory is the namespace of the hub that holds the ClusterProfiles.
const inventory = "inventory"

// A profile is a ClusterProfile of the hub.
type profile struct {
	name      string
	labels    map[string]string
	server    string
	ca        string
	insecure  bool
	unhealthy string
}

// inventoryClient installs the API of ClusterProfiles on the hub and returns a client for
// them.
func (w *world) inventoryClient() dynamic.ResourceInterface {
	w.t.Helper()
	ctx := w.t.Context()
	config, err := clientcmd.BuildConfigFromFlags("", w.hub.kubeconfig)
	if err != nil {
		w.t.Fatal(err)
	}
	config.QPS, config.Burst = 500, 500
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("testdata", "clusterprofiles.yaml"))
	crd := new(unstructured.Unstructured)
	if err == nil {
		err = yaml.Unmarshal(text, &crd.Object)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	crds := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if _, err := crds.Create(ctx, crd, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.hub.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: inventory}}, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	watch, err := crds.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + crd.GetName()})
	if err != nil {
		w.t.Fatal(err)
	}
	defer watch.Stop()
	for e := range watch.ResultChan() {
		if now, ok := e.Object.(*unstructured.Unstructured); ok && established(now) {
			break
		}
	}
	api := client.Resource(schema.GroupVersionResource{Group: "multicluster.x-k8s.io", Version: "v1alpha1", Resource: "clusterprofiles"}).Namespace(inventory)
	w.waitFor("ClusterProfiles to be served", func() bool { // a moment after they are established
		_, err := api.List(ctx, metav1.ListOptions{})
		return err == nil
	})
	return api
}

func established(crd *unstructured.Unstructured) bool {
	list, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	for _, c := range list {
		if m, ok := c.(map[string]any); ok && m["type"] == "Established" && m["status"] == "True" {
			return true
		}
	}
	return false
}

// addProfile makes a ClusterProfile and, as the cluster's manager does, its status.
func addProfile(ctx context.Context, api dynamic.ResourceInterface, p profile) error {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ClusterProfile",
		"metadata": map[string]any{"name": p.name},
		"spec":     map[string]any{"clusterManager": map[string]any{"name": "test"}},
	}}
	u.SetLabels(p.labels)
	made, err := api.Create(ctx, u, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	healthy := map[string]any{"type": "ControlPlaneHealthy", "status": "True", "reason": "Healthy", "message": "", "lastTransitionTime": "2026-01-02T03:04:05Z"}
	if p.unhealthy != "" {
		healthy["status"], healthy["reason"], healthy["message"] = "False", "Unhealthy", p.unhealthy
	}
	cluster := map[string]any{"server": p.server}
	if p.insecure {
		cluster["insecure-skip-tls-verify"] = true
	}
	if p.ca != "" {
		cluster["certificate-authority-data"] = []byte(p.ca)
	}
	status, err := json.Marshal(map[string]any{
		"conditions":      []any{healthy},
		"properties":      []any{map[string]any{"name": "domain", "value": p.name + ".example"}},
		"accessProviders": []any{map[string]any{"name": "test", "cluster": cluster}},
	})
	if err != nil {
		return err
	}
	var into map[string]any
	if err := json.Unmarshal(status, &into); err != nil {
		return err
	}
	made.Object["status"] = into
	_, err = api.UpdateStatus(ctx, made, metav1.UpdateOptions{})
	return err
}

func (w *world) addProfile(api dynamic.ResourceInterface, p profile) {
	w.t.Helper()
	if err := addProfile(w.t.Context(), api, p); err != nil {
		w.t.Fatal(err)
	}
}

// profileFleet writes a fleet of the ClusterProfiles of env prod.
func (w *world) profileFleet(profiles, access string) string {
	w.t.Helper()
	return w.write("fleet.yaml", fmt.Sprintf(`apiVersion: ztplan.dev/v1
kind: Fleet
metadata: {name: %s}
plan: site.yaml
hub: {kubeconfig: %s, namespace: %s}
image: ghcr.io/ztplan/ztplan:devel
clusters: {profiles: {namespace: %s, selector: {env: prod}%s}}
access: %s
vars: {domain: "${cluster.properties.domain}"}
retries: 0
waves: [{name: all}]
`, w.fleet, w.hub.kubeconfig, namespace, inventory, profiles, access))
}

const keyless = `{keyless: {audience: "${cluster.name}"}}`

// A fleet of ClusterProfiles: those that the selector selects and that are healthy, with
// their properties, without a kubeconfig and with an access provider.
func (w *world) profiles(t *testing.T) {
	o := w.do(1, "fleet", "validate", w.profileFleet("", keyless))
	if !strings.Contains(o.errors, "the hub has no ClusterProfiles") {
		t.Errorf("without the API: %v", o)
	}
	api := w.inventoryClient()
	o = w.do(3, "fleet", "validate", w.profileFleet("", keyless))
	if !strings.Contains(o.errors, "no ClusterProfile is selected") || !strings.Contains(o.errors, "1 problem; nothing but the hub was contacted") {
		t.Errorf("without ClusterProfiles: %v", o)
	}
	prod := map[string]string{"env": "prod"}
	for i, m := range w.members {
		w.addProfile(api, profile{name: name(i), labels: prod, server: m.server, ca: m.ca})
	}
	w.addProfile(api, profile{name: "other", labels: map[string]string{"env": "dev"}, server: "https://other.example", insecure: true})
	w.addProfile(api, profile{name: "broken", labels: prod, server: "https://broken.example", unhealthy: "etcd has no leader"})

	o = w.do(3, "fleet", "run", w.profileFleet("", keyless))
	if !strings.Contains(o.errors, "ClusterProfile broken is not healthy: etcd has no leader") {
		t.Errorf("with an unhealthy cluster: %v", o)
	}
	o = w.do(0, "fleet", "run", w.profileFleet(", unhealthy: skip", keyless))
	if !strings.Contains(o.errors, "1 cluster left out as not healthy: broken") {
		t.Errorf("the cluster that is left out is not named: %v", o)
	}
	for i := range w.members {
		if got := w.domain(i); got != name(i)+".example" {
			t.Errorf("%s has %q", name(i), got)
		}
	}

	w.loginProviders()
	providers := w.profileFleet(", unhealthy: skip", "{providers: {file: providers.json}}")
	o = w.do(0, "fleet", "run", providers)
	if !strings.Contains(o.out, "2 converged") {
		t.Errorf("with an access provider: %v", o)
	}
	w.addProfile(api, profile{name: "insecure", labels: prod, server: "https://insecure.example", insecure: true})
	o = w.do(3, "fleet", "run", providers)
	if !strings.Contains(o.errors, "ClusterProfile insecure: access provider test: insecure-skip-tls-verify: TLS is always verified") {
		t.Errorf("without TLS: %v", o)
	}
}

// loginProviders writes providers.json with a command that prints the client certificate of
// the member whose API server it is given.
func (w *world) loginProviders() {
	w.t.Helper()
	var script strings.Builder
	script.WriteString("#!/bin/sh\ncase \"$KUBERNETES_EXEC_INFO\" in\n")
	for _, m := range w.members {
		config, err := clientcmd.BuildConfigFromFlags("", m.kubeconfig)
		if err != nil {
			w.t.Fatal(err)
		}
		credential, err := json.Marshal(map[string]any{
			"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
			"status": map[string]any{"clientCertificateData": string(config.CertData), "clientKeyData": string(config.KeyData), "token": config.BearerToken},
		})
		if err != nil {
			w.t.Fatal(err)
		}
		fmt.Fprintf(&script, "*'%s'*) cat <<'END'\n%s\nEND\n;;\n", m.server, credential)
	}
	script.WriteString("esac\n")
	command := w.write("login.sh", script.String())
	if err := os.Chmod(command, 0o700); err != nil {
		w.t.Fatal(err)
	}
	w.write("providers.json", fmt.Sprintf(`{"providers": [{"name": "test", "execConfig": {"apiVersion": "client.authentication.k8s.io/v1", "command": %q, "provideClusterInfo": true}}]}`, command))
}

// How long it takes to read and check a fleet of 1,000 ClusterProfiles, each with variables
// of its own.
func TestBenchProfiles(t *testing.T) {
	if !full() {
		t.Skip("1,000 ClusterProfiles: make fleet-bench")
	}
	const clusters = 1000
	w := newWorld(t, 0)
	w.write("site.yaml", sitePlan)
	api := w.inventoryClient()
	prod := map[string]string{"env": "prod"}
	var next atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := next.Add(1); i <= clusters; i = next.Add(1) {
				if err := addProfile(t.Context(), api, profile{name: fmt.Sprintf("c%d", i), labels: prod, server: w.hub.server, ca: w.hub.ca}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	w.profileFleet("", keyless+"\nmode: status")
	wall, memory := w.measured("fleet", "validate", "fleet.yaml")
	t.Logf("%d ClusterProfiles read and checked in %.2f s (%.1f ms each), %.0f MB", clusters, wall.Seconds(), 1000*wall.Seconds()/clusters, float64(memory)/1e6)
}
