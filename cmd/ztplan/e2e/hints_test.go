package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/steps/hints"
)

// hints provokes in the real components the messages of testdata/said.json of package hints
// that name one of these provocations: the messages of today have the same hint.
func (w *world) hints(t *testing.T) {
	b, err := os.ReadFile("../../../steps/hints/testdata/said.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ ProvokedBy, Message string }
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	p := newProvoker(w)
	todo := p.all()
	for _, s := range list {
		if s.ProvokedBy == "" {
			continue
		}
		w.sub(t, s.ProvokedBy, func(t *testing.T) {
			provoke := todo[s.ProvokedBy]
			delete(todo, s.ProvokedBy)
			if provoke == nil {
				t.Fatal("there is no such provocation")
			}
			said := provoke()
			t.Logf("%s", said)
			if got, want := hints.For(said), hints.For(s.Message); got != want || want == "" {
				t.Errorf("%q: hint %q, want %q", said, got, want)
			}
		})
	}
	must(t, "the plan, which unseals Vault", w.run(), 0)
	w.look()
	for name := range todo {
		t.Errorf("no message names the provocation %q", name)
	}
}

// A provoker provokes the error messages of the components of a world.
type provoker struct {
	*world
	client kubernetes.Interface
	ns     string // a namespace of its own
}

func newProvoker(w *world) *provoker {
	w.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", w.status.Kubeconfig)
	if err != nil {
		w.t.Fatal(err)
	}
	config.QPS = -1
	p := &provoker{world: w, client: kubernetes.NewForConfigOrDie(config), ns: "provoked"}
	_, err = p.client.CoreV1().Namespaces().Create(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: p.ns, Labels: map[string]string{"provoked": "yes"}}}, metav1.CreateOptions{})
	p.check(err)
	return p
}

func (p *provoker) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// refused returns the text of the error that there has to be.
func (p *provoker) refused(err error) string {
	p.t.Helper()
	if err == nil {
		p.t.Fatal("it was not refused")
	}
	return err.Error()
}

func (p *provoker) all() map[string]func() string {
	m := map[string]func() string{
		"namespace that is not there": func() string {
			_, err := p.client.CoreV1().ConfigMaps("none").Create(p.t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
			return p.refused(err)
		},
		"Secret that is not there": func() string {
			_, err := p.client.CoreV1().Secrets(p.ns).Get(p.t.Context(), "none", metav1.GetOptions{})
			return p.refused(err)
		},
		"StatefulSet with other claims":     p.otherClaims,
		"issuer without the token's Role":   func() string { return p.issuer("http://vault.vault.svc.cluster.local:8200", "unbound") },
		"issuer with a wrong address":       func() string { return p.issuer("http://127.0.0.1:1", "vault-issuer") },
		"Admin API without the key":         p.adminAPI,
		"ApisixTls without its Secret":      p.apisixTLS,
		"server name without a certificate": p.otherName,
	}
	for _, kind := range []string{"ClusterIssuer", "Issuer", "Certificate"} {
		m["kind of no API: "+kind] = func() string {
			groups, err := restmapper.GetAPIGroupResources(p.client.Discovery())
			p.check(err)
			_, err = restmapper.NewDiscoveryRESTMapper(groups).RESTMapping(schema.GroupKind{Group: "cert-manager.io", Kind: kind}, "v9")
			return p.refused(err)
		}
	}
	p.addWebhooks(m)
	p.addCharts(m)
	p.addLogins(m)
	p.addPKI(m)
	p.addSeals(m)
	return m
}

func (p *provoker) otherClaims() string {
	claim := func(size string) []corev1.PersistentVolumeClaim {
		c := corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data"}}
		c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
		c.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
		return []corev1.PersistentVolumeClaim{c}
	}
	labels := map[string]string{"app": "web"}
	sets := p.client.AppsV1().StatefulSets(p.ns)
	s, err := sets.Create(p.t.Context(), &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.StatefulSetSpec{
		Replicas: ptr.To[int32](0), Selector: &metav1.LabelSelector{MatchLabels: labels}, VolumeClaimTemplates: claim("1Gi"),
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "example/none:1"}}}},
	}}, metav1.CreateOptions{})
	p.check(err)
	s.Spec.VolumeClaimTemplates = claim("2Gi")
	s.ResourceVersion = "" // the controller writes its status at the same time
	_, err = sets.Update(p.t.Context(), s, metav1.UpdateOptions{})
	return p.refused(err)
}

