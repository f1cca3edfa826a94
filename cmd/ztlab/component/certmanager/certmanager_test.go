package certmanager

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// chartArgs are the arguments of the chart's controller Deployment, with its
// variables expanded.
var chartArgs = []string{
	"--v=2",
	"--cluster-resource-namespace=cert-manager",
	"--leader-election-namespace=kube-system",
	"--acme-http01-solver-image=quay.io/jetstack/cert-manager-acmesolver:v1.21.2",
	"--max-concurrent-challenges=60",
}

// withConfig is a container that mounts a configuration file as the chart does.
func withConfig(t *testing.T, text string, args ...string) container.Spec {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return container.Spec{
		Args:   append([]string{"--config=/var/cert-manager/config/config.yaml"}, args...),
		Mounts: map[string]string{"/var/cert-manager/config": dir},
	}
}

func TestControllerConfigFromTheChartsArguments(t *testing.T) {
	c, err := controllerConfig(container.Spec{Args: append(chartArgs, "--leader-election-lease-duration=15s", "--feature-gates=ServerSideApply=true", "--enable-certificate-owner-ref")})
	if err != nil {
		t.Fatal(err)
	}
	if c.ClusterResourceNamespace != "cert-manager" || c.LeaderElectionConfig.Namespace != "kube-system" || !*c.LeaderElectionConfig.Enabled {
		t.Errorf("namespaces: %+v", c)
	}
	if got := c.LeaderElectionConfig.LeaseDuration.Duration.Duration; got != 15*time.Second {
		t.Errorf("lease duration = %v", got)
	}
	if got := c.CertificateRequestMinimumBackoffDuration.Duration.Duration; got != time.Hour {
		t.Errorf("backoff = %v; want upstream's default", got)
	}
	if diff := cmp.Diff(map[string]bool{"ServerSideApply": true}, c.FeatureGates); diff != "" {
		t.Errorf("feature gates (-want +got):\n%s", diff)
	}
	if !*c.EnableCertificateOwnerRef || c.Logging.Verbosity != 2 {
		t.Errorf("owner references %v, verbosity %d", *c.EnableCertificateOwnerRef, c.Logging.Verbosity)
	}
}

func TestControllerConfigFromAFile(t *testing.T) {
	const file = `
apiVersion: controller.config.cert-manager.io/v1alpha1
kind: ControllerConfiguration
certificateRequestMinimumBackoffDuration: 1m
clusterResourceNamespace: from-file
numberOfConcurrentWorkers: 2
`
	c, err := controllerConfig(withConfig(t, file))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.CertificateRequestMinimumBackoffDuration.Duration.Duration; got != time.Minute {
		t.Errorf("backoff = %v; want the file's", got)
	}
	if c.ClusterResourceNamespace != "from-file" || *c.NumberOfConcurrentWorkers != 2 || *c.KubernetesAPIBurst != 50 {
		t.Errorf("configuration %+v", c)
	}
	c, err = controllerConfig(withConfig(t, file, "--cluster-resource-namespace=from-flag"))
	if err != nil || c.ClusterResourceNamespace != "from-flag" {
		t.Errorf("with a flag: %q, %v; want the flag's", c.ClusterResourceNamespace, err)
	}
}

