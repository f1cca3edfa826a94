package vaulttest

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// A Login is the login of a ServiceAccount in the lab's cluster to a Server,
// made piece by piece.
type Login struct {
	*login.Spec
	t      testing.TB
	server *Server
	client kubernetes.Interface
	host   string
	ca     []byte
}

// NewLogin names a login of which nothing exists yet. env is the lab's.
func (s *Server) NewLogin(t testing.TB, env *engine.Env) *Login {
	t.Helper()
	cluster, err := kubekit.Connect(t.Context(), env)
	ok(t, err)
	l := &Login{
		Spec: &login.Spec{
			Mount: s.Mount(t, ""), Role: "admin", Audience: "vault://admin",
			ServiceAccount: &login.Account{Namespace: labtest.Namespace(t, env), Name: "admin"},
		},
		t: t, server: s, client: cluster.Client(), host: cluster.Host(), ca: cluster.Config().CAData,
	}
	t.Cleanup(func() {
		if c, err := s.API(); err == nil {
			_ = errors.Join(c.Sys().DisableAuth(l.Mount), c.Sys().DeletePolicy(l.Mount))
		}
	})
	return l
}

// MakeAccount makes the ServiceAccount.
func (l *Login) MakeAccount() { l.account(l.ServiceAccount.Name) }

func (l *Login) account(name string) {
	l.t.Helper()
	_, err := l.client.CoreV1().ServiceAccounts(l.ServiceAccount.Namespace).Create(l.writes(), &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: name},
	}, metav1.CreateOptions{})
	ok(l.t, err)
}

func (l *Login) writes() context.Context {
	return engine.AllowWrites(context.WithoutCancel(l.t.Context()))
}

// MakeMethod enables the auth method. Vault runs outside the cluster here, so
// that another ServiceAccount's token reviews those of the login.
func (l *Login) MakeMethod() {
	l.t.Helper()
	l.account("reviewer")
	namespace := l.ServiceAccount.Namespace
	bindings := l.client.RbacV1().ClusterRoleBindings()
	_, err := bindings.Create(l.writes(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:auth-delegator"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "reviewer"}},
	}, metav1.CreateOptions{})
	ok(l.t, err)
	l.t.Cleanup(func() { _ = bindings.Delete(l.writes(), namespace, metav1.DeleteOptions{}) })
	labtest.MayReview(l.t, l.client, namespace, "reviewer")
	reviewer, err := l.client.CoreV1().ServiceAccounts(namespace).CreateToken(l.writes(), "reviewer", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	ok(l.t, err)
	l.server.Do(l.t, "POST", "sys/auth/"+l.Mount, `{"type":"kubernetes"}`)
	l.server.DoJSON(l.t, "POST", "auth/"+l.Mount+"/config", map[string]any{
		"kubernetes_host": l.host, "kubernetes_ca_cert": string(l.ca),
		"token_reviewer_jwt": reviewer.Status.Token, "disable_local_ca_jwt": true,
	})
}

// MakeRole makes the role with tokens of a type that live for ttl seconds, and
// its policy, which allows to read sys/mounts.
func (l *Login) MakeRole(tokenType string, ttl int) {
	l.t.Helper()
	l.server.DoJSON(l.t, "POST", "sys/policies/acl/"+l.Mount, map[string]any{"policy": `path "sys/mounts" { capabilities = ["read"] }`})
	l.server.DoJSON(l.t, "POST", "auth/"+l.Mount+"/role/"+l.Role, map[string]any{
		"bound_service_account_names": l.ServiceAccount.Name, "bound_service_account_namespaces": l.ServiceAccount.Namespace,
		"audience": l.Audience, "token_policies": l.Mount, "token_ttl": ttl, "token_type": tokenType,
	})
}

// Stranger returns a kubeconfig for the ServiceAccount that logs in: it may not
// request tokens, not even for itself.
func (l *Login) Stranger() string {
	l.t.Helper()
	token, err := l.client.CoreV1().ServiceAccounts(l.ServiceAccount.Namespace).CreateToken(l.writes(), l.ServiceAccount.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	ok(l.t, err)
	config := clientcmdapi.NewConfig()
	config.Clusters["lab"] = &clientcmdapi.Cluster{Server: l.host, CertificateAuthorityData: l.ca}
	config.AuthInfos["lab"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	config.Contexts["lab"] = &clientcmdapi.Context{Cluster: "lab", AuthInfo: "lab"}
	config.CurrentContext = "lab"
	file := filepath.Join(l.t.TempDir(), "kubeconfig")
	ok(l.t, clientcmd.WriteToFile(*config, file))
	return file
}

// MakeAll makes everything, with batch tokens that live for five minutes.
func (l *Login) MakeAll() {
	l.t.Helper()
	l.MakeAccount()
	l.MakeMethod()
	l.MakeRole("batch", 300)
}