// issuer makes a ClusterIssuer and returns cert-manager's message about it.
func (p *provoker) issuer(server, account string) string {
	_, err := p.client.CoreV1().ServiceAccounts("cert-manager").Create(p.t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "unbound"}}, metav1.CreateOptions{})
	if account == "unbound" {
		p.check(err)
	}
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": map[string]any{"name": "provoked-" + account},
		"spec": map[string]any{"vault": map[string]any{"server": server, "path": "pki_int/sign/example-dot-local",
			"auth": map[string]any{"kubernetes": map[string]any{"mountPath": "/v1/auth/kubernetes", "role": "cert-manager", "serviceAccountRef": map[string]any{"name": account}}}}},
	}}
	return p.conditionOf("ClusterIssuer/provoked-"+account, o, "Ready")
}

// conditionOf makes an object and returns the condition that its controller gives it.
func (p *provoker) conditionOf(path string, o *unstructured.Unstructured, kind string) string {
	p.t.Helper()
	in, name := p.object(path)
	events, err := in.Watch(p.t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	p.check(err)
	defer events.Stop()
	_, err = in.Create(p.t.Context(), o, metav1.CreateOptions{})
	p.check(err)
	limit := time.After(runLimit)
	for {
		select {
		case e := <-events.ResultChan():
			u, ok := e.Object.(*unstructured.Unstructured)
			if !ok {
				p.t.Fatalf("%s: the watch ended", path)
			}
			list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
			for _, item := range list {
				if c, _ := item.(map[string]any); c["type"] == kind {
					return fmt.Sprintf("%v: %v", c["reason"], c["message"])
				}
			}
		case <-limit:
			p.t.Fatalf("%s gets no condition %s", path, kind)
		}
	}
}

func (p *provoker) apisixTLS() string {
	return p.conditionOf("ApisixTls/"+p.ns+"/none", &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apisix.apache.org/v2", "kind": "ApisixTls", "metadata": map[string]any{"name": "none", "namespace": p.ns},
		"spec": map[string]any{"ingressClassName": "apisix", "hosts": []any{"provoked.example.org"}, "secret": map[string]any{"name": "none", "namespace": p.ns}},
	}}, "Accepted")
}

func (p *provoker) adminAPI() string {
	for _, c := range p.status.Components {
		if c.Name != "gateway" {
			continue
		}
		for address := range strings.SplitSeq(c.Address, ",") {
			resp, err := http.Get("http://" + address + "/apisix/admin/ssls")
			if err != nil {
				continue
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			p.check(err)
			if resp.StatusCode == http.StatusUnauthorized {
				return string(b)
			}
		}
	}
	p.t.Fatal("the gateway has no Admin API")
	return ""
}

func (p *provoker) otherName() string {
	_, err := tls.Dial("tcp", p.gatewayAddress(), &tls.Config{ServerName: "other.example.org"})
	return p.refused(err)
}

// addWebhooks adds the API server's messages about webhooks that do not answer.
func (p *provoker) addWebhooks(m map[string]func() string) {
	const closed = "https://127.0.0.1:1/"
	ca := []byte(p.rootCertificate())
	m["webhook that refuses connections"] = func() string { return p.webhook("webhook.cert-manager.io", closed, ca, 30) }
	m["another webhook that refuses connections"] = func() string { return p.webhook("hook.example.org", closed, ca, 30) }
	serve := func(handle http.HandlerFunc) (*httptest.Server, []byte) {
		s := httptest.NewTLSServer(handle)
		p.t.Cleanup(s.Close)
		return s, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	}
	m["webhook without a trusted CA"] = func() string {
		s, _ := serve(func(http.ResponseWriter, *http.Request) {})
		return p.webhook("webhook.cert-manager.io", s.URL, ca, 30)
	}
	m["webhook that hangs"] = func() string {
		over := make(chan struct{})
		s, own := serve(func(http.ResponseWriter, *http.Request) { <-over })
		p.t.Cleanup(func() { close(over) }) // before the server is closed
		return p.webhook("webhook.cert-manager.io", s.URL, own, 1)
	}
}

// webhook makes a webhook for ConfigMaps of the namespace and returns why one is refused
// because of it. The API server takes a moment to know it, and another one to forget it.
func (p *provoker) webhook(name, url string, ca []byte, seconds int32) string {
	hooks := p.client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := hooks.Create(p.t.Context(), &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "provoked"},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: name, ClientConfig: admissionv1.WebhookClientConfig{URL: &url, CABundle: ca}, TimeoutSeconds: &seconds,
			SideEffects: ptr.To(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"provoked": "yes"}},
			Rules: []admissionv1.RuleWithOperations{{Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}}}},
		}},
	}, metav1.CreateOptions{})
	p.check(err)
	said := ""
	asked := func() bool {
		_, err := p.client.CoreV1().ConfigMaps(p.ns).Create(p.t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "x-"}}, metav1.CreateOptions{})
		if err == nil || !strings.Contains(err.Error(), name) {
			return false
		}
		said = err.Error()
		return true
	}
	p.until("the API server asks the webhook", asked)
	p.check(hooks.Delete(p.t.Context(), "provoked", metav1.DeleteOptions{}))
	p.until("the API server does not ask it any more", func() bool { return !asked() })
	return said
}

