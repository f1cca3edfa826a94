package charts_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/cmd/ztlab/charts"
	"github.com/ztplan/ztplan/cmd/ztlab/charts/charttest"
)

// The values of the guide, with the keys that the charts know.
const (
	vaultValues = `
server:
  dev: {enabled: false}
  ha: {enabled: false}
  standalone: {enabled: true}
  dataStorage: {enabled: true, size: 1Gi}
`
	apisixValues = `
apisix:
  ssl: {enabled: true, containerPort: 9443}
  nginx: {customLuaSharedDicts: [{name: poly-cache, size: 10m}]}
service: {type: NodePort, tls: {nodePort: 30443}}
ingress-controller:
  enabled: true
  config: {kubernetes: {ingressClass: apisix}}
  gatewayProxy: {createDefault: true}
`
)

// names lists objects as Kind/name.
func names(objects []*unstructured.Unstructured) []string {
	var all []string
	for _, o := range objects {
		all = append(all, o.GetKind()+"/"+o.GetName())
	}
	slices.Sort(all)
	return all
}

func find(t *testing.T, objects []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, o := range objects {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	t.Fatalf("no %s %s among %v", kind, name, names(objects))
	return nil
}

// at reads a field by its path; numbers step into lists.
func at(o *unstructured.Unstructured, path ...any) any {
	var value any = o.Object
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, ok := value.(map[string]any)
			if !ok {
				return nil
			}
			value = m[step]
		case int:
			l, ok := value.([]any)
			if !ok || step >= len(l) {
				return nil
			}
			value = l[step]
		}
	}
	return value
}

type obj = map[string]any

// A fact is a field that a plan, a test or a user relies on.
type fact struct {
	kind, name string
	path       []any
	want       any
}

func check(t *testing.T, objects []*unstructured.Unstructured, facts []fact) {
	t.Helper()
	for _, f := range facts {
		got := at(find(t, objects, f.kind, f.name), f.path...)
		if diff := cmp.Diff(f.want, got); diff != "" {
			t.Errorf("%s %s %v (-want +got):\n%s", f.kind, f.name, f.path, diff)
		}
	}
}

