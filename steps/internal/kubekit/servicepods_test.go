package kubekit_test

import (
	"strings"
	"testing"

	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

// Every pod behind a Service is listed, and each way leads to its own pod.
func TestServicePods(t *testing.T) {
	c, env := connect(t)
	ns := labtest.Namespace(t, env)
	deploy(t, c, ns)
	pods, err := c.ServicePods(t.Context(), ns, "web", 8080)
	if err != nil {
		t.Fatal(err)
	}
	if len(pods) != 1 || !strings.HasPrefix(pods[0].Name, "web-") || pods[0].Port == 0 {
		t.Fatalf("pods = %+v, want one of the Deployment", pods)
	}
	conn, err := pods[0].Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if body, err := get(conn); err != nil || !strings.Contains(body, "nginx") {
		t.Errorf("got %q, %v", body, err)
	}
	if n := kubekit.CountTunnels(c); n != 1 {
		t.Errorf("%d tunnels, want one", n)
	}
	_, err = c.ServicePods(t.Context(), ns, "web", 1)
	if err == nil || !strings.Contains(err.Error(), "service "+ns+"/web port 1: the Service has no such port") {
		t.Errorf("with an unknown port: %v", err)
	}
}
