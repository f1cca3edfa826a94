package kubekit_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/session"
)

// insecure makes the clusters of a kubeconfig skip the verification.
func insecure(t *testing.T, path string) {
	t.Helper()
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range config.Clusters {
		c.InsecureSkipTLSVerify, c.CertificateAuthorityData = true, nil
	}
	// A plugin would be handed the same, and is not started.
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", Command: "no-such-plugin", ProvideClusterInfo: true,
		InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
	}}
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
}

// Credentials are sent to a server that is verified, or to none.
func TestServerIsAlwaysVerified(t *testing.T) {
	var asked atomic.Int32
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"gitVersion":"v1.36.3"}`))
	})
	encrypted, plain := httptest.NewTLSServer(handler), httptest.NewServer(handler)
	t.Cleanup(encrypted.Close)
	t.Cleanup(plain.Close)
	skips := kubeconfig(t, encrypted.URL, nil)
	insecure(t, skips)
	for _, c := range []struct{ name, kubeconfig, want, hint string }{
		{"skips the verification", skips, "insecure-skip-tls-verify", "certificate-authority-data"},
		{"plain HTTP", kubeconfig(t, "http://192.0.2.1:8080", nil), "http://192.0.2.1:8080 is not https", "kubectl proxy"},
		{"plain HTTP by default", kubeconfig(t, "kubernetes.example.com:8080", nil), "is not https", "kubectl proxy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := kubekit.Connect(t.Context(), environment(t, session.Cluster{Kubeconfig: c.kubeconfig}))
			if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.kubeconfig) {
				t.Errorf("error is %v, want a permanent one with %q", err, c.want)
			}
			if got := engine.HintOf(err); !strings.Contains(got, c.hint) {
				t.Errorf("hint is %q, want one with %q", got, c.hint)
			}
		})
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the servers were asked %d times", n)
	}
	if _, err := kubekit.Connect(t.Context(), environment(t, session.Cluster{Kubeconfig: kubeconfig(t, plain.URL, nil)})); err != nil {
		t.Errorf("kubectl proxy: %v", err)
	}
}
