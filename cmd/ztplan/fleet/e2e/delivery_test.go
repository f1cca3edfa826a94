package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/member"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// guarded returns the host of the hub's OCI registry behind a password.
func (w *world) guarded(password string) (host string) {
	at, ok := strings.CutPrefix(w.hub.mirrors["oci://quay.io/jetstack/charts"], "oci://")
	if !ok {
		w.t.Fatalf("the lab has no registry: %v", w.hub.mirrors)
	}
	at, _, _ = strings.Cut(at, "/")
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: at})
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if _, have, _ := r.BasicAuth(); have != password {
			out.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			out.WriteHeader(http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(out, r)
	}))
	w.t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// The evidence in a registry.
func (w *world) registry() {
	t, ctx := w.t, w.t.Context()
	const password = "password-of-the-registry"
	host := w.guarded(password)
	credentials := func(password string) map[string][]byte {
		data, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"username": "fleet", "password": password}}})
		if err != nil {
			t.Fatal(err)
		}
		return map[string][]byte{corev1.DockerConfigJsonKey: data}
	}
	secrets := w.hub.client.CoreV1().Secrets(namespace)
	secret, err := secrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "registry"}, Type: corev1.SecretTypeDockerConfigJson, Data: credentials(password)}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	file := w.fleetFile(fmt.Sprintf("evidence: {to: oci, repository: %s/evidence/prod, secret: registry}\n", host))
	w.do(0, "fleet", "run", file, "--report", "registry")
	w.do(0, "fleet", "verify", "registry", "--deep")

	list, err := w.hub.client.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{LabelSelector: record.LabelFleet + "=" + w.fleet + ",ztplan.dev/object=evidence"})
	if err != nil || len(list.Items) != 2 {
		t.Fatalf("%d ConfigMaps of evidence, %v", len(list.Items), err)
	}
	for _, cm := range list.Items {
		if n := cm.Size(); n > 8<<10 || cm.BinaryData[member.KeyEvidence] != nil {
			t.Errorf("ConfigMap %s has %d bytes", cm.Name, n)
		}
		manifest := w.manifest(host, password, cm.Labels[record.LabelRun]+"-"+cm.Name)
		v := record.ParseVerdict(manifest.Annotations["dev.ztplan.verdict"])
		if manifest.ArtifactType != "application/vnd.ztplan.evidence.v1+json" || v == nil || !v.Settled() || len(manifest.Layers) != 1 {
			t.Errorf("artifact of %s: %+v", cm.Name, manifest)
		}
	}

	// Without the right password the cluster is not settled, and its verdict has the
	// reason.
	secret.Data = credentials("another")
	if _, err := secrets.Update(ctx, secret, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	o := w.do(1, "fleet", "run", file)
	if !strings.Contains(o.out, "the evidence is not kept: repository ") || !strings.Contains(o.out, "401: Unauthorized") || strings.Contains(o.String(), password) {
		t.Errorf("%v", o)
	}
}

type manifest struct {
	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations"`
	Layers       []json.RawMessage `json:"layers"`
}

func (w *world) manifest(host, password, tag string) manifest {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+host+"/v2/evidence/prod/manifests/"+tag, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.SetBasicAuth("fleet", password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var m manifest
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("tag %s: %s, %v", tag, resp.Status, err)
	}
	return m
}

// A fleet without a command line: its driver is a pod that is killed once. It has the
// rights of a driver, which cannot read the kubeconfigs and deletes them in the end.
func (w *world) driver() {
	t, ctx := w.t, w.t.Context()
	file := w.fleetFile(twoWaves)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w.write("fleet.yaml", strings.Replace(string(text), `access: {keyless: {audience: "${cluster.name}"}}`, "access: {secrets: {}}", 1))
	w.apply(w.hub, w.do(0, "fleet", "render", file, "--driver", "--secrets").out)

	jobs := w.hub.client.BatchV1().Jobs(namespace)
	job := func(selector string) batchv1.Job {
		list, err := jobs.List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil || len(list.Items) != 1 {
			t.Fatalf("%s: %d Jobs, %v", selector, len(list.Items), err)
		}
		return list.Items[0]
	}
	run := job("ztplan.dev/object=driver").Labels[record.LabelRun]
	canary := "ztplan.dev/object=job,ztplan.dev/wave=canary,ztplan.dev/run=" + run
	w.waitFor("the first wave is let go", func() bool { return !*job(canary).Spec.Suspend })
	w.killDriver()
	w.waitFor("the driver ends", func() bool { return jobOver(job("ztplan.dev/object=driver")) })
	if d := job("ztplan.dev/object=driver"); d.Status.Succeeded != 1 {
		t.Errorf("the driver: %+v", d.Status)
	}
	drivers := w.pods("ztplan.dev/object=driver")
	if n := len(drivers); n != 2 {
		t.Errorf("%d drivers", n)
	}
	for _, d := range drivers { // the second one sees that the first has ended
		log, err := w.hub.client.CoreV1().Pods(namespace).GetLogs(d.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
		if err != nil || strings.Contains(string(log), "is being run by") {
			t.Errorf("%s waited for a lock: %v\n%s", d.Name, err, log)
		}
	}
	if o := w.do(0, "fleet", "status", file); !strings.Contains(o.out, "run "+run) || !strings.Contains(o.out, "converged: 2 converged") {
		t.Errorf("%v", o)
	}
	left, err := w.hub.client.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{LabelSelector: "ztplan.dev/object=access"})
	if err != nil || len(left.Items) != 0 {
		t.Errorf("%d Secrets with kubeconfigs, %v", len(left.Items), err)
	}
	for _, forbidden := range []authorizationv1.ResourceAttributes{
		{Verb: "get", Resource: "secrets"}, {Verb: "list", Resource: "secrets"}, {Verb: "delete", Resource: "secrets"},
		{Verb: "create", Group: batchv1.GroupName, Resource: "jobs"}, {Verb: "create", Resource: "pods"}, {Verb: "create", Resource: "configmaps"},
		{Verb: "update", Group: coordinationv1.GroupName, Resource: "leases", Name: "another"}, {Verb: "create", Resource: "serviceaccounts", Subresource: "token"},
	} {
		forbidden.Namespace = namespace
		review, err := w.hub.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + namespace + ":" + w.fleet + ".driver", ResourceAttributes: &forbidden,
		}}, metav1.CreateOptions{})
		if err != nil || review.Status.Allowed {
			t.Errorf("the driver may %s %s: %v", forbidden.Verb, forbidden.Resource, err)
		}
	}
}