// addCharts adds messages of Helm.
func (p *provoker) addCharts(m map[string]func() string) {
	const job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: hook, annotations: {helm.sh/hook: %s}}\n" +
		"spec: {template: {spec: {restartPolicy: Never, nodeSelector: {provoked: none}, containers: [{name: hook, image: \"example/none:1\"}]}}}\n"
	install := func(name, manifest string) string {
		a := action.NewInstall(p.helm(p.ns))
		a.ReleaseName, a.Namespace, a.Timeout = name, p.ns, 2*time.Second
		_, err := a.Run(chartOf(name, manifest), nil)
		return p.refused(err)
	}
	m["hook after install"] = func() string { return install("after", fmt.Sprintf(job, "post-install")) }
	m["hook before install"] = func() string { return install("before", fmt.Sprintf(job, "pre-install")) }
	m["chart with a kind of no API"] = func() string {
		return install("unknown", "apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: x}\n")
	}
	m["release that is pending"] = func() string {
		config := p.helm(p.ns)
		c := chartOf("stuck", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: stuck}\n")
		p.check(config.Releases.Create(&release.Release{Name: "stuck", Namespace: p.ns, Version: 1, Chart: c, Info: &release.Info{Status: release.StatusPendingInstall}}))
		a := action.NewUpgrade(config)
		a.Namespace = p.ns
		_, err := a.Run("stuck", c, nil)
		return p.refused(err)
	}
}

func chartOf(name, manifest string) *chart.Chart {
	return &chart.Chart{
		Metadata:  &chart.Metadata{APIVersion: "v2", Name: name, Version: "1.0.0"},
		Templates: []*chart.File{{Name: "templates/one.yaml", Data: []byte(manifest)}},
	}
}

// addLogins adds Vault's messages about logins with the tokens of ServiceAccounts.
func (p *provoker) addLogins(m map[string]func() string) {
	const audience = "vault://vault-issuer"
	try := func(mount, role, jwt string) error {
		_, err := p.once().Logical().WriteWithContext(p.t.Context(), "auth/"+mount+"/login", fields{"role": role, "jwt": jwt})
		return err
	}
	login := func(mount, role, jwt string) string { return p.refused(try(mount, role, jwt)) }
	m["login for another audience"] = func() string {
		return login("kubernetes", "cert-manager", p.token("cert-manager", "vault-issuer", "vault://another"))
	}
	m["login of another ServiceAccount"] = func() string {
		return login("kubernetes", "cert-manager", p.token("cert-manager", "default", audience))
	}
	m["login from another namespace"] = func() string {
		p.account("vault-issuer")
		return login("kubernetes", "cert-manager", p.token(p.ns, "vault-issuer", audience))
	}
	m["login to a role that is not there"] = func() string {
		return login("kubernetes", "none", p.token("cert-manager", "vault-issuer", audience))
	}
	role := fields{"bound_service_account_names": "*", "bound_service_account_namespaces": p.ns, "audience": audience}
	m["login without a config"] = func() string {
		p.check(p.vault().Sys().EnableAuthWithOptions("unset", &api.EnableAuthOptions{Type: "kubernetes"}))
		p.write("auth/unset/role/any", role)
		p.account("unset")
		return login("unset", "any", p.token(p.ns, "unset", audience))
	}
	m["login of a deleted ServiceAccount"] = func() string {
		p.write("auth/kubernetes/role/gone", role)
		p.account("gone")
		jwt := p.token(p.ns, "gone", audience)
		p.check(p.client.CoreV1().ServiceAccounts(p.ns).Delete(p.t.Context(), "gone", metav1.DeleteOptions{}))
		// The API server knows a token for some seconds.
		var err error
		p.until("the token is refused", func() bool { err = try("kubernetes", "gone", jwt); return err != nil })
		return p.refused(err)
	}
}

