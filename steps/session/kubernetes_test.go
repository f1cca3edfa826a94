package session_test

import (
	"testing"

	"github.com/ztplan/ztplan/steps/session"
)

func TestClusterOfPlan(t *testing.T) {
	for _, tt := range []struct{ kubeconfig, home, want string }{
		{"~/.kube/lab", "/home/me", "/home/me/.kube/lab"},
		{"~/.kube/lab", "", "/plans/~/.kube/lab"},
		{"kube/config", "/home/me", "/plans/kube/config"},
		{"/etc/kube", "/home/me", "/etc/kube"},
		{"", "/home/me", ""},
	} {
		got := session.Kubernetes{Kubeconfig: tt.kubeconfig, Context: "c"}.Cluster("/plans", tt.home)
		if want := (session.Cluster{Kubeconfig: tt.want, Context: "c"}); got != want {
			t.Errorf("%q with home %q: got %+v, want %+v", tt.kubeconfig, tt.home, got, want)
		}
	}
}
