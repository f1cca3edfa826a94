package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// permissions holds ztplan rbac to the truth: a ServiceAccount with exactly the
// roles that it prints makes a whole run, and another one with the role of a dry run
// looks at an empty world and at a finished one. Without a rule they fail, and name
// it. Quick: without a rule of each kind, which are to look, to write, to look at a
// subresource and to look at an object without a namespace.
func (w *world) permissions(t *testing.T) {
	runner, viewer := w.account("ci", "runner"), w.account("ci", "viewer")
	w.grant("run", "ci:runner")
	w.grant("dry-run", "ci:viewer")

	must(t, "a dry run of an empty world with the rights of a dry run", w.as(viewer, "run", planFile, "--dry-run"), 2)
	must(t, "a run with the rights of a run", w.as(runner, "run", planFile, "--report", filepath.Join(w.work, "report")), 0)
	w.look()
	must(t, "a second run with the rights of a run", w.as(runner, "run", planFile, "--skip", "rotation,site-after,denials"), 0)
	for _, args := range [][]string{{"run", planFile, "--dry-run"}, {"status", planFile}} {
		o := w.as(viewer, args...)
		must(t, strings.Join(args, " ")+" with the rights of a dry run", o, 0)
		if !strings.Contains(o.stderr, "compared by the fields") {
			t.Errorf("it is not said how the objects were compared:\n%s", o)
		}
	}
	w.examine(runner, 0, `"check":"permissions","level":"ok","detail":"all`)
	w.examine(viewer, 1, `"check":"permissions","level":"fail"`, "Those of a dry run and a status are there", "ztplan rbac PLAN")

	w.merge("Deployment/default/hello-app", `{"spec":{"replicas":3}}`)
	o := w.as(viewer, "status", planFile)
	must(t, "status of a drifted world with the rights of a dry run", o, 2)
	if found := strings.Join(o.differences(), "\n"); !strings.Contains(found, "spec/replicas") || !strings.Contains(found, harness) {
		t.Errorf("the drift and its owner are not named:\n%s", found)
	}
	w.merge("Deployment/default/hello-app", `{"spec":{"replicas":1}}`)

	for _, c := range []struct {
		who, namespace, resource, verb, args string
		quick                                bool
	}{
		{runner, "vault", "statefulsets", "get", "run", false},
		{runner, "default", "services", "patch", "run", true},
		{runner, "vault", "pods/portforward", "create", "run", true},
		{runner, "cert-manager", "serviceaccounts/token", "create", "run", false},
		{viewer, "vault", "secrets", "list", "status", true},
		{viewer, "cert-manager", "endpointslices", "list", "status", false},
		{viewer, "vault", "serviceaccounts/token", "create", "status", false},
		{viewer, "", "customresourcedefinitions", "get", "status", true},
	} {
		if !c.quick && !full() {
			continue
		}
		role := "ztplan-lab-run"
		if c.who == viewer {
			role = "ztplan-lab-view"
		}
		if c.verb == "patch" {
			w.remove("Service/default/hello-app")
		}
		restore := w.without(role, c.namespace, c.resource)
		o := w.as(c.who, c.args, planFile, "--skip", "rotation,site-after")
		restore()
		must(t, "without "+c.resource+" in "+c.namespace, o, 1)
		said := strings.Join(o.differences(), "\n") + o.stderr
		for _, want := range []string{"cannot " + c.verb + " resource", c.resource[strings.LastIndex(c.resource, "/")+1:], "ztplan rbac"} {
			if !strings.Contains(said, want) {
				t.Errorf("without %s in %s: %q is not said:\n%s", c.resource, c.namespace, want, said)
			}
		}
	}
	// Without --lab the keys are beside the plan.
	if err := os.MkdirAll(filepath.Dir(w.keys()), 0o700); err != nil {
		t.Fatal(err)
	}
	w.rename(filepath.Join(w.work, "plans", filepath.Base(w.keys())), w.keys())
}

