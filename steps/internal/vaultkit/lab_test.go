package vaultkit_test

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// Vault behind a Service, through the API server: initialised, unsealed and read
// without an address of its own. The pod is not ready until then.
func TestThroughTheAPIServer(t *testing.T) {
	env := labtest.Env(t)
	cluster, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	namespace := labtest.Namespace(t, env)
	ctx := engine.AllowWrites(t.Context())
	labels := map[string]string{"app": "vault"}
	_, err = cluster.Client().CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "vault-0", Labels: labels},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "vault", Image: "hashicorp/vault:1.21.0", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8200}},
		}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = cluster.Client().CoreV1().Services(namespace).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "vault"},
		Spec: corev1.ServiceSpec{
			Selector: labels, PublishNotReadyAddresses: true,
			Ports: []corev1.ServicePort{{Port: 8200, TargetPort: intstr.FromString("http")}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}

	server := vaultkit.Server{Service: vaultkit.Service{Namespace: namespace, Name: "vault", Port: 8200}}
	c, err := vaultkit.ConnectServer(ctx, env, server)
	if err != nil {
		t.Fatal(err)
	}
	status, err := c.SealStatus(ctx)
	// Until the container runs there is no server to connect to. Each try is a
	// question to the API server, so it does not spin.
	for err != nil && !errors.Is(err, engine.ErrPermanent) && t.Context().Err() == nil {
		status, err = c.SealStatus(ctx)
	}
	if err != nil || status.Initialized {
		t.Fatalf("status: %+v, %v", status, err)
	}
	answer, err := c.Init(ctx, vaultkit.Shamir, api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Unseal(ctx, engine.NewSecret(answer.Keys[0])); err != nil {
		t.Fatal(err)
	}
	if ok, why, err := c.Serving(ctx); !ok || err != nil {
		t.Errorf("not serving: %s, %v", why, err)
	}
	authenticated, err := login.Connect(ctx, env, login.Connection{Server: server, Token: engine.NewSecret(answer.RootToken)})
	if err != nil {
		t.Fatal(err)
	}
	if mounts, err := authenticated.Read(ctx, "sys/mounts"); err != nil || mounts["sys/"] == nil {
		t.Errorf("mounts: %v, %v", mounts, err)
	}
}
