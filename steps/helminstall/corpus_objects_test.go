package helminstall_test

// things is a CustomResourceDefinition as generators write them.
const things = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: things.GROUP
  annotations: {controller-gen.kubebuilder.io/version: v0.16.0}
spec:
  group: GROUP
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing, listKind: ThingList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          apiVersion: {type: string}
          kind: {type: string}
          metadata: {type: object}
          spec:
            type: object
            properties:
              size: {type: integer, format: int64}
              mode: {type: string, default: fast}
              on: {type: boolean, default: true}
              any: {type: object, x-kubernetes-preserve-unknown-fields: true}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
`

const thing = `
apiVersion: GROUP/v1
kind: Thing
metadata: {name: app, annotations: {version: {{ .Chart.Version | quote }}}}
spec: {size: {{ .Values.size | int64 }}, big: 1, any: {list: [1, 2.5, "x"], exact: 9007199254740993}}
`

// objectSamples are charts with kinds that are not workloads.
func objectSamples() []sample {
	return []sample{
		{kind: "CRD in crds", quick: true, values: "size: 1", files: map[string]string{"crds/things.yaml": things, "templates/thing.yaml": thing},
			change: "size: 4503599627370497", changes: []string{"Thing/app spec/size"},
			drift:    drift{object: "Thing/app", pointer: "/spec/any/exact", value: int64(9007199254740992), leaf: "spec/any/exact"},
			upgrades: []string{"Thing/app metadata/annotations/version"}},
		{kind: "CRD in templates", values: "size: 1", files: map[string]string{"templates/crd.yaml": `
{{- if .Values.size }}` + things + `{{- end }}
`, "templates/settings.yaml": settingsMap, "templates/role.yaml": `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: app}
rules:
- {apiGroups: [GROUP], resources: [things, things/status], verbs: ["*"]}
- {apiGroups: [""], resources: [secrets], resourceNames: [{{ .Values.color }}], verbs: [get]}
`}, set: "color: blue", change: "color: red", changes: []string{"ConfigMap/app data/color", "Role/app rules[1]/resourceNames"},
			drift:    drift{object: "CustomResourceDefinition/things.GROUP", pointer: "/spec/versions/0/additionalPrinterColumns/0/jsonPath", value: ".spec.mode", leaf: "spec/versions[v1]/additionalPrinterColumns[Size]/jsonPath"},
			upgrades: []string{"ConfigMap/app data/version"}},
		{kind: "CRD and its object in templates", values: "size: 1", files: map[string]string{"templates/crd.yaml": things, "templates/thing.yaml": `
{{- if .Capabilities.APIVersions.Has "GROUP/v1" }}` + thing + `{{- end }}
`}, change: "size: 2", changes: []string{"Thing/app"},
			drift:    drift{object: "Thing/app", pointer: "/spec/mode", value: "slow"},
			upgrades: []string{"Thing/app metadata/annotations/version"}},
		{kind: "APIService without a backend", noWait: true, values: "priority: 100", files: map[string]string{"templates/all.yaml": `
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.GROUP, annotations: {version: {{ .Chart.Version | quote }}}}
spec:
  group: GROUP
  version: v1
  groupPriorityMinimum: {{ .Values.priority }}
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: app, namespace: NS, port: 443}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {selector: {app: app}, ports: [{port: 443}]}
`}, change: "priority: 200", changes: []string{"APIService/v1.GROUP spec/groupPriorityMinimum"},
			drift:    drift{object: "APIService/v1.GROUP", pointer: "/spec/versionPriority", value: 50, leaf: "spec/versionPriority"},
			upgrades: []string{"APIService/v1.GROUP metadata/annotations/version"}},
		{kind: "PodDisruptionBudget", values: "min: 1", files: map[string]string{"templates/all.yaml": `
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: app, labels: {version: {{ .Chart.Version | quote }}}}
spec:
  minAvailable: {{ .Values.min }}
  selector: {matchLabels: {app: app}}
