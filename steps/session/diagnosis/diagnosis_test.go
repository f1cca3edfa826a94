package diagnosis_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/session"
	"github.com/ztplan/ztplan/steps/session/diagnosis"
)

// A step is the spec of one that failed.
type step struct {
	scope kubekit.Scope
	vault string // address
}

func (s step) Scope() kubekit.Scope         { return s.scope }
func (s step) VaultServer() vaultkit.Server { return vaultkit.Server{Address: s.vault} }

func read(ctx context.Context, env *engine.Env, s step) *evidence.Diagnosis {
	return diagnosis.Read(ctx, env, []any{s}, []any{s})
}

// A pod that no node takes, its event, and the conditions of the Deployment that waits
// for it, from a real API server with its real controllers.
func TestRead(t *testing.T) {
	t.Parallel()
	env := labtest.Env(t)
	c, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	ns := labtest.Namespace(t, env)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.PodSpec{
		NodeSelector: map[string]string{"ztplan.dev/none": "x"}, Containers: []corev1.Container{{Name: "web", Image: "example/none:1"}},
	}}
	pods := c.Client().CoreV1().Pods(ns)
	watch, err := pods.Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pods.Create(engine.AllowWrites(t.Context()), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for e := range watch.ResultChan() {
		if p, ok := e.Object.(*corev1.Pod); ok && len(p.Status.Conditions) > 0 {
			break
		}
	}
	watch.Stop()
	s := step{vault: "http://127.0.0.1:1", scope: kubekit.Scope{
		Namespaces: []string{ns}, Objects: []kubekit.Ref{
			{APIVersion: "v1", Kind: "Pod", Namespace: ns, Name: "web"}, {APIVersion: "v1", Kind: "ConfigMap", Namespace: ns, Name: "missing"},
		},
	}}
	d := read(t.Context(), env, s)
	if len(d.Pods) != 1 || d.Pods[0].Ready || !strings.HasPrefix(d.Pods[0].State, "is not scheduled: 0/") {
		t.Errorf("pods %+v", d.Pods)
	}
	if len(d.Objects) != 2 || d.Objects[0].Message != "does not exist" || !slices.ContainsFunc(d.Objects[1].Conditions, func(c evidence.Condition) bool {
		return c.Type == "PodScheduled" && c.Status == "False" && c.Reason == "Unschedulable"
	}) {
		t.Errorf("objects %+v", d.Objects)
	}
	if len(d.Remarks) != 1 || !strings.HasPrefix(d.Remarks[0], "seal of Vault: read sys/seal-status at http://127.0.0.1:1: dial tcp") {
		t.Errorf("remarks %q", d.Remarks)
	}
}

// Reads that a user may not make are one line each, and a cluster that the run did not
// reach is not contacted.
func TestRefused(t *testing.T) {
	t.Parallel()
	env := labtest.Env(t)
	s := step{vault: "http://127.0.0.1:1", scope: kubekit.Scope{Namespaces: []string{"default"}, Objects: []kubekit.Ref{{APIVersion: "v1", Kind: "ConfigMap", Namespace: "default", Name: "x"}}}}
	if d := read(t.Context(), env, s); len(d.Remarks) != 2 || d.Remarks[0] != "cluster: the run did not reach one" {
		t.Errorf("before anything was contacted: %q", d.Remarks)
	}
	config, err := os.ReadFile(session.Of(env).Cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	as := regexp.MustCompile(`(?m)^( *)user:\n`).ReplaceAll(config, []byte("${0}${1}  as: nobody\n"))
	if err := os.WriteFile(file, as, 0o600); err != nil {
		t.Fatal(err)
	}
	env.Settings = session.Settings{Cluster: session.Cluster{Kubeconfig: file}}
	if _, err := kubekit.Connect(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	d := read(t.Context(), env, s)
	forbidden := 0
	for _, r := range d.Remarks {
		if strings.Contains(r, "forbidden") && !strings.Contains(r, "\n") {
			forbidden++
		}
	}
	if forbidden != 3 || len(d.Pods)+len(d.Events) > 0 {
		t.Errorf("%+v", d)
	}
}

// A cluster that hangs costs no more than the time that ctx gives.
func TestHangs(t *testing.T) {
	t.Parallel()
	crashed := corev1.ContainerStatus{Name: "web", RestartCount: 3,
		State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}}}
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", Namespace: "a"}, Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{crashed}}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body any = map[string]string{"gitVersion": "v1.36.3"}
		switch r.URL.Path {
		case "/api/v1/namespaces/a/pods":
			body = corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: []corev1.Pod{pod}}
		case "/api/v1/namespaces/a/pods/web-0/log":
			if r.URL.Query().Get("previous") == "true" {
				fmt.Fprint(w, "starting\nno such key: x\n")
			}
			return
		case "/api/v1/namespaces/a/events":
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
	}))
	defer s.Close()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	config := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], clusters: [{name: c, cluster: {server: %q}}], users: [{name: u, user: {}}]}`, s.URL)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	env := &engine.Env{Session: new(engine.Session), Now: time.Now, Settings: session.Settings{Cluster: session.Cluster{Kubeconfig: file}}}
	defer env.Session.Close()
	if _, err := kubekit.Connect(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // the others answer in milliseconds
	defer cancel()
	d := diagnosis.Read(ctx, env, []any{struct{ kubekit.Scoper }{step{scope: kubekit.Scope{Namespaces: []string{"a"}}}}}, nil)
	want := []evidence.LogTail{{Pod: "a/web-0", Container: "web", Previous: true, Lines: []string{"starting", "no such key: x"}}}
	if len(d.Logs) != 1 || fmt.Sprint(d.Logs) != fmt.Sprint(want) {
		t.Errorf("logs %+v", d.Logs)
	}
	if len(d.Pods) != 1 || d.Pods[0].Restarts != 3 || !strings.Contains(d.Pods[0].State, "CrashLoopBackOff") {
		t.Errorf("pods %+v", d.Pods)
	}
	if len(d.Remarks) != 1 || !strings.HasPrefix(d.Remarks[0], "events in a: ") {
		t.Errorf("remarks %q", d.Remarks)
	}
}