func TestVaultObjects(t *testing.T) {
	objects := charttest.MustRender(t, charttest.Find(t, "vault", "0.31.0"), "vault", "vault", vaultValues)
	want := []string{
		"ClusterRole/vault-agent-injector-clusterrole",
		"ClusterRoleBinding/vault-agent-injector-binding",
		"ClusterRoleBinding/vault-server-binding",
		"ConfigMap/vault-config",
		"Deployment/vault-agent-injector",
		"MutatingWebhookConfiguration/vault-agent-injector-cfg",
		"Pod/vault-server-test",
		"Service/vault",
		"Service/vault-agent-injector-svc",
		"Service/vault-internal",
		"ServiceAccount/vault",
		"ServiceAccount/vault-agent-injector",
		"StatefulSet/vault",
	}
	if diff := cmp.Diff(want, names(objects)); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	selector := obj{"app.kubernetes.io/name": "vault", "app.kubernetes.io/instance": "vault", "component": "server"}
	container := []any{"spec", "template", "spec", "containers", 0}
	in := func(path ...any) []any { return slices.Concat(container, path) }
	check(t, objects, []fact{
		{"ClusterRoleBinding", "vault-server-binding", []any{"roleRef", "name"}, "system:auth-delegator"},
		{"ClusterRoleBinding", "vault-server-binding", []any{"subjects", 0}, obj{"kind": "ServiceAccount", "name": "vault", "namespace": "vault"}},
		{"Service", "vault", []any{"spec", "publishNotReadyAddresses"}, true},
		{"Service", "vault", []any{"spec", "ports", 0}, obj{"name": "http", "port": 8200.0, "targetPort": 8200.0}},
		{"Service", "vault", []any{"spec", "ports", 1, "port"}, 8201.0},
		{"Service", "vault", []any{"spec", "selector"}, selector},
		{"Service", "vault-internal", []any{"spec", "clusterIP"}, "None"},
		{"Service", "vault-internal", []any{"spec", "publishNotReadyAddresses"}, true},
		{"Service", "vault-agent-injector-svc", []any{"spec", "ports", 0}, obj{"name": "https", "port": 443.0, "targetPort": 8080.0}},
		{"StatefulSet", "vault", []any{"spec", "updateStrategy", "type"}, "OnDelete"},
		{"StatefulSet", "vault", []any{"spec", "podManagementPolicy"}, "Parallel"},
		{"StatefulSet", "vault", []any{"spec", "serviceName"}, "vault-internal"},
		{"StatefulSet", "vault", []any{"spec", "selector", "matchLabels"}, selector},
		{"StatefulSet", "vault", []any{"spec", "template", "spec", "serviceAccountName"}, "vault"},
		{"StatefulSet", "vault", []any{"spec", "template", "metadata", "labels", "helm.sh/chart"}, "vault-0.31.0"},
		{"StatefulSet", "vault", []any{"spec", "volumeClaimTemplates", 0, "metadata", "name"}, "data"},
		{"StatefulSet", "vault", []any{"spec", "volumeClaimTemplates", 0, "spec", "resources", "requests", "storage"}, "1Gi"},
		{"StatefulSet", "vault", in("image"), "hashicorp/vault:1.20.4"},
		{"StatefulSet", "vault", in("readinessProbe", "exec", "command", 2), "vault status -tls-skip-verify"},
		{"StatefulSet", "vault", in("ports", 0), obj{"name": "http", "containerPort": 8200.0}},
		{"MutatingWebhookConfiguration", "vault-agent-injector-cfg", []any{"webhooks", 0, "failurePolicy"}, "Ignore"},
		{"Pod", "vault-server-test", []any{"metadata", "annotations"}, obj{"helm.sh/hook": "test"}},
	})
	config := at(find(t, objects, "ConfigMap", "vault-config"), "data", "extraconfig-from-values.hcl").(string)
	for _, want := range []string{"tls_disable = 1", `address = "[::]:8200"`, `path = "/vault/data"`, "disable_mlock = true"} {
		if !strings.Contains(config, want) {
			t.Errorf("configuration without %q:\n%s", want, config)
		}
	}
}

func TestVaultValues(t *testing.T) {
	archive := charttest.Find(t, "vault", "0.31.0")
	container := []any{"spec", "template", "spec", "containers", 0}
	in := func(path ...any) []any { return slices.Concat(container, path) }
	for _, c := range []struct {
		name, release, values string
		facts                 []fact
		absent                []string
	}{
		{
			name: "no injector, no delegator", release: "vault",
			values: "injector: {enabled: false}\nserver: {authDelegator: {enabled: false}, dataStorage: {enabled: false}}",
			facts:  []fact{{"StatefulSet", "vault", []any{"spec", "volumeClaimTemplates"}, nil}},
			absent: []string{"Deployment/vault-agent-injector", "ClusterRoleBinding/vault-server-binding", "MutatingWebhookConfiguration/vault-agent-injector-cfg"},
		},
		{
			name: "rolling, probe by path", release: "vault",
			values: "server: {updateStrategyType: RollingUpdate, readinessProbe: {path: '/v1/sys/health?standbyok=true&sealedcode=204&uninitcode=204'}}",
			facts: []fact{
				{"StatefulSet", "vault", []any{"spec", "updateStrategy", "type"}, "RollingUpdate"},
				{"StatefulSet", "vault", in("readinessProbe", "httpGet"), obj{"path": "/v1/sys/health?standbyok=true&sealedcode=204&uninitcode=204", "port": 8200.0, "scheme": "HTTP"}},
			},
		},
		{
			name: "dev", release: "vault",
			values: "server: {dev: {enabled: true, devRootToken: t}}",
			facts: []fact{
				{"StatefulSet", "vault", []any{"spec", "volumeClaimTemplates"}, nil},
				{"StatefulSet", "vault", in("args", 0), "exec vault server -dev"},
			},
			absent: []string{"ConfigMap/vault-config"},
		},
		{
			name: "another release", release: "secrets",
			facts: []fact{
				{"StatefulSet", "secrets-vault", []any{"spec", "serviceName"}, "secrets-vault-internal"},
				{"ClusterRoleBinding", "secrets-vault-server-binding", []any{"subjects", 0, "name"}, "secrets-vault"},
			},
		},
		{
			name: "unknown keys are ignored", release: "vault",
			values: "nonsense: true\nserver: {nonsense: {a: b}}",
			facts:  []fact{{"StatefulSet", "vault", []any{"spec", "replicas"}, 1.0}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			objects := charttest.MustRender(t, archive, c.release, "vault", c.values)
			check(t, objects, c.facts)
			for _, name := range c.absent {
				if slices.Contains(names(objects), name) {
					t.Errorf("%s is there", name)
				}
			}
		})
	}
}

