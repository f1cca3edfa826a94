package e2e_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
)

var vaultRelease = release{
	repo: "https://helm.releases.hashicorp.com", chart: "vault", version: "0.31.0",
	name: "vault", namespace: "vault",
	values: `server: {dev: {enabled: false}, ha: {enabled: false}, standalone: {enabled: true}, dataStorage: {enabled: true, size: 1Gi}}`,
}

// forward opens a port-forward through the API server, as ztplan does.
func (l *lab) forward(t *testing.T, namespace, pod string, port int) string {
	t.Helper()
	request := l.api.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward")
	transport, upgrader, err := spdy.RoundTripperFor(l.config)
	if err != nil {
		t.Fatal(err)
	}
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, request.URL())
	stop, ready := make(chan struct{}), make(chan struct{})
	f, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", port)}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() { failed <- f.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-failed:
		t.Fatalf("port-forward to %s/%s: %v", namespace, pod, err)
	}
	t.Cleanup(func() { close(stop) })
	ports, err := f.GetPorts()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("http://127.0.0.1:%d", ports[0].Local)
}

// vaultAPI calls Vault and decodes its answer.
func vaultAPI(t *testing.T, method, url string, body any) map[string]any {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := map[string]any{}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatalf("%s %s: %s: %v", method, url, resp.Status, err)
	}
	return answer
}

// podPhase returns a pod's phase and whether it is Ready.
func (l *lab) podPhase(t *testing.T, namespace, name string) (corev1.PodPhase, bool) {
	t.Helper()
	pod, err := l.api.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		return "", false
	}
	ready := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
	return pod.Status.Phase, ready
}

func unseal(t *testing.T, url string, keys []string) {
	t.Helper()
	for _, key := range keys[:3] {
		vaultAPI(t, http.MethodPut, url+"/v1/sys/unseal", map[string]any{"key": key})
	}
}

func TestVaultIsSealedAfterARestart(t *testing.T) {
	l := up(t)
	l.install(t, vaultRelease)
	waitFor(t, "vault-0 runs", func() bool {
		phase, _ := l.podPhase(t, "vault", "vault-0")
		return phase == corev1.PodRunning && l.component(t, "vault").Address != ""
	})
	if _, ready := l.podPhase(t, "vault", "vault-0"); ready {
		t.Error("vault-0 is Ready before Vault is initialised")
	}
	if c := l.component(t, "vault"); c.State != labstate.StateNotReady || c.StandIn || c.PID == 0 {
		t.Errorf("status of an uninitialised Vault: %+v, want the real one, not ready", c)
	}
	// The first client could initialise it: other users must not reach it.
	onlyOwner(t, l.component(t, "vault"))
	if s := l.status(t); !s.Ready {
		t.Errorf("a sealed Vault makes the lab not ready: %s", s.Message)
	}

	keys := l.vaultByCommands(t)
	waitFor(t, "vault-0 is Ready", func() bool { _, ready := l.podPhase(t, "vault", "vault-0"); return ready })

	before := l.component(t, "vault").PID
	if _, err := ztlab(t, "restart", "vault", "--lab-dir", l.dir); err != nil {
		t.Fatal(err)
	}
	if after := l.component(t, "vault").PID; after == before || after == 0 {
		t.Errorf("vault had pid %d before the restart and %d after", before, after)
	}
	url := l.forward(t, "vault", "vault-0", 8200)
	status := vaultAPI(t, http.MethodGet, url+"/v1/sys/seal-status", nil)
	if status["initialized"] != true || status["sealed"] != true {
		t.Errorf("after a restart: initialized %v, sealed %v, want both true", status["initialized"], status["sealed"])
	}
	waitFor(t, "vault-0 is not Ready", func() bool { _, ready := l.podPhase(t, "vault", "vault-0"); return !ready })
	unseal(t, url, keys)
	waitFor(t, "the old keys unseal it", func() bool { _, ready := l.podPhase(t, "vault", "vault-0"); return ready })

	waitFor(t, "the logs of vault-0 have what Vault says", func() bool {
		logs, err := l.api.CoreV1().Pods("vault").GetLogs("vault-0", &corev1.PodLogOptions{}).DoRaw(t.Context())
		return err == nil && strings.Contains(string(logs), "vault is unsealed")
	})

	// The data is still there when the whole lab was away.
	if _, err := ztlab(t, "down", "--lab-dir", l.dir); err != nil {
		t.Fatal(err)
	}
	l.start(t)
	waitFor(t, "vault-0 runs again", func() bool {
		return l.component(t, "vault").Address != ""
	})
	url = l.forward(t, "vault", "vault-0", 8200)
	status = vaultAPI(t, http.MethodGet, url+"/v1/sys/seal-status", nil)
	if status["initialized"] != true || status["sealed"] != true {
		t.Errorf("after a restart of the lab: initialized %v, sealed %v, want both true", status["initialized"], status["sealed"])
	}
}

// A new pod looks every second whether the old one's lease is free; cert-manager's
// default is 15 to 33.
var certManagerRelease = release{
	repo: "https://charts.jetstack.io", chart: "cert-manager", version: "v1.21.2",
	name: "cert-manager", namespace: "cert-manager", values: `{crds: {enabled: true}, global: {leaderElection: {retryPeriod: 1s}}}`,
}

const selfSigned = `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: self}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: leaf}
spec: {secretName: leaf-tls, dnsNames: [leaf.example.local], issuerRef: {name: self}}
`

const tooShort = `
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: short}
spec: {secretName: short-tls, duration: 30m, dnsNames: [short.example.local], issuerRef: {name: self}}
`

