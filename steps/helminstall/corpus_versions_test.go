package helminstall_test

// versionSamples are charts whose versions make different objects.
func versionSamples() []sample {
	const other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {a: b}\n"
	const kept = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other, annotations: {helm.sh/resource-policy: keep}}\ndata: {a: b}\n"
	claim := `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: app}
spec:
  serviceName: app
  selector: {matchLabels: {app: app}}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: {{ if eq .Chart.Version "1.0.0" }}1Gi{{ else }}2Gi{{ end }}}}}}]
  template:
    metadata: {labels: {app: app}}
    spec: {containers: [{name: main, image: example.com/inert:1}]}
`
	return []sample{
		colored(sample{kind: "template dropped", quick: true, files: map[string]string{"templates/other.yaml": other},
			next: map[string]string{"templates/other.yaml": ""}, upgrades: []string{"ConfigMap/other"}, gone: []string{"ConfigMap/other"}}),
		colored(sample{kind: "template added", files: map[string]string{}, next: map[string]string{"templates/other.yaml": other},
			upgrades: []string{"ConfigMap/other"}, stays: []string{"ConfigMap/other"}}),
		colored(sample{kind: "dropped and kept", files: map[string]string{"templates/other.yaml": kept},
			next: map[string]string{"templates/other.yaml": ""}, stays: []string{"ConfigMap/other"}}),
		colored(sample{kind: "object renamed", files: map[string]string{"templates/other.yaml": other},
			next:     map[string]string{"templates/other.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: another}\ndata: {a: b}\n"},
			upgrades: []string{"ConfigMap/other", "ConfigMap/another"}, gone: []string{"ConfigMap/other"}}),
		colored(sample{kind: "kind changed", files: map[string]string{"templates/other.yaml": other},
			next:     map[string]string{"templates/other.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: other}\nstringData: {a: b}\n"},
			upgrades: []string{"ConfigMap/other", "Secret/other"}, gone: []string{"ConfigMap/other"}}),
		colored(sample{kind: "object becomes a hook", files: map[string]string{"templates/other.yaml": other},
			next:     map[string]string{"templates/other.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other, annotations: {helm.sh/hook: post-upgrade}}\ndata: {a: b}\n"},
			upgrades: []string{"ConfigMap/other"}}),
		colored(sample{kind: "field removed", files: map[string]string{"templates/other.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: other, labels: {a: b}}\nspec: {selector: {app: a, tier: b}, ports: [{name: a, port: 80}, {name: b, port: 81}]}\n"},
			next:     map[string]string{"templates/other.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: other}\nspec: {selector: {app: a}, ports: [{name: b, port: 81}]}\n"},
			upgrades: []string{"Service/other metadata/labels/a", "Service/other spec/selector/tier", "Service/other spec/ports[a]/name", "Service/other spec/ports[a]/port", "Service/other spec/ports[a]/protocol", "Service/other spec/ports[a]/targetPort"}}),
		colored(sample{kind: "immutable ConfigMap named by its content", files: map[string]string{"templates/immutable.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: app-{{ .Values.color }}}
immutable: true
data: {color: {{ .Values.color }}}
`}, change: "color: red", changes: []string{"ConfigMap/app data/color", "ConfigMap/app-blue", "ConfigMap/app-red"}}),
		colored(sample{kind: "immutable ConfigMap of one name", files: map[string]string{"templates/immutable.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: fixed}
immutable: true
data: {color: {{ .Values.color }}}
`}, change: "color: red", refused: map[string][]string{"change": {"ConfigMap/fixed", "data: Forbidden: field is immutable", "delete the object first"}}}),
		colored(sample{kind: "selector of a Deployment changes", files: map[string]string{"templates/deployment.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  selector: {matchLabels: {app: "app-{{ .Chart.Version }}"}}
  template:
    metadata: {labels: {app: "app-{{ .Chart.Version }}"}}
    spec: {containers: [{name: main, image: example.com/inert:1}]}
`}, refused: map[string][]string{"upgrade": {"Deployment/app", "spec.selector", "field is immutable", "delete the object first"}}}),
		colored(sample{kind: "claim of a StatefulSet grows", quick: true, files: map[string]string{"templates/set.yaml": claim},
			refused: map[string][]string{"upgrade": {"StatefulSet/app", "volumeClaimTemplates", "--cascade=orphan"}}}),
		colored(sample{kind: "clusterIP of a Service changes", files: map[string]string{"templates/service.yaml": `
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {clusterIP: {{ if eq .Chart.Version "1.0.0" }}None{{ else }}10.96.77.77{{ end }}, selector: {app: app}, ports: [{port: 80}]}
`}, refused: map[string][]string{"upgrade": {"Service/app", "spec.clusterIPs[0]", "may not change once set", "delete the object first"}}}),
		colored(sample{kind: "role of a binding changes", quick: true, files: map[string]string{"templates/binding.yaml": `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: app}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: "app-{{ .Chart.Version }}"}
subjects: [{kind: ServiceAccount, name: default, namespace: NS}]
`}, refused: map[string][]string{"upgrade": {"RoleBinding/app", "roleRef", "cannot change roleRef", "delete the object first"}}}),
		colored(sample{kind: "type of a Secret changes", files: map[string]string{"templates/typed.yaml": `
apiVersion: v1
kind: Secret
metadata: {name: typed}
type: {{ if eq .Chart.Version "1.0.0" }}Opaque{{ else }}example.com/other{{ end }}
stringData: {a: b}
`}, refused: map[string][]string{"upgrade": {"Secret/typed", "type", "field is immutable", "delete the object first"}}}),
		colored(sample{kind: "CRD changes in crds", files: map[string]string{"crds/things.yaml": things},
			next: map[string]string{"crds/things.yaml": things + `  - {name: v2, served: true, storage: false, schema: {openAPIV3Schema: {type: object}}}
`}}),
	}
}
