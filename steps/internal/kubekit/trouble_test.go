package kubekit_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/session"
)

func TestTrouble(t *testing.T) {
	crashed := corev1.ContainerStatus{
		Name: "vault", RestartCount: 3,
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}},
	}
	waiting, running := crashed, crashed
	waiting.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 10s restarting failed container"}
	running.State.Running = &corev1.ContainerStateRunning{}
	well := corev1.ContainerStatus{Name: "vault", State: running.State}
	for name, c := range map[string]struct {
		status corev1.ContainerStatus
		want   string
	}{
		"waits":      {waiting, "pod vault-0 waits: container vault is in CrashLoopBackOff: back-off 10s restarting failed container; its last line: Error parsing config: unknown key"},
		"runs again": {running, "pod vault-0 runs again: container vault has ended 3 times; its last line: Error parsing config: unknown key"},
		"is well":    {well, ""},
	} {
		t.Run(name, func(t *testing.T) {
			pod := corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "vault-0", Namespace: "v"},
				Status:     corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{c.status}},
			}
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var body any = map[string]string{"gitVersion": "v1.36.3"}
				switch r.URL.Path {
				case "/api/v1/namespaces/v/services/vault":
					body = corev1.Service{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "vault"}}}
				case "/api/v1/namespaces/v/pods":
					body = corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: []corev1.Pod{pod}}
				case "/api/v1/namespaces/v/pods/vault-0/log":
					if r.URL.Query().Get("previous") == "true" && r.URL.Query().Get("container") == "vault" {
						_, _ = w.Write([]byte("Error parsing config:\tunknown key\n"))
					}
					return
				}
				w.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(w).Encode(body)
			}))
			defer s.Close()
			cluster, err := kubekit.Connect(t.Context(), environment(t, session.Cluster{Kubeconfig: kubeconfig(t, s.URL, nil)}))
			if err != nil {
				t.Fatal(err)
			}
			got, hint := cluster.Trouble(t.Context(), "v", "vault")
			if strings.TrimSpace(got) != c.want || strings.Contains(hint, "kubectl -n v logs vault-0 -c vault --previous") != (c.want != "") {
				t.Errorf("got %q, want %q; hint %q", got, c.want, hint)
			}
		})
	}
}