// killDriver kills the process of the driver's pod, with SIGKILL.
func (w *world) killDriver() {
	w.t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, file := range processes {
		data, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(data, []byte("\x00fleet\x00drive\x00")) || !bytes.Contains(data, []byte(w.hub.dir)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		return
	}
	w.t.Fatal("no driver runs")
}

func jobOver(job batchv1.Job) bool {
	for _, c := range job.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// Jobs that another tool delivers: each cluster runs its own, and keeps the evidence.
func (w *world) pull() {
	t, ctx := w.t, w.t.Context()
	file := w.write("pull.yaml", `apiVersion: ztplan.dev/v1
kind: Fleet
metadata: {name: pulled}
plan: site.yaml
image: ghcr.io/ztplan/ztplan:devel
pull: {namespace: ztplan, serviceAccount: runner}
clusters:
  kubeconfigs:
    - {name: member-0, properties: {domain: pulled-0.example}}
    - {name: member-1, properties: {domain: pulled-1.example}}
vars: {domain: "${cluster.properties.domain}"}
`)
	w.do(3, "fleet", "run", file)
	w.do(0, "fleet", "render", file, "--pull", "--out", "pulled")
	for i, m := range w.members {
		if err := allowRunner(ctx, m); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(w.work, "pulled", "all", name(i)+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		w.apply(m, string(text))
	}
	for i, m := range w.members {
		w.waitFor("the Job of "+name(i), func() bool {
			list, err := m.client.BatchV1().Jobs("ztplan").List(ctx, metav1.ListOptions{})
			return err == nil && len(list.Items) == 1 && jobOver(list.Items[0])
		})
		if got, want := w.domain(i), fmt.Sprintf("pulled-%d.example", i); got != want {
			t.Errorf("%s has %q", name(i), got)
		}
		list, err := m.client.CoreV1().ConfigMaps("ztplan").List(ctx, metav1.ListOptions{LabelSelector: "ztplan.dev/object=evidence"})
		if err != nil || len(list.Items) != 1 {
			t.Fatalf("%s has %d ConfigMaps of evidence, %v", name(i), len(list.Items), err)
		}
		z, err := gzip.NewReader(bytes.NewReader(list.Items[0].BinaryData[member.KeyEvidence]))
		if err != nil {
			t.Fatal(err)
		}
		document, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		w.do(0, "verify", w.write(name(i)+".json", string(document)))
	}
}

// allowRunner makes the objects that a cluster has before a Job is delivered: the
// namespace, and the ServiceAccount with the rights of the plan.
func allowRunner(ctx context.Context, m *lab) error {
	_, err := m.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "ztplan", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	if err == nil {
		_, err = m.client.CoreV1().ServiceAccounts("ztplan").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "runner"}}, metav1.CreateOptions{})
	}
	if err == nil {
		_, err = m.client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "runner"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "runner", Namespace: "ztplan"}},
		}, metav1.CreateOptions{})
	}
	return err
}

// apply creates the objects of a rendered text, as a tool for GitOps would.
func (w *world) apply(l *lab, text string) {
	w.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", l.kubeconfig)
	if err != nil {
		w.t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		w.t.Fatal(err)
	}
	for part := range strings.SplitSeq("\n"+text, "\n---\n") {
		u := new(unstructured.Unstructured)
		if err := yaml.Unmarshal([]byte(part), &u.Object); err != nil {
			w.t.Fatal(err)
		}
		if u.Object == nil {
			continue
		}
		kind := u.GroupVersionKind()
		resource := schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: strings.ToLower(kind.Kind) + "s"}
		_, err := client.Resource(resource).Namespace(u.GetNamespace()).Create(w.t.Context(), u, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			w.t.Fatalf("%s %s: %v", kind.Kind, u.GetName(), err)
		}
	}
}