// examine runs ztplan doctor with a kubeconfig.
func (w *world) examine(kubeconfig string, code int, want ...string) {
	w.t.Helper()
	o := w.as(kubeconfig, "doctor", planFile)
	must(w.t, "doctor", o, code)
	for _, text := range want {
		if !strings.Contains(o.stdout, text) {
			w.t.Errorf("doctor: %q is not said:\n%s", text, o.stdout)
		}
	}
}

// account makes a ServiceAccount and returns a kubeconfig for it.
func (w *world) account(namespace, name string) (kubeconfig string) {
	w.t.Helper()
	admin, err := clientcmd.LoadFromFile(w.status.Kubeconfig)
	if err != nil {
		w.t.Fatal(err)
	}
	config, err := clientcmd.NewDefaultClientConfig(*admin, nil).ClientConfig()
	if err != nil {
		w.t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = client.CoreV1().Namespaces().Create(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		w.t.Fatal(err)
	}
	accounts := client.CoreV1().ServiceAccounts(namespace)
	if _, err := accounts.Create(w.t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	token, err := accounts.CreateToken(w.t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	for user := range admin.AuthInfos {
		admin.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	}
	path := filepath.Join(w.home, name+".kubeconfig")
	if err := clientcmd.WriteToFile(*admin, path); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// mirrors are the arguments that let ztplan find the lab's charts without --lab.
func (w *world) mirrors() []string {
	var args []string
	for from, to := range w.status.Mirrors {
		args = append(args, "--mirror", from+"="+to)
	}
	return args
}

// as runs ztplan with a kubeconfig instead of the lab's.
func (w *world) as(kubeconfig string, args ...string) *outcome {
	w.t.Helper()
	return w.do(nil, slices.Concat(args, []string{"--kubeconfig", kubeconfig}, w.mirrors())...)
}

// grant applies the roles that ztplan prints for a use, bound to a ServiceAccount.
func (w *world) grant(use, account string) {
	w.t.Helper()
	var stderr bytes.Buffer
	cmd := w.bare(context.Background(), append([]string{"rbac", planFile, "--for", use, "--serviceaccount", account}, w.mirrors()...)...)
	cmd.Stderr = &stderr
	roles, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("ztplan rbac: %v\n%s", err, stderr.Bytes())
	}
	name := filepath.Join(w.work, "roles-"+use)
	plan := fmt.Sprintf("apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: roles-%s}\nsteps:\n  - {id: roles, uses: applyManifest, with: {files: [%s.yaml]}}\n", use, filepath.Base(name))
	for file, text := range map[string][]byte{name + ".yaml": roles, name + "-plan.yaml": []byte(plan)} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	must(w.t, "applying the roles", w.do(nil, "run", name+"-plan.yaml"), 0)
}

// without takes the rules about a resource out of a role, and returns a function that
// puts them back.
func (w *world) without(role, namespace, resource string) (restore func()) {
	w.t.Helper()
	path := "ClusterRole/" + role
	if namespace != "" {
		path = "Role/" + namespace + "/" + role
	}
	api, name := w.object(path)
	have, err := api.Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	rules, _, _ := unstructured.NestedSlice(have.Object, "rules")
	var left []any
	for _, r := range rules {
		one := r.(map[string]any)
		list, _, _ := unstructured.NestedStringSlice(one, "resources")
		kept := slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == resource })
		if len(kept) == len(list) {
			left = append(left, one)
			continue
		}
		if len(kept) > 0 {
			changed := (&unstructured.Unstructured{Object: one}).DeepCopy().Object
			_ = unstructured.SetNestedStringSlice(changed, kept, "resources")
			left = append(left, changed)
		}
	}
	set := func(rules []any) {
		now, err := api.Get(w.t.Context(), name, metav1.GetOptions{})
		if err == nil {
			_ = unstructured.SetNestedSlice(now.Object, rules, "rules")
			_, err = api.Update(w.t.Context(), now, metav1.UpdateOptions{})
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	if len(left) == len(rules) && fmt.Sprint(left) == fmt.Sprint(rules) {
		w.t.Fatalf("%s has no rule about %s", path, resource)
	}
	set(left)
	return func() { set(rules) }
}