// once is a client of Vault without a token that does not ask again when Vault answers with
// an error of its own.
func (p *provoker) once() *api.Client {
	c := p.vaultAt()
	c.SetMaxRetries(0)
	return c
}

func (p *provoker) account(name string) {
	p.t.Helper()
	_, err := p.client.CoreV1().ServiceAccounts(p.ns).Create(p.t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	p.check(err)
}

func (p *provoker) token(namespace, name, audience string) string {
	p.t.Helper()
	r, err := p.client.CoreV1().ServiceAccounts(namespace).CreateToken(p.t.Context(), name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}},
	}, metav1.CreateOptions{})
	p.check(err)
	return r.Status.Token
}

// addPKI adds Vault's messages about requests for certificates, and of mounts.
func (p *provoker) addPKI(m map[string]func() string) {
	write := func(c *api.Client, path string, data fields) string {
		_, err := c.Logical().WriteWithContext(p.t.Context(), path, data)
		return p.refused(err)
	}
	role := func(name string, data fields) {
		data["allow_any_name"], data["max_ttl"] = true, "43800h"
		p.write("pki_int/roles/"+name, data)
	}
	m["mount that is not there"] = func() string { return write(p.vault(), "pki_none/sign/x", fields{"csr": "x"}) }
	m["mount that is there"] = func() string { return p.refused(p.vault().Sys().Mount("pki", &api.MountInput{Type: "pki"})) }
	m["sign without a policy"] = func() string {
		s, err := p.vault().Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"default"}, TTL: "1m"})
		p.check(err)
		c := p.vaultAt()
		c.SetToken(s.Auth.ClientToken)
		return write(c, "pki_int/sign/example-dot-local", fields{"csr": "x"})
	}
	m["sign for another name"] = func() string {
		return write(p.vault(), "pki_int/issue/example-dot-local", fields{"common_name": "foo.example.org"})
	}
	m["sign without a name"] = func() string {
		role("strict", fields{"require_cn": true})
		return write(p.vault(), "pki_int/issue/strict", fields{"alt_names": "x.example.org"})
	}
	m["sign another key type"] = func() string {
		role("rsa", fields{"key_type": "rsa"})
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		p.check(err)
		csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"x.example.org"}}, key)
		p.check(err)
		return write(p.vault(), "pki_int/sign/rsa", fields{"common_name": "x.example.org",
			"csr": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}))})
	}
	m["sign beyond the CA"] = func() string {
		role("long", fields{})
		return write(p.vault(), "pki_int/issue/long", fields{"common_name": "x.example.org", "ttl": "43800h"})
	}
}

// addSeals adds Vault's messages when it is initialised, sealed, or new.
func (p *provoker) addSeals(m map[string]func() string) {
	m["second init"] = func() string {
		_, err := p.vaultAt().Sys().InitWithContext(p.t.Context(), &api.InitRequest{SecretShares: 1, SecretThreshold: 1})
		return p.refused(err)
	}
	health := func(c *api.Client) string {
		_, err := c.Logical().ReadRawWithContext(p.t.Context(), "sys/health")
		return p.refused(err)
	}
	sealed := func() *api.Client {
		c := p.once()
		s, err := c.Sys().SealStatusWithContext(p.t.Context())
		p.check(err)
		if !s.Sealed {
			p.check(p.vault().Sys().SealWithContext(p.t.Context()))
		}
		return c
	}
	m["request to a sealed Vault"] = func() string {
		c := sealed()
		c.SetToken("hvs.none")
		_, err := c.Logical().ListWithContext(p.t.Context(), "pki/issuers")
		return p.refused(err)
	}
	m["health of a sealed Vault"] = func() string { return health(sealed()) }
	m["health of a new Vault"] = func() string {
		return health(startVault(p.t, p.ztlab).client(p.t))
	}
}