// The Gateway API is off unless the chart's values or a flag switch it on, by either of its
// names.
func TestGatewayAPIIsAsked(t *testing.T) {
	const file = "apiVersion: controller.config.cert-manager.io/v1alpha1\nkind: ControllerConfiguration\n"
	for text, want := range map[string]bool{
		"": false, "enableGatewayAPI: true": true, "enableGatewayAPI: false": false, "gatewayAPI: {enabled: true}": true,
	} {
		c, err := controllerConfig(withConfig(t, file+text))
		if err != nil {
			t.Fatal(err)
		}
		if got := contextOptions(c, "").EnableGatewayAPI; got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	c, err := controllerConfig(container.Spec{Args: append(chartArgs, "--enable-gateway-api")})
	if err != nil || !contextOptions(c, "").EnableGatewayAPI {
		t.Errorf("flag: %v", err)
	}
}

func TestConfigurationErrors(t *testing.T) {
	tests := map[string]struct {
		spec container.Spec
		want string
	}{
		"unknown flag": {container.Spec{Args: []string{"--no-such-flag"}}, "unknown flag: --no-such-flag"},
		"no volume":    {container.Spec{Args: []string{"--config=/elsewhere/config.yaml"}}, "no volume of the container holds it"},
		"wrong kind":   {withConfig(t, "apiVersion: v1\nkind: ConfigMap\n"), "want controller.config.cert-manager.io/v1alpha1 ControllerConfiguration"},
		"unknown key":  {withConfig(t, "apiVersion: controller.config.cert-manager.io/v1alpha1\nkind: ControllerConfiguration\nnoSuchKey: 1\n"), `unknown field "noSuchKey"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := controllerConfig(tt.spec); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v; want one with %q", err, tt.want)
			}
		})
	}
}

func TestInjectorConfig(t *testing.T) {
	c, err := injectorConfig(container.Spec{Args: []string{"--v=2", "--leader-election-namespace=kube-system", "--enable-apiservices-injectable=false", "--metrics-listen-address=0", "--ignore-namespaces=a,b"}})
	if err != nil {
		t.Fatal(err)
	}
	options := setupOptions(c)
	want := map[string]bool{"mutatingwebhookconfiguration": true, "validatingwebhookconfiguration": true, "customresourcedefinition": true, "apiservice": false}
	if diff := cmp.Diff(want, options.EnabledReconcilersFor); diff != "" {
		t.Errorf("reconcilers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b"}, options.IgnoreNamespaces); diff != "" {
		t.Errorf("ignored namespaces (-want +got):\n%s", diff)
	}
}

func TestEnabledControllers(t *testing.T) {
	known := map[string]controller.Constructor{"a": nil, "b": nil, "c": nil}
	tests := map[string]struct{ list, want []string }{
		"default":  {[]string{"*"}, []string{"a", "b", "c"}},
		"without":  {[]string{"-b"}, []string{"a", "c"}}, // as the chart's disableAutoApproval passes it
		"all but":  {[]string{"*", "-a"}, []string{"b", "c"}},
		"only one": {[]string{"b"}, []string{"b"}},
	}
	for name, tt := range tests {
		got := enabledControllers(tt.list, known)
		if len(got) != len(tt.want) || !got.HasAll(tt.want...) {
			t.Errorf("%s: %v; want %v", name, got.UnsortedList(), tt.want)
		}
	}
}

func TestEveryNeededControllerIsLinked(t *testing.T) {
	for _, name := range []string{
		"issuers", "clusterissuers", "ingress-shim", "gateway-shim",
		"certificaterequests-approver", "certificaterequests-issuer-ca", "certificaterequests-issuer-selfsigned", "certificaterequests-issuer-vault",
		"certificates-trigger", "certificates-issuing", "certificates-key-manager", "certificates-request-manager",
		"certificates-readiness", "certificates-revision-manager", "certificates-metrics",
	} {
		if _, ok := controller.Known()[name]; !ok {
			t.Errorf("controller %s is not linked in", name)
		}
	}
}

func TestKubeconfigNamesTheTokenFile(t *testing.T) {
	spec := container.Spec{
		Namespace: "cert-manager", Pod: "p", Dir: t.TempDir(),
		APIServer: "https://127.0.0.1:6443", TokenFile: filepath.Join(t.TempDir(), "token"), CAFile: filepath.Join(t.TempDir(), "ca.crt"),
	}
	if err := os.WriteFile(spec.TokenFile, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(spec.CAFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := writeKubeconfig(spec)
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != spec.APIServer || config.BearerTokenFile != spec.TokenFile || config.CAFile != spec.CAFile || config.Insecure {
		t.Errorf("configuration %+v", config)
	}
	spec.TokenFile = ""
	if _, err := writeKubeconfig(spec); err == nil || !strings.Contains(err.Error(), "automountServiceAccountToken") {
		t.Errorf("without a token: %v; want what to do", err)
	}
}

func TestCheckArguments(t *testing.T) {
	if wait, err := checkArguments([]string{"check", "api", "--wait=1m", "-v"}); err != nil || wait != time.Minute {
		t.Errorf("wait %v, error %v", wait, err)
	}
	for _, args := range [][]string{nil, {"check"}, {"renew", "x"}, {"check", "api", "--nope"}} {
		if _, err := checkArguments(args); err == nil {
			t.Errorf("checkArguments(%q): no error", args)
		}
	}
}

func TestWebhookArguments(t *testing.T) {
	spec := func(args ...string) container.Spec {
		return container.Spec{Namespace: "cert-manager", Pod: "p", Dir: t.TempDir(), APIServer: "https://127.0.0.1:6443", TokenFile: "/pod/token", CAFile: "/pod/ca.crt",
			Args: append([]string{"--v=2", "--secure-port=10250",
				"--dynamic-serving-ca-secret-namespace=cert-manager", "--dynamic-serving-ca-secret-name=cert-manager-webhook-ca",
				"--dynamic-serving-dns-names=cert-manager-webhook", "--dynamic-serving-dns-names=cert-manager-webhook.cert-manager.svc"}, args...)}
	}
	w, err := newWebhook(spec(), func(container.Report) {})
	if err != nil {
		t.Fatal(err)
	}
	if w.ports.secure != 10250 || w.ports.healthz != 6080 {
		t.Errorf("ports %+v; want the chart's", w.ports)
	}
	if last := w.args[len(w.args)-1]; !strings.HasPrefix(last, "--kubeconfig=") {
		t.Errorf("last argument %q; want the pod's kubeconfig", last)
	}
	for _, bad := range []string{"--config=/x", "--enable-client-verification", "--nope"} {
		if _, err := newWebhook(spec(bad), func(container.Report) {}); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