func TestCertManagersOwnChart(t *testing.T) {
	l := shared(t)
	l.install(t, certManagerRelease)
	waitFor(t, "the start-up check's Job completes", func() bool {
		job, err := l.api.BatchV1().Jobs("cert-manager").Get(t.Context(), "cert-manager-startupapicheck", metav1.GetOptions{})
		return err == nil && job.Status.Succeeded > 0
	})
	l.apply(t, "default", selfSigned) // through the webhook
	waitFor(t, "the certificate is issued", func() bool {
		secret, err := l.api.CoreV1().Secrets("default").Get(t.Context(), "leaf-tls", metav1.GetOptions{})
		return err == nil && len(secret.Data["tls.crt"]) > 0
	})
	// The webhook is the real one, with its refusals.
	short := new(unstructured.Unstructured)
	if err := yaml.Unmarshal([]byte(tooShort), &short.Object); err != nil {
		t.Fatal(err)
	}
	if err := l.applyObject(t, "default", short); err == nil || !strings.Contains(err.Error(), "must be greater than") {
		t.Errorf("a certificate for 30 minutes: %v, want the webhook's refusal", err)
	}
	for _, name := range []string{"cert-manager", "webhook", "cainjector"} {
		if c := l.component(t, name); c.State != labstate.StateReady || c.StandIn {
			t.Errorf("%s = %+v, want the real one, ready", name, c)
		}
		before := l.component(t, name).PID
		if _, err := ztlab(t, "kill", name, "--lab-dir", l.dir); err != nil {
			t.Fatal(err)
		}
		waitFor(t, name+" comes back after SIGKILL", func() bool {
			c := l.component(t, name)
			return c.State == labstate.StateReady && c.PID != before
		})
	}
	// The new pod of a rollout is ready while the old one holds the lease, as
	// upstream, where the containers have no probe.
	for _, name := range []string{"cert-manager", "cert-manager-cainjector"} {
		deployments := l.api.AppsV1().Deployments("cert-manager")
		patch := []byte(`{"spec": {"template": {"metadata": {"annotations": {"rolled": "out"}}}}}`)
		if _, err := deployments.Patch(t.Context(), name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the rollout of "+name+" ends", func() bool {
			d, err := deployments.Get(t.Context(), name, metav1.GetOptions{})
			return err == nil && d.Status.ObservedGeneration == d.Generation &&
				d.Status.UpdatedReplicas == 1 && d.Status.Replicas == 1 && d.Status.AvailableReplicas == 1
		})
	}
	if err := l.api.CoreV1().Secrets("default").Delete(t.Context(), "leaf-tls", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the new controller issues the certificate again", func() bool {
		secret, err := l.api.CoreV1().Secrets("default").Get(t.Context(), "leaf-tls", metav1.GetOptions{})
		return err == nil && len(secret.Data["tls.crt"]) > 0
	})
}

var apisixRelease = release{
	repo: "https://apache.github.io/apisix-helm-chart", chart: "apisix", version: "2.14.0",
	name: "apisix", namespace: "ingress-apisix",
	values: `
apisix: {ssl: {enabled: true}}
service: {type: NodePort, tls: {nodePort: 30443}}
ingress-controller: {enabled: true, gatewayProxy: {createDefault: true}}
`,
}

func TestGatewayIsAStandInThatSaysSo(t *testing.T) {
	l := shared(t)
	l.install(t, apisixRelease)
	waitFor(t, "the gateway is ready", func() bool { return l.component(t, "gateway").State == labstate.StateReady })
	for _, name := range []string{"gateway", "ingress-controller"} {
		if !l.component(t, name).StandIn {
			t.Errorf("status does not call %s a stand-in", name)
		}
	}
	waitFor(t, "the node port is open", func() bool { return l.accepts(t, "30443") })
	before := l.component(t, "gateway").PID
	if _, err := ztlab(t, "kill", "gateway", "--lab-dir", l.dir); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the gateway comes back", func() bool {
		c := l.component(t, "gateway")
		return c.State == labstate.StateReady && c.PID != before
	})
}

const gatewayOfAShim = `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: self}
spec: {selfSigned: {}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: apisix}
spec: {controllerName: apisix.apache.org/apisix-ingress-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: shim, annotations: {cert-manager.io/issuer: self}}
spec:
  gatewayClassName: apisix
  infrastructure: {parametersRef: {group: apisix.apache.org, kind: GatewayProxy, name: apisix-config}}
  listeners:
    - {name: shim, port: 443, protocol: HTTPS, hostname: shim.example.local, tls: {certificateRefs: [{name: shim-tls}]}}
`

// cert-manager's shim issues the certificate that a listener asks for, and the gateway
// serves it.
func TestCertificateOfAGateway(t *testing.T) {
	l := shared(t)
	l.install(t, certManagerRelease)
	l.install(t, apisixRelease)
	patch := []byte(`[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--enable-gateway-api"}]`)
	if _, err := l.api.AppsV1().Deployments("cert-manager").Patch(t.Context(), "cert-manager", types.JSONPatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the node port is open", func() bool { return l.accepts(t, "30443") })
	l.apply(t, apisixRelease.namespace, gatewayOfAShim)
	dialer := tls.Dialer{Config: &tls.Config{ServerName: "shim.example.local", InsecureSkipVerify: true}}
	waitFor(t, "the gateway serves the certificate", func() bool {
		conn, err := dialer.DialContext(t.Context(), "tcp", net.JoinHostPort(l.status(t).Address, "30443"))
		if err != nil {
			return false
		}
		defer conn.Close()
		return slices.Contains(conn.(*tls.Conn).ConnectionState().PeerCertificates[0].DNSNames, "shim.example.local")
	})
}
