package assertdenied_test

import (
	"context"
	"net/http"
	"os"
	"testing"

	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/assertdenied"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

func TestMain(m *testing.M) { vaulttest.Main(m) }

// A setup is a Vault that logs ServiceAccounts of the lab's
// cluster in and signs for them, and a server with a certificate. Vault runs
// beside the cluster, so it has a reviewer's token.
type setup struct {
	edits     *enginetest.Edits // of the newest proof
	t         *testing.T
	vault     *vaulttest.Server
	env       *engine.Env
	client    kubernetes.Interface
	namespace string
	elsewhere string // another namespace
	account   string // that may log in; no other test has one of this name
	pki, auth string // mounts
	root, sub *tlstest.CA
	server    *tlstest.Server
	address   string // of the server
}

// newSetup makes it in the Vault that the tests share, beside other tests: each has mounts,
// namespaces and accounts of its own.
func newSetup(t *testing.T) *setup {
	t.Helper()
	t.Parallel()
	return newSetupIn(t, vaulttest.Shared(t))
}

func newSetupIn(t *testing.T, vault *vaulttest.Server) *setup {
	t.Helper()
	w := &setup{t: t, vault: vault, env: labtest.Env(t), account: "issuer-" + labtest.Unique(t)}
	cluster, err := kubekit.Connect(t.Context(), w.env)
	if err != nil {
		t.Fatal(err)
	}
	w.client = cluster.Client()
	w.namespace, w.elsewhere = labtest.Namespace(t, w.env), labtest.Namespace(t, w.env)
	w.makeAccount(w.namespace, w.account, nil)
	w.makeAccount(w.namespace, "reviewer", nil)
	w.letReview("reviewer")
	w.serve()
	w.pki, w.auth = w.vault.Mount(t, "int"), "auth"+labtest.Unique(t)
	top := w.vault.Mount(t, "root")
	for _, mount := range []string{w.pki, top} {
		w.write("sys/mounts/"+mount, map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": "87600h"}})
	}
	w.write(w.pki+"/root/generate/internal", map[string]any{"common_name": "Test CA", "ttl": "8760h", "key_type": "ec"})
	w.role(nil)
	w.write("sys/auth/"+w.auth, map[string]any{"type": "kubernetes"})
	t.Cleanup(func() { _ = w.vault.Client(t).Sys().DisableAuth(w.auth) })
	t.Cleanup(func() { _ = w.vault.Client(t).Sys().DeletePolicy(w.auth) })
	reviewer, _ := w.token("reviewer")
	w.configure(cluster.Config(), map[string]any{"token_reviewer_jwt": reviewer})
	w.policy("")
	w.login(nil)
	return w
}

// configure writes the configuration of the auth method for a Vault beside the cluster.
func (w *setup) configure(config *rest.Config, more map[string]any) {
	w.t.Helper()
	ca, err := config.CAData, error(nil)
	if len(ca) == 0 {
		if ca, err = os.ReadFile(config.CAFile); err != nil {
			w.t.Fatal(err)
		}
	}
	w.write("auth/"+w.auth+"/config", with(map[string]any{
		"kubernetes_host": config.Host, "kubernetes_ca_cert": string(ca), "disable_local_ca_jwt": true,
	}, more))
}

func (w *setup) write(path string, body map[string]any) {
	w.t.Helper()
	w.vault.DoJSON(w.t, http.MethodPost, path, body)
}

// role writes the PKI role, sound but for the given fields.
func (w *setup) role(but map[string]any) {
	w.t.Helper()
	w.write(w.pki+"/roles/web", with(map[string]any{
		"allowed_domains": "example.local", "allow_subdomains": true, "max_ttl": "24h", "require_cn": false, "key_type": "any",
	}, but))
}

// login writes the role of the auth method, sound but for the given fields.
func (w *setup) login(but map[string]any) {
	w.t.Helper()
	w.write("auth/"+w.auth+"/role/issuer", with(map[string]any{
		"bound_service_account_names": w.account, "bound_service_account_namespaces": w.namespace,
		"token_policies": w.auth, "audience": "vault://issuer", "token_ttl": "1m",
	}, but))
}

// policy writes the capabilities of the token, and more.
func (w *setup) policy(more string) {
	w.t.Helper()
	w.write("sys/policies/acl/"+w.auth, map[string]any{
		"policy": `path "` + w.pki + `/sign/web" { capabilities = ["update"] denied_parameters = { "not_after" = [] } }` + "\n" + more,
	})
}

func with(base, but map[string]any) map[string]any {
	for k, v := range but {
		base[k] = v
	}
	return base
}

func (w *setup) makeAccount(namespace, name string, labels map[string]string) {
	w.t.Helper()
	ctx := engine.AllowWrites(w.t.Context())
	_, err := w.client.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
}

// letReview lets a ServiceAccount ask the API server whose a token is.
func (w *setup) letReview(name string) {
	w.t.Helper()
	ctx := engine.AllowWrites(w.t.Context())
	made, err := w.client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-reviewer-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:auth-delegator"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: w.namespace}},
	}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = w.client.RbacV1().ClusterRoleBindings().Delete(engine.AllowWrites(context.Background()), made.Name, metav1.DeleteOptions{})
	})
	labtest.MayReview(w.t, w.client, w.namespace, name)
}

// token returns a token of a ServiceAccount for the API server, and the audiences of it.
func (w *setup) token(name string) (token string, audiences []string) {
	w.t.Helper()
	made, err := w.client.CoreV1().ServiceAccounts(w.namespace).CreateToken(engine.AllowWrites(w.t.Context()), name, &authv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return made.Status.Token, made.Spec.Audiences
}

const host = "hello.example.local"

func (w *setup) serve() {
	w.root = tlstest.NewCA(w.t, "Root CA Test")
	w.sub = w.root.Intermediate(w.t, "Intermediate CA Test")
	w.server = tlstest.NewServer(w.t, w.sub.Issue(w.t, tlstest.Leaf{CommonName: host, Names: []string{host}}), nil)
	w.address = w.server.Listen()
}

// spec is the spec of a plan for a sound set-up.
func (w *setup) spec() *assertdenied.Spec {
	s := assertdenied.Kind.New().(*assertdenied.Spec)
	s.Vault.Address, s.Vault.Token = w.vault.Address, engine.NewSecret(w.vault.Token)
	s.RootMount = w.pki[:len(w.pki)-len("int")] + "root"
	s.Login = &assertdenied.Login{
		Mount: w.auth, Role: "issuer", Audience: "vault://issuer",
		ServiceAccount: login.Account{Namespace: w.namespace, Name: w.account},
	}
	s.Sign = &assertdenied.Sign{Path: w.pki + "/sign/web", Name: host, MaxTTL: engine.Duration(24 * 3600e9), KeyType: "ec"}
	s.Dial = &assertdenied.Dial{URL: "https://" + host}
	s.Dial.Address, s.Dial.Trust = w.address, w.root.PEM()
	return s
}
