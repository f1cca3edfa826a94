package hub_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/hub"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
)

// Only a pod whose program has an exit code is known to have ended: one that is gone, or
// that the node lost, may still write.
func TestDriverEnded(t *testing.T) {
	pod := func(name string, phase corev1.PodPhase, state corev1.ContainerState) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{Name: objects.Container, State: state}}}}
	}
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: []corev1.Pod{
		pod("runs", corev1.PodRunning, corev1.ContainerState{Running: new(corev1.ContainerStateRunning)}),
		pod("ended", corev1.PodFailed, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137}}),
		pod("lost", corev1.PodFailed, corev1.ContainerState{Running: new(corev1.ContainerStateRunning)}),
	}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/namespaces/fleets/pods" || r.URL.Query().Get("labelSelector") != "ztplan.dev/object=driver" {
			t.Errorf("asked for %s", r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	}))
	defer s.Close()
	h, err := hub.New(&rest.Config{Host: s.URL}, "fleets")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"runs": false, "ended": true, "lost": false, "gone": false, "": false} {
		if got := h.DriverEnded(t.Context(), name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
