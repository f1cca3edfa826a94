package certmanager

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

// The pause is read once a step, and anew for the next.
func TestBackoffIsReadOnceAStep(t *testing.T) {
	env := labtest.Env(t)
	cluster, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	configs := cluster.Client().CoreV1().ConfigMaps(labtest.Namespace(t, env))
	write := engine.AllowWrites(t.Context())
	if _, err := configs.Create(write, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "cert-manager", Labels: map[string]string{"app.kubernetes.io/component": "controller"}},
		Data:       map[string]string{"config.yaml": "kind: ControllerConfiguration\ncertificateRequestMinimumBackoffDuration: 7m"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	env.Step = "first"
	if got := BackoffOf(t.Context(), env, cluster).First; got != 7*time.Minute {
		t.Errorf("the first pause is %s", got)
	}
	if err := configs.Delete(write, "cert-manager", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := BackoffOf(t.Context(), env, cluster).First; got != 7*time.Minute {
		t.Errorf("read again in one step: %s", got)
	}
	env.Step = "second"
	if got := BackoffOf(t.Context(), env, cluster).First; got == 7*time.Minute {
		t.Errorf("the next step has what the first has read: %s", got)
	}
}
