package e2e

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/hashicorp/vault/api"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/cli"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

// clients are connections to the world, made when they are first needed.
type clients struct {
	dynamic dynamic.Interface
	vault   *api.Client
}

// harness is the user agent and field manager of these tests.
const harness = "somebody-else"

func (w *world) kube() dynamic.Interface {
	w.t.Helper()
	if w.clients.dynamic == nil {
		config, err := clientcmd.BuildConfigFromFlags("", w.status.Kubeconfig)
		if err != nil {
			w.t.Fatal(err)
		}
		config.UserAgent, config.QPS = harness, -1
		if w.clients.dynamic, err = dynamic.NewForConfig(config); err != nil {
			w.t.Fatal(err)
		}
	}
	return w.clients.dynamic
}

// resources are the kinds that the tests touch.
var resources = map[string]schema.GroupVersionResource{
	"ApisixRoute":              {Group: "apisix.apache.org", Version: "v2", Resource: "apisixroutes"},
	"ApisixTls":                {Group: "apisix.apache.org", Version: "v2", Resource: "apisixtlses"},
	"ClusterRole":              {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"},
	"ConfigMap":                {Version: "v1", Resource: "configmaps"},
	"Certificate":              {Group: "cert-manager.io", Version: "v1", Resource: "certificates"},
	"ClusterIssuer":            {Group: "cert-manager.io", Version: "v1", Resource: "clusterissuers"},
	"CustomResourceDefinition": {Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"},
	"Deployment":               {Group: "apps", Version: "v1", Resource: "deployments"},
	"Gateway":                  {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"},
	"GatewayClass":             {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"},
	"HTTPRoute":                {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"},
	"Ingress":                  {Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"},
	"ReferenceGrant":           {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "referencegrants"},
	"GatewayProxy":             {Group: "apisix.apache.org", Version: "v1alpha1", Resource: "gatewayproxies"},
	"Node":                     {Version: "v1", Resource: "nodes"},
	"Lease":                    {Group: "coordination.k8s.io", Version: "v1", Resource: "leases"},
	"PersistentVolumeClaim":    {Version: "v1", Resource: "persistentvolumeclaims"},
	"Pod":                      {Version: "v1", Resource: "pods"},
	"Role":                     {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"},
	"RoleBinding":              {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
	"Secret":                   {Version: "v1", Resource: "secrets"},
	"Service":                  {Version: "v1", Resource: "services"},
	"ServiceAccount":           {Version: "v1", Resource: "serviceaccounts"},

	"ValidatingWebhookConfiguration": {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"},
}

// object splits "Kind/namespace/name" or "Kind/name".
func (w *world) object(path string) (dynamic.ResourceInterface, string) {
	w.t.Helper()
	parts := strings.Split(path, "/")
	r, ok := resources[parts[0]]
	if !ok {
		w.t.Fatalf("%s: the kind is not in the table", path)
	}
	if len(parts) == 2 {
		return w.kube().Resource(r), parts[1]
	}
	return w.kube().Resource(r).Namespace(parts[1]), parts[2]
}

// remove deletes an object and returns when it is gone.
func (w *world) remove(path string) {
	w.t.Helper()
	in, name := w.object(path)
	ctx := w.t.Context()
	list, err := in.List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(list.Items) == 0 {
		w.t.Fatalf("%s: is not there", path)
	}
	events, err := in.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name, ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		w.t.Fatal(err)
	}
	defer events.Stop()
	if err := in.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		w.t.Fatal(err)
	}
	for e := range events.ResultChan() {
		if e.Type == watch.Deleted {
			return
		}
	}
	w.t.Fatalf("%s: the watch ended before it was gone", path)
}

// merge changes an object by a JSON merge patch, as another manager.
func (w *world) merge(path, patch string) {
	w.t.Helper()
	in, name := w.object(path)
	if _, err := in.Patch(w.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: harness}); err != nil {
		w.t.Fatalf("%s: %v", path, err)
	}
}

// applyAs changes an object by server-side apply under the name of a manager.
func (w *world) applyAs(manager, path string, object map[string]any) {
	w.t.Helper()
	if err := w.apply(manager, path, object); err != nil {
		w.t.Fatalf("%s: %v", path, err)
	}
}

func (w *world) apply(manager, path string, object map[string]any) error {
	w.t.Helper()
	in, name := w.object(path)
	_, err := in.Apply(w.t.Context(), name, &unstructured.Unstructured{Object: object}, metav1.ApplyOptions{FieldManager: manager, Force: true})
	return err
}

func (w *world) get(path string) *unstructured.Unstructured {
	w.t.Helper()
	in, name := w.object(path)
	o, err := in.Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatalf("%s: %v", path, err)
	}
	return o
}

// keyFile is the content of the key file.
type keyFile struct {
	Keys      []string `json:"unseal_keys_b64"`
	Threshold int      `json:"unseal_threshold"`
	RootToken string   `json:"root_token"`
}

func (w *world) readKeys() (k keyFile) {
	w.t.Helper()
	b, err := os.ReadFile(w.keys())
	if err == nil {
		err = json.Unmarshal(b, &k)
	}
	if err != nil {
		w.t.Fatalf("key file: %v", err)
	}
	return k
}

// vault returns a client with a root token of the tests' own, straight to the
// server's port: that of the plan does not outlive a run.
func (w *world) vault() *api.Client {
	w.t.Helper()
	if w.clients.vault == nil {
		if w.root == "" {
			w.root = w.generateRoot(0, 1, 2)
		}
		c := w.vaultAt()
		c.SetToken(w.root)
		w.clients.vault = c
	}
	return w.clients.vault
}

// vaultSocket returns the path of Vault's socket, or "" while its pod has not started.
func (w *world) vaultSocket() string {
	for _, c := range w.status.Components {
		if c.Name == "vault" {
			return strings.TrimPrefix(c.Address, "unix:")
		}
	}
	return ""
}

// vaultTransport connects to the lab's Vault, which listens on a Unix socket,
// for any address. Each request has a connection of its own.
func (w *world) vaultTransport() *http.Transport {
	socket := w.vaultSocket()
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}
}

func (w *world) vaultAt() *api.Client {
	w.t.Helper()
	config := api.DefaultConfig()
	config.Address = "http://127.0.0.1:8200" // the container's own
	config.HttpClient = &http.Client{Transport: w.vaultTransport()}
	c, err := api.NewClient(config)
	if err != nil {
		w.t.Fatal(err)
	}
	c.SetToken("")
	return c
}

type fields = map[string]any

func (w *world) write(path string, data fields) *api.Secret {
	w.t.Helper()
	s, err := w.vault().Logical().WriteWithContext(w.t.Context(), path, data)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) read(path string) fields {
	w.t.Helper()
	s, err := w.vault().Logical().ReadWithContext(w.t.Context(), path)
	if err != nil {
		w.t.Fatal(err)
	}
	if s == nil {
		w.t.Fatalf("vault: %s is not there", path)
	}
	return s.Data
}

func (w *world) list(path string) []string {
	w.t.Helper()
	s, err := w.vault().Logical().ListWithContext(w.t.Context(), path)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	if s != nil {
		keys, _ := s.Data["keys"].([]any)
		for _, k := range keys {
			out = append(out, k.(string))
		}
	}
	return out
}

func (w *world) erase(path string) {
	w.t.Helper()
	if _, err := w.vault().Logical().DeleteWithContext(w.t.Context(), path); err != nil {
		w.t.Fatal(err)
	}
}

// helm returns Helm's own library on the lab, as the helm command uses it.
func (w *world) helm(namespace string) *action.Configuration {
	w.t.Helper()
	settings := cli.New()
	settings.KubeConfig = w.status.Kubeconfig
	settings.SetNamespace(namespace)
	config := new(action.Configuration)
	if err := config.Init(settings.RESTClientGetter(), namespace, "secret", func(string, ...any) {}); err != nil {
		w.t.Fatal(err)
	}
	return config
}