`}, change: "min: 50%", changes: []string{"PodDisruptionBudget/app spec/minAvailable"},
			drift:    drift{object: "PodDisruptionBudget/app", pointer: "/spec/minAvailable", value: 3, leaf: "spec/minAvailable"},
			upgrades: []string{"PodDisruptionBudget/app metadata/labels/version"}},
		{kind: "NetworkPolicy", values: "port: 80", files: map[string]string{"templates/all.yaml": `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: app, labels: {version: {{ .Chart.Version | quote }}}}
spec:
  podSelector: {matchLabels: {app: app}}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [{namespaceSelector: {}}], ports: [{port: {{ .Values.port }}}, {port: metrics, protocol: TCP}]}]
  egress: [{}]
`}, change: "port: 81", changes: []string{"NetworkPolicy/app spec/ingress[0]/ports[0]/port"},
			drift:    drift{object: "NetworkPolicy/app", pointer: "/spec/policyTypes", value: []any{"Ingress"}, leaf: "spec/policyTypes"},
			upgrades: []string{"NetworkPolicy/app metadata/labels/version"}},
		{kind: "RBAC and ServiceAccount", values: "verbs: [get]", files: map[string]string{"templates/all.yaml": `
apiVersion: v1
kind: ServiceAccount
metadata: {name: app, labels: {version: {{ .Chart.Version | quote }}}}
imagePullSecrets: [{name: registry}]
automountServiceAccountToken: false
---
apiVersion: v1
kind: Secret
metadata: {name: app-token, annotations: {kubernetes.io/service-account.name: app}}
type: kubernetes.io/service-account-token
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS-part, labels: {aggregate.GROUP/to-all: "true"}}
rules: [{nonResourceURLs: [/metrics], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS}
rules: [{apiGroups: [""], resources: [pods], verbs: {{ toJson .Values.verbs }}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS-all}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {aggregate.GROUP/to-all: "true"}}]}
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NS}
subjects: [{kind: ServiceAccount, name: app, namespace: NS}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: app, namespace: kube-system}
roleRef: {kind: Role, name: extension-apiserver-authentication-reader}
subjects: [{kind: ServiceAccount, name: app, namespace: NS}]
`}, change: "verbs: [get, list]", changes: []string{"ClusterRole/NS rules[0]/verbs"},
			drift:    drift{object: "ServiceAccount/app", pointer: "/automountServiceAccountToken", value: true, leaf: "automountServiceAccountToken"},
			upgrades: []string{"ServiceAccount/app metadata/labels/version"}},
		{kind: "Ingress and Gateway-like routes", values: "host: a.example.com", files: map[string]string{"templates/all.yaml": `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: app
  annotations: {nginx.ingress.kubernetes.io/proxy-body-size: "0", version: {{ .Chart.Version | quote }}}
spec:
  ingressClassName: nginx
  tls: [{hosts: [{{ .Values.host }}], secretName: app-tls}]
  rules: [{host: {{ .Values.host }}, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: app, port: {name: http}}}}]}}]
`}, change: "host: b.example.com", changes: []string{"Ingress/app spec/tls[0]/hosts", "Ingress/app spec/rules[0]/host"},
			drift:    drift{object: "Ingress/app", pointer: "/spec/rules/0/http/paths/0/pathType", value: "Exact", leaf: "spec/rules[0]/http/paths[0]/pathType"},
			upgrades: []string{"Ingress/app metadata/annotations/version"}},
		{kind: "Secrets of all types", values: "pass: abc", files: map[string]string{"templates/all.yaml": `