// A cluster of three has what the servers need to find each other.
func TestVaultCluster(t *testing.T) {
	objects := charttest.MustRender(t, charttest.Find(t, "vault", "0.31.0"), "vault", "vault",
		`server: {affinity: "", ha: {enabled: true, raft: {enabled: true, setNodeId: true}}}`)
	env := []any{"spec", "template", "spec", "containers", 0, "env"}
	check(t, objects, []fact{
		{"StatefulSet", "vault", []any{"spec", "replicas"}, 3.0},
		{"StatefulSet", "vault", []any{"spec", "podManagementPolicy"}, "Parallel"},
		{"StatefulSet", "vault", []any{"spec", "template", "spec", "affinity"}, nil},
		{"StatefulSet", "vault", append(slices.Clone(env), 7, "value"), "https://$(HOSTNAME).vault-internal:8201"},
		{"StatefulSet", "vault", append(slices.Clone(env), 8, "name"), "VAULT_RAFT_NODE_ID"},
		{"Service", "vault-active", []any{"spec", "selector", "vault-active"}, "true"},
		{"Service", "vault-standby", []any{"spec", "selector", "vault-active"}, "false"},
		{"Role", "vault-discovery-role", []any{"rules", 0, "verbs", 4}, "patch"},
		{"PodDisruptionBudget", "vault", []any{"spec", "maxUnavailable"}, 1.0},
	})
}

