package portforward_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/portforward"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

func TestServerWithoutWebsockets(t *testing.T) {
	env := labtest.Env(t)
	c, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	ns := labtest.Namespace(t, env)
	_, err = c.Client().CoreV1().Pods(ns).Create(engine.AllowWrites(t.Context()), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "nginx", Image: "nginx:stable"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for ref := (kubekit.Ref{APIVersion: "v1", Kind: "Pod", Namespace: ns, Name: "web"}); ; {
		have, err := c.Status(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if have[0].Done {
			break
		}
		if err := c.AwaitChange(t.Context(), have[0].Watch...); err != nil {
			t.Fatalf("%s: %v", have[0].Message, err)
		}
	}
	dialer := portforward.New(c.Config(), c.Client().CoreV1().RESTClient())
	defer dialer.Close()
	conn, err := portforward.DialSPDY(dialer, portforward.Pod{Namespace: ns, Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