apiVersion: v1
kind: Secret
metadata: {name: registry}
type: kubernetes.io/dockerconfigjson
data: {.dockerconfigjson: {{ printf "{\"auths\":{\"r\":{\"auth\":%q}}}" .Values.pass | b64enc }}}
---
apiVersion: v1
kind: Secret
metadata: {name: both, labels: {version: {{ .Chart.Version | quote }}}}
type: Opaque
data: {a: YQ==, empty: ""}
stringData: {b: {{ .Values.pass }}, lines: "x\ny\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: basic}
type: kubernetes.io/basic-auth
stringData: {username: u, password: p}
`}, change: "pass: abcd", changes: []string{"Secret/registry data/.dockerconfigjson", "Secret/both data/b"},
			drift:    drift{object: "Secret/both", pointer: "/data/a", value: "Yg==", leaf: "data/a"},
			upgrades: []string{"Secret/both metadata/labels/version"}},
		{kind: "quotas and limits", values: "pods: 10", files: map[string]string{"templates/all.yaml": `
apiVersion: v1
kind: ResourceQuota
metadata: {name: app}
spec: {hard: {pods: {{ .Values.pods | quote }}, requests.cpu: 2000m, limits.memory: 1.5Gi}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: app, labels: {version: {{ .Chart.Version | quote }}}}
spec: {limits: [{type: Container, default: {cpu: "0.50", memory: 0.5Gi}, max: {cpu: 4}}]}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: NS}
value: 1000000
globalDefault: false
`}, change: "pods: 11", changes: []string{"ResourceQuota/app spec/hard/pods"},
			drift:    drift{object: "LimitRange/app", pointer: "/spec/limits/0/default/cpu", value: "600m", leaf: "spec/limits[0]/default/cpu"},
			upgrades: []string{"LimitRange/app metadata/labels/version"}},
		{kind: "Services of all kinds", values: "port: 80", files: map[string]string{"templates/all.yaml": `
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: app}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: node, labels: {version: {{ .Chart.Version | quote }}}}
spec: {type: NodePort, externalTrafficPolicy: Local, ipFamilyPolicy: PreferDualStack, selector: {app: app}, ports: [{name: http, port: {{ .Values.port }}, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: external}
spec: {type: ExternalName, externalName: a.example.com}
---
apiVersion: v1
kind: Service
metadata: {name: plain}
spec: {type: ClusterIP, clusterIP: "", sessionAffinity: ClientIP, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: plain, labels: {kubernetes.io/service-name: plain}}
addressType: IPv4
ports: [{port: 80}]
endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}]
`}, change: "port: 81", changes: []string{"Service/node spec/ports[http]/port"},
			drift:    drift{object: "Service/headless", pointer: "/spec/publishNotReadyAddresses", value: false, leaf: "spec/publishNotReadyAddresses"},
			upgrades: []string{"Service/node metadata/labels/version"}},
		{kind: "admission policy", values: "limit: 5", files: map[string]string{"templates/all.yaml": `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: NS, labels: {version: {{ .Chart.Version | quote }}}}
spec:
  failurePolicy: Ignore
  matchConstraints: {resourceRules: [{apiGroups: [GROUP], apiVersions: [v1], operations: [CREATE], resources: [things]}]}
  validations: [{expression: "object.spec.size < {{ .Values.limit }}"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: NS}
spec: {policyName: NS, validationActions: [Deny]}
`}, change: "limit: 6", changes: []string{"ValidatingAdmissionPolicy/NS spec/validations[0]/expression"},
			drift:    drift{object: "ValidatingAdmissionPolicyBinding/NS", pointer: "/spec/validationActions", value: []any{"Audit"}, leaf: "spec/validationActions"},
			upgrades: []string{"ValidatingAdmissionPolicy/NS metadata/labels/version"}},
		colored(sample{kind: "objects in another namespace", meta: "dependencies: [{name: sub, version: 1.0.0}]\n", files: subchart(map[string]string{
			"charts/sub/values.yaml": "size: 1\nnamespaceOverride: NS-b\n",
			"charts/sub/templates/sub.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: sub, namespace: {{ .Values.namespaceOverride | default .Release.Namespace }}}
data: {size: {{ .Values.size | quote }}}
`,
			"templates/namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: NS-b, labels: {pod-security.kubernetes.io/enforce: baseline}}\n",
		}), change: "sub: {size: 2}", changes: []string{"ConfigMap/NS-b/sub data/size"},
			drift: drift{object: "ConfigMap/NS-b/sub", pointer: "/data/size", value: "3", leaf: "data/size"}}),
	}
}