// Values that the lab cannot run are refused, not rendered and left to fail.
func TestRefusedValues(t *testing.T) {
	for _, c := range []struct{ chart, version, values, want string }{
		{"vault", "0.31.0", "server: {ha: {enabled: true}}", "server.ha without server.ha.raft.enabled=true cannot run"},
		{"apisix", "2.14.0", "apisix: {deployment: {role_traditional: {config_provider: yaml}}}", "keep etcd"},
	} {
		t.Run(c.chart, func(t *testing.T) {
			_, err := charttest.Render(t, charttest.Find(t, c.chart, c.version), c.chart, c.chart, c.values)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestAPISIXObjects(t *testing.T) {
	objects := charttest.MustRender(t, charttest.Find(t, "apisix", "2.14.0"), "apisix", "ingress-apisix", apisixValues)
	want := []string{
		"ClusterRole/apisix-apisix-ingress-manager-role",
		"ClusterRole/apisix-apisix-ingress-metrics-auth-role",
		"ClusterRole/apisix-apisix-ingress-metrics-reader",
		"ClusterRoleBinding/apisix-apisix-ingress-manager-rolebinding",
		"ClusterRoleBinding/apisix-apisix-ingress-metrics-auth-rolebinding",
		"ConfigMap/apisix",
		"ConfigMap/apisix-ingress-config",
		"Deployment/apisix",
		"Deployment/apisix-ingress-controller",
		"GatewayProxy/apisix-config",
		"IngressClass/apisix",
		"Job/apisix-etcd-pre-upgrade",
		"NetworkPolicy/apisix-etcd",
		"PodDisruptionBudget/apisix-etcd",
		"Role/apisix-apisix-ingress-leader-election-role",
		"RoleBinding/apisix-apisix-ingress-leader-election-rolebinding",
		"Secret/apisix-etcd-jwt-token",
		"Secret/apisix-ingress-controller-webhook-cert",
		"Service/apisix-admin",
		"Service/apisix-etcd",
		"Service/apisix-etcd-headless",
		"Service/apisix-gateway",
		"Service/apisix-ingress-controller",
		"Service/apisix-ingress-controller-webhook-svc",
		"ServiceAccount/apisix",
		"ServiceAccount/apisix-etcd",
		"StatefulSet/apisix-etcd",
		"ValidatingWebhookConfiguration/apisix-ingress-controller-webhook",
	}
	if diff := cmp.Diff(want, names(objects)); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	gateway := obj{"app.kubernetes.io/name": "apisix", "app.kubernetes.io/instance": "apisix"}
	controller := obj{"app.kubernetes.io/name": "ingress-controller", "app.kubernetes.io/instance": "apisix"}
	pod := func(path ...any) []any { return slices.Concat([]any{"spec", "template", "spec"}, path) }
	check(t, objects, []fact{
		{"Deployment", "apisix", []any{"spec", "replicas"}, 1.0},
		{"Deployment", "apisix", []any{"spec", "selector", "matchLabels"}, gateway},
		{"Deployment", "apisix", pod("serviceAccountName"), "default"},
		{"Deployment", "apisix", pod("containers", 0, "image"), "apache/apisix:3.16.0-ubuntu"},
		{"Deployment", "apisix", pod("containers", 0, "ports"), []any{
			obj{"name": "http", "containerPort": 9080.0, "protocol": "TCP"},
			obj{"name": "tls", "containerPort": 9443.0, "protocol": "TCP"},
			obj{"name": "admin", "containerPort": 9180.0, "protocol": "TCP"},
			obj{"name": "control", "containerPort": 9090.0, "protocol": "TCP"},
		}},
		{"Deployment", "apisix", pod("containers", 0, "readinessProbe", "tcpSocket", "port"), 9080.0},
		{"Deployment", "apisix", pod("initContainers", 0, "name"), "wait-etcd"},
		{"Deployment", "apisix", pod("initContainers", 0, "image"), "busybox:1.28"},
		{"Deployment", "apisix-ingress-controller", []any{"spec", "selector", "matchLabels"}, controller},
		{"Deployment", "apisix-ingress-controller", pod("serviceAccountName"), "apisix"},
		{"Deployment", "apisix-ingress-controller", pod("containers", 0, "name"), "manager"},
		{"Deployment", "apisix-ingress-controller", pod("containers", 0, "image"), "apache/apisix-ingress-controller:2.0.1"},
		{"Deployment", "apisix-ingress-controller", pod("containers", 1, "name"), "adc-server"},
		{"Deployment", "apisix-ingress-controller", pod("containers", 1, "image"), "ghcr.io/api7/adc:0.23.1"},
		{"StatefulSet", "apisix-etcd", []any{"spec", "replicas"}, 3.0},
		{"StatefulSet", "apisix-etcd", []any{"spec", "podManagementPolicy"}, "Parallel"},
		{"StatefulSet", "apisix-etcd", []any{"spec", "updateStrategy", "type"}, "RollingUpdate"},
		{"StatefulSet", "apisix-etcd", []any{"spec", "volumeClaimTemplates", 0, "spec", "resources", "requests", "storage"}, "8Gi"},
		{"StatefulSet", "apisix-etcd", pod("containers", 0, "image"), "docker.io/bitnamilegacy/etcd:latest"},
		{"StatefulSet", "apisix-etcd", pod("containers", 0, "readinessProbe", "initialDelaySeconds"), 60.0},
		{"Service", "apisix-gateway", []any{"spec", "type"}, "NodePort"},
		{"Service", "apisix-gateway", []any{"spec", "selector"}, gateway},
		{"Service", "apisix-gateway", []any{"spec", "ports"}, []any{
			obj{"name": "apisix-gateway", "port": 80.0, "targetPort": 9080.0, "protocol": "TCP"},
			obj{"name": "apisix-gateway-tls", "port": 443.0, "targetPort": 9443.0, "nodePort": 30443.0, "protocol": "TCP"},
		}},
		{"Service", "apisix-admin", []any{"spec", "type"}, "ClusterIP"},
		{"Service", "apisix-admin", []any{"spec", "ports", 0, "port"}, 9180.0},
		{"Service", "apisix-etcd-headless", []any{"spec", "publishNotReadyAddresses"}, true},
		{"Service", "apisix-ingress-controller-webhook-svc", []any{"spec", "ports", 0}, obj{"name": "webhook", "port": 443.0, "targetPort": "webhook", "protocol": "TCP"}},
		{"IngressClass", "apisix", []any{"spec"}, obj{
			"controller": "apisix.apache.org/apisix-ingress-controller",
			"parameters": obj{"apiGroup": "apisix.apache.org", "kind": "GatewayProxy", "name": "apisix-config", "namespace": "ingress-apisix", "scope": "Namespace"},
		}},
		{"GatewayProxy", "apisix-config", []any{"spec", "provider"}, obj{"type": "ControlPlane", "controlPlane": obj{
			"service": obj{"name": "apisix-admin", "port": 9180.0},
			"auth":    obj{"type": "AdminKey", "adminKey": obj{"value": "edd1c9f034335f136f87ad84b625c8f1"}},
		}}},
		{"Job", "apisix-etcd-pre-upgrade", []any{"metadata", "annotations", "helm.sh/hook"}, "pre-upgrade"},
	})
	webhooks := at(find(t, objects, "ValidatingWebhookConfiguration", "apisix-ingress-controller-webhook"), "webhooks").([]any)
	for _, webhook := range webhooks {
		if policy := webhook.(obj)["failurePolicy"]; policy != "Ignore" {
			t.Errorf("failurePolicy = %v, want Ignore", policy)
		}
	}
	config := at(find(t, objects, "ConfigMap", "apisix"), "data", "config.yaml").(string)
	for _, want := range []string{"poly-cache: 10m", "- 0.0.0.0/0", "edd1c9f034335f136f87ad84b625c8f1", "http://apisix-etcd.ingress-apisix.svc.cluster.local:2379"} {
		if !strings.Contains(config, want) {
			t.Errorf("configuration without %q:\n%s", want, config)
		}
	}
}

func TestAPISIXValues(t *testing.T) {
	archive := charttest.Find(t, "apisix", "2.14.0")
	pod := func(path ...any) []any { return slices.Concat([]any{"spec", "template", "spec"}, path) }
	for _, c := range []struct {
		name, values string
		facts        []fact
		absent       []string
	}{
		{
			name: "defaults", values: "",
			facts: []fact{
				{"Service", "apisix-gateway", []any{"spec", "type"}, "NodePort"},
				{"Service", "apisix-gateway", []any{"spec", "ports", 1}, nil}, // no TLS
			},
			absent: []string{"Deployment/apisix-ingress-controller", "IngressClass/apisix", "GatewayProxy/apisix-config"},
		},
		{
			// Accepted, and nothing ever reaches the gateway.
			name: "no default proxy", values: "ingress-controller: {enabled: true}",
			facts:  []fact{{"IngressClass", "apisix", []any{"spec", "parameters"}, nil}},
			absent: []string{"GatewayProxy/apisix-config"},
		},
		{
			// The guide's own keys: upstream drops them in silence (facts, F5).
			name: "keys that upstream does not know",
			values: `
apisix: {customLuaSharedDicts: [{name: poly-cache, size: 10m}]}
gateway: {type: ClusterIP, tls: {servicePort: 444}}
ingress-controller: {enabled: true, config: {kubernetes: {watchNamespace: "*"}}, apisix: {adminKey: other}, gatewayProxy: {createDefault: true}}
dashboard: {enabled: true}
`,
			facts: []fact{
				{"Service", "apisix-gateway", []any{"spec", "type"}, "NodePort"},
				{"GatewayProxy", "apisix-config", []any{"spec", "provider", "controlPlane", "auth", "adminKey", "value"}, "edd1c9f034335f136f87ad84b625c8f1"},
			},
		},
		{
			name: "own key, one etcd, another image",
			values: `
image: {tag: 3.18.0-ubuntu}
apisix: {admin: {credentials: {admin: "k"}}}
etcd: {replicaCount: 1}
ingress-controller:
  enabled: true
  gatewayProxy: {createDefault: true, provider: {controlPlane: {auth: {adminKey: {valueFrom: {secretKeyRef: {name: s, key: k}}}}}}}
`,
			facts: []fact{
				{"Deployment", "apisix", pod("containers", 0, "image"), "apache/apisix:3.18.0-ubuntu"},
				{"StatefulSet", "apisix-etcd", []any{"spec", "replicas"}, 1.0},
				{"GatewayProxy", "apisix-config", []any{"spec", "provider", "controlPlane", "auth", "adminKey"}, obj{"valueFrom": obj{"secretKeyRef": obj{"name": "s", "key": "k"}}}},
			},
		},
		{
			name: "no etcd, endpoints", values: "etcd: {enabled: false}\ningress-controller: {enabled: true, gatewayProxy: {createDefault: true, provider: {controlPlane: {endpoints: ['http://a:9180']}}}}",
			facts: []fact{
				{"Deployment", "apisix", pod("initContainers"), nil},
				{"GatewayProxy", "apisix-config", []any{"spec", "provider", "controlPlane", "endpoints"}, []any{"http://a:9180"}},
			},
			absent: []string{"StatefulSet/apisix-etcd"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			objects := charttest.MustRender(t, archive, "apisix", "ingress-apisix", c.values)
			check(t, objects, c.facts)
			for _, name := range c.absent {
				if slices.Contains(names(objects), name) {
					t.Errorf("%s is there", name)
				}
			}
		})
	}
}

// Two offline renders differ, as upstream's do: in the random Secrets and in
// copies of them, and in nothing else.
func TestOnlySecretsAreRandom(t *testing.T) {
	archive := charttest.Find(t, "apisix", "2.14.0")
	one := charttest.MustRender(t, archive, "apisix", "ingress-apisix", apisixValues)
	two := charttest.MustRender(t, archive, "apisix", "ingress-apisix", apisixValues)
	var differ []string
	for i := range one {
		if !cmp.Equal(one[i], two[i]) {
			differ = append(differ, one[i].GetKind()+"/"+one[i].GetName())
		}
	}
	slices.Sort(differ)
	want := []string{
		"Secret/apisix-etcd-jwt-token",
		"Secret/apisix-ingress-controller-webhook-cert",
		"ValidatingWebhookConfiguration/apisix-ingress-controller-webhook",
	}
	if diff := cmp.Diff(want, differ); diff != "" {
		t.Errorf("objects that differ (-want +got):\n%s", diff)
	}
}

func TestAPISIXCRDs(t *testing.T) {
	got := map[string]string{}
	for _, crd := range charttest.CRDs(t, charttest.Find(t, "apisix", "2.14.0")) {
		short, _ := at(crd, "spec", "names", "shortNames", 0).(string)
		got[crd.GetName()] = strings.Join([]string{
			at(crd, "spec", "names", "kind").(string), at(crd, "spec", "versions", 0, "name").(string), short,
		}, " ")
	}
	want := map[string]string{
		"apisixconsumers.apisix.apache.org":        "ApisixConsumer v2 ac",
		"apisixglobalrules.apisix.apache.org":      "ApisixGlobalRule v2 agr",
		"apisixpluginconfigs.apisix.apache.org":    "ApisixPluginConfig v2 apc",
		"apisixroutes.apisix.apache.org":           "ApisixRoute v2 ar",
		"apisixtlses.apisix.apache.org":            "ApisixTls v2 atls",
		"apisixupstreams.apisix.apache.org":        "ApisixUpstream v2 au",
		"backendtrafficpolicies.apisix.apache.org": "BackendTrafficPolicy v1alpha1 ",
		"consumers.apisix.apache.org":              "Consumer v1alpha1 ",
		"gatewayproxies.apisix.apache.org":         "GatewayProxy v1alpha1 ",
		"httproutepolicies.apisix.apache.org":      "HTTPRoutePolicy v1alpha1 ",
		"pluginconfigs.apisix.apache.org":          "PluginConfig v1alpha1 ",

		"gatewayclasses.gateway.networking.k8s.io":  "GatewayClass v1 gc",
		"gateways.gateway.networking.k8s.io":        "Gateway v1 gtw",
		"httproutes.gateway.networking.k8s.io":      "HTTPRoute v1 ",
		"referencegrants.gateway.networking.k8s.io": "ReferenceGrant v1 refgrant",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("CRDs (-want +got):\n%s", diff)
	}
}

// The keys that a values lint must know, and the default of each.
func TestKnownValues(t *testing.T) {
	known := map[string]map[string]any{
		"vault":  charttest.Values(t, charttest.Find(t, "vault", "0.31.0")),
		"apisix": charttest.Values(t, charttest.Find(t, "apisix", "2.14.0")),
	}
	for _, c := range []struct {
		chart, key string
		want       any
	}{
		{"vault", "server.dev.enabled", false},
		{"vault", "server.ha.enabled", false},
		{"vault", "server.standalone.enabled", "-"},
		{"vault", "server.dataStorage.enabled", true},
		{"vault", "server.dataStorage.size", "10Gi"},
		{"vault", "server.updateStrategyType", "OnDelete"},
		{"vault", "server.authDelegator.enabled", true},
		{"vault", "server.readinessProbe.enabled", true},
		{"apisix", "service.type", "NodePort"},
		{"apisix", "service.http.servicePort", 80.0},
		{"apisix", "service.tls.servicePort", 443.0},
		{"apisix", "apisix.ssl.enabled", false},
		{"apisix", "apisix.ssl.containerPort", 9443.0},
		{"apisix", "apisix.nginx.customLuaSharedDicts", []any{}},
		{"apisix", "apisix.admin.credentials.admin", "edd1c9f034335f136f87ad84b625c8f1"},
		{"apisix", "apisix.admin.enable_admin_ui", true},
		{"apisix", "etcd.replicaCount", 3.0},
		{"apisix", "image.tag", "3.16.0-ubuntu"},
		{"apisix", "ingress-controller.enabled", false},
		{"apisix", "ingress-controller.config.kubernetes.ingressClass", "apisix"},
		{"apisix", "ingress-controller.gatewayProxy.createDefault", false},
		{"apisix", "ingress-controller.gatewayProxy.provider.controlPlane.auth.adminKey.value", "edd1c9f034335f136f87ad84b625c8f1"},
	} {
		t.Run(c.chart+" "+c.key, func(t *testing.T) {
			var value any = known[c.chart]
			for step := range strings.SplitSeq(c.key, ".") {
				m := asMap(value)
				next, ok := m[step]
				if !ok {
					t.Fatalf("unknown at %s", step)
				}
				value = next
			}
			if diff := cmp.Diff(c.want, value); diff != "" {
				t.Errorf("default (-want +got):\n%s", diff)
			}
		})
	}
	for chart, key := range map[string]string{"apisix": "gateway", "vault": "nonsense"} {
		if _, ok := known[chart][key]; ok {
			t.Errorf("%s knows %s, upstream does not", chart, key)
		}
	}
}

func asMap(value any) map[string]any {
	m, _ := value.(map[string]any)
	return m
}

// Every version of the lab's charts renders with the guide's values, and its
// images are those of its version.
func TestVersions(t *testing.T) {
	archives, err := charts.Lab()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, archive := range archives {
		values := vaultValues
		if archive.Name == "apisix" {
			values = apisixValues
		}
		var images []string
		for _, o := range charttest.MustRender(t, archive, archive.Name, "ns", values) {
			if o.GetKind() != "Deployment" && o.GetKind() != "StatefulSet" {
				continue
			}
			image := at(o, "spec", "template", "spec", "containers", 0, "image").(string)
			if !strings.Contains(image, "etcd") {
				images = append(images, image)
			}
		}
		slices.Sort(images)
		got[archive.FileName()+" "+archive.AppVersion] = strings.Join(images, " ")
		if !strings.Contains(archive.Metadata["description"].(string), "stand-in") {
			t.Errorf("%s does not say that it is a stand-in", archive.FileName())
		}
	}
	want := map[string]string{
		"apisix-2.14.0.tgz 3.16.0": "apache/apisix-ingress-controller:2.0.1 apache/apisix:3.16.0-ubuntu",
		"apisix-2.13.0.tgz 3.15.0": "apache/apisix-ingress-controller:2.0.1 apache/apisix:3.15.0-ubuntu",
		"apisix-2.12.5.tgz 3.14.1": "apache/apisix-ingress-controller:2.0.0 apache/apisix:3.14.1-ubuntu",
		"apisix-2.12.4.tgz 3.14.1": "apache/apisix-ingress-controller:2.0.0-rc5 apache/apisix:3.14.1-ubuntu",
		"vault-0.32.0.tgz 1.21.2":  "hashicorp/vault-k8s:1.7.2 hashicorp/vault:1.21.2",
		"vault-0.31.0.tgz 1.20.4":  "hashicorp/vault-k8s:1.7.0 hashicorp/vault:1.20.4",
		"vault-0.30.1.tgz 1.20.1":  "hashicorp/vault-k8s:1.7.0 hashicorp/vault:1.20.1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

// Packing the same sources twice gives the same bytes, and so does another
// build of the lab.
func TestPackIsReproducible(t *testing.T) {
	one := charttest.Find(t, "apisix", "2.14.0")
	again, err := charts.Lab()
	if err != nil {
		t.Fatal(err)
	}
	two := again[0]
	if !slices.Equal(one.Data, two.Data) {
		t.Error("two archives of the same chart differ")
	}
}

func TestReadErrors(t *testing.T) {
	if _, err := charts.Read([]byte("no archive")); err == nil {
		t.Error("text was read as a chart")
	}
}

// cert-manager's chart is upstream's own: its objects are those that the guide
// and the plan name, and its webhook fails closed.
func TestCertManager(t *testing.T) {
	archive, err := charts.CertManager()
	if err != nil {
		t.Skip(err)
	}
	objects := charttest.MustRender(t, archive, "cert-manager", "cert-manager", "crds: {enabled: true}")
	for _, name := range []string{
		"CustomResourceDefinition/certificates.cert-manager.io",
		"CustomResourceDefinition/certificaterequests.cert-manager.io",
		"CustomResourceDefinition/clusterissuers.cert-manager.io",
		"CustomResourceDefinition/issuers.cert-manager.io",
		"CustomResourceDefinition/orders.acme.cert-manager.io",
		"CustomResourceDefinition/challenges.acme.cert-manager.io",
		"Deployment/cert-manager", "Deployment/cert-manager-cainjector", "Deployment/cert-manager-webhook",
		"Service/cert-manager-webhook", "Job/cert-manager-startupapicheck",
		"ValidatingWebhookConfiguration/cert-manager-webhook", "MutatingWebhookConfiguration/cert-manager-webhook",
	} {
		if !slices.Contains(names(objects), name) {
			t.Errorf("no %s", name)
		}
	}
	check(t, objects, []fact{
		{"Deployment", "cert-manager", []any{"spec", "template", "spec", "containers", 0, "image"}, "quay.io/jetstack/cert-manager-controller:" + archive.Version},
		{"ValidatingWebhookConfiguration", "cert-manager-webhook", []any{"webhooks", 0, "failurePolicy"}, "Fail"},
		{"Job", "cert-manager-startupapicheck", []any{"metadata", "annotations", "helm.sh/hook"}, "post-install"},
	})
	if slices.Contains(names(objects), "Role/cert-manager-tokenrequest") {
		t.Error("the chart gives the token Role that upstream removed in 1.21")
	}
	if _, err := charttest.Render(t, archive, "cert-manager", "cert-manager", "nonsense: true"); err == nil {
		t.Error("an unknown value was accepted; upstream's schema refuses it")
	}
	// Without crds.enabled there is none.
	for _, o := range charttest.MustRender(t, archive, "cert-manager", "cert-manager", "") {
		if o.GetKind() == "CustomResourceDefinition" {
			t.Errorf("%s without crds.enabled", o.GetName())
		}
	}
}
