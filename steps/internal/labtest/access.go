package labtest

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/session"
)

// Reader returns env for a user who may read resources of the core group in a namespace,
// and do nothing else. Its session is another one.
func Reader(t testing.TB, env *engine.Env, namespace string, resources ...string) *engine.Env {
	t.Helper()
	c, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	const name = "reader"
	rules := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: resources, Verbs: []string{"get", "list", "watch"}}}
	ctx, meta := engine.AllowWrites(t.Context()), metav1.ObjectMeta{Name: name}
	if _, err := c.Client().RbacV1().Roles(namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: name}},
	}
	if _, err := c.Client().RbacV1().RoleBindings(namespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	Allowed(t, c.Client(), namespace, name, authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "list", Resource: resources[0]})
	return target(t, env, func(config *clientcmdapi.Config) {
		for _, user := range config.AuthInfos {
			user.Impersonate = "system:serviceaccount:" + namespace + ":" + name
		}
	})
}

// Through returns env with a proxy before the API server: it passes on what seen lets it,
// and seen answers the rest itself. Its session is another one.
func Through(t testing.TB, env *engine.Env, seen func(w http.ResponseWriter, r *http.Request) (pass bool)) *engine.Env {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", session.Of(env).Cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := rest.TLSConfigFor(config)
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	upstream := &http.Transport{TLSClientConfig: trust}
	t.Cleanup(upstream.CloseIdleConnections)
	forward := &httputil.ReverseProxy{Transport: upstream, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if seen(w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(proxy.Close)
	return target(t, env, func(config *clientcmdapi.Config) {
		for _, cluster := range config.Clusters {
			*cluster = clientcmdapi.Cluster{Server: proxy.URL}
		}
		for _, user := range config.AuthInfos {
			*user = clientcmdapi.AuthInfo{} // the proxy logs in
		}
	})
}

// target is env with another kubeconfig, which change makes of its own.
func target(t testing.TB, env *engine.Env, change func(*clientcmdapi.Config)) *engine.Env {
	t.Helper()
	settings := session.Of(env)
	config, err := clientcmd.LoadFromFile(settings.Cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	change(config)
	settings.Cluster.Kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, settings.Cluster.Kubeconfig); err != nil {
		t.Fatal(err)
	}
	shared := &engine.Session{}
	t.Cleanup(func() {
		if err := shared.Close(); err != nil {
			t.Errorf("closing the session: %v", err)
		}
	})
	other := *env
	other.Settings, other.Session = settings, shared
	return &other
}
