package helminstall_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// textSamples are charts with forms of YAML, and of names, that only look odd.
func textSamples() []sample {
	random := rand.New(rand.NewPCG(1, 2))
	var dense strings.Builder
	for dense.Len() < 1<<20 {
		fmt.Fprintf(&dense, "%016x%016x", random.Uint64(), random.Uint64())
	}
	return []sample{
		colored(sample{kind: "Lists", files: map[string]string{"templates/list.yaml": `
apiVersion: v1
kind: List
metadata: {name: ignored}
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {color: {{ .Values.color }}}}
---
apiVersion: v1
kind: ConfigMapList
items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: two}, data: {a: b}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleList
items: [{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: three}, rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}]
`}, change: "color: red", changes: []string{"ConfigMap/app data/color", "ConfigMap/one data/color"},
			drift: drift{object: "Role/three", pointer: "/rules/0/verbs/0", value: "list", leaf: "rules[0]/verbs"}}),
		colored(sample{kind: "anchors and merge keys", files: map[string]string{"templates/anchors.yaml": `
apiVersion: v1
kind: ConfigMap
metadata:
  name: anchors
  labels: &labels {app: a, tier: {{ .Values.color }}}
  annotations: {<<: *labels, app: b}
data: &data
  text: &text |
    one
  again: *text
`}, change: "color: red", changes: []string{"ConfigMap/app data/color", "ConfigMap/anchors metadata/labels/tier", "ConfigMap/anchors metadata/annotations/tier"}}),
		colored(sample{kind: "CRLF", files: map[string]string{
			"templates/settings.yaml": strings.ReplaceAll(settingsMap+"---\n# nothing\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: text}\ndata:\n  text: |\n    one\n    two {{ .Values.color }}\n", "\n", "\r\n"),
		}, change: "color: red", changes: []string{"ConfigMap/app data/color", "ConfigMap/text data/text"}}),
		colored(sample{kind: "comments and empty documents", files: map[string]string{
			"templates/settings.yaml": "---\n# licence\n---\n\n---\n# one\n" + settingsMap + "---\n{{- if false }}\na: b\n{{- end }}\n---\n",
			"templates/empty.yaml":    "{{/* nothing */}}\n", "templates/comment.yaml": "# only this\n"}}),
		colored(sample{kind: "duplicate keys", files: map[string]string{"templates/double.yaml": `
apiVersion: v1
kind: ConfigMap
metadata:
  name: double
  labels: {a: b}
  labels: {c: {{ .Values.color }}}
`}, change: "color: red", changes: []string{"ConfigMap/app data/color", "ConfigMap/double metadata/labels/c"}}),
		colored(sample{kind: "large ConfigMap", files: map[string]string{"templates/large.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: large}
data: {text: {{ repeat 90000 "0123456789" | quote }}, color: {{ .Values.color }}}
`}, change: "color: red", changes: []string{"ConfigMap/app data/color", "ConfigMap/large data/color"},
			drift: drift{object: "ConfigMap/large", pointer: "/data/text", value: "short", leaf: "data/text"}}),
		colored(sample{kind: "release too large to be stored", quick: true, files: map[string]string{
			"files/dense.txt": dense.String(), "templates/dense.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: dense}
data: {text: {{ .Files.Get "files/dense.txt" | trunc 900000 | quote }}}
`}, refused: map[string][]string{"install": {"release", "1048576", "take large files out of the chart"}}}),
		colored(sample{kind: "empty keys", files: map[string]string{"templates/empty.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: empty
  annotations:
  labels: {}
spec:
  replicas:
  strategy: {}
  selector: {matchLabels: {app: empty}}
  template:
    metadata:
      annotations:
      labels: {app: empty}
    spec:
      nodeSelector: {}
      affinity: {}
      tolerations: []
      imagePullSecrets:
      securityContext: {}
      volumes:
      containers:
      - name: main
        image: example.com/inert:1
        args: [{{ .Values.color }}]
        command: []
        env:
        envFrom: []
        resources: {}
        volumeMounts:
        livenessProbe:
`}, change: "color: red", changes: []string{"ConfigMap/app data/color", "Deployment/empty spec/template/spec/containers[main]/args"},
			drift: drift{object: "Deployment/empty", pointer: "/spec/template/spec/containers/0/env", value: []any{map[string]any{"name": "A", "value": "b"}}}}),
		{kind: "merge keys that repeat", files: map[string]string{"templates/all.yaml": `
apiVersion: v1
kind: Service
metadata: {name: app}
spec:
  selector: {app: app, color: {{ .Values.color }}}
  ports: [{name: dns, port: 53, protocol: UDP, targetPort: 53}, {name: dns-tcp, port: 53, protocol: TCP}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
      - name: main
        image: example.com/inert:1
        ports: [{containerPort: 53, protocol: UDP}, {containerPort: 53, protocol: TCP}]
        env: [{name: A, value: "1"}, {name: B, value: {{ .Chart.Version | quote }}}, {name: A, value: {{ .Values.color }}}]
`}, values: "color: blue", change: "color: red", changes: []string{"Service/app spec/selector/color", "Deployment/app spec/template/spec/containers[main]/env[2]/value"},
			drift:    drift{object: "Service/app", pointer: "/spec/ports/0/targetPort", value: 5353, leaf: "spec/ports[dns]/targetPort"},
			upgrades: []string{"Deployment/app spec/template/spec/containers[main]/env[1]/value"}},
		colored(sample{kind: "truncated names", files: map[string]string{
			"templates/_helpers.tpl": `{{- define "full" }}{{ printf "%s-%s" .Release.Name (repeat 20 "long-") | trunc 63 | trimSuffix "-" }}{{ end }}`,
			"templates/long.yaml": `
apiVersion: v1
kind: Service
metadata: {name: {{ include "full" . }}, labels: {app.kubernetes.io/name: {{ include "full" . }}, helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}}}
spec: {selector: {app: x}, ports: [{port: 80}]}
`}, upgrades: []string{"Service/app-long-long-long-long-long-long-long-long-long-long-long-long metadata/labels/helm.sh/chart"}}),
		colored(sample{kind: "fields of generated manifests", files: map[string]string{"templates/role.yaml": `
apiVersion: v1
kind: Service
metadata: {name: made, creationTimestamp: null, namespace: NS}
spec: {selector: {app: x}, ports: [{port: 80}]}
status: {loadBalancer: {}}
`}}),
		colored(sample{kind: "generateName", quick: true, files: map[string]string{"templates/generated.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {generateName: app-}
`}, refused: map[string][]string{"install": {"templates/generated.yaml", "ConfigMap", "metadata.generateName", "the chart has to give it a metadata.name"}}}),
		colored(sample{kind: "label that is no text", quick: true, files: map[string]string{"templates/typed.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: typed, labels: {enabled: true}}
`}, refused: map[string][]string{"install": {"ConfigMap/typed", "cannot unmarshal bool", "metadata.labels", "text needs quotes"}}}),
		colored(sample{kind: "fields that the API does not know", files: map[string]string{"templates/unknown.yaml": `
apiVersion: v1
kind: Service
metadata: {name: unknown}
spec: {selector: {app: x}, ports: [{port: 80, portName: web}], clusterIPFamily: IPv4}
`}, drift: drift{object: "Service/unknown", pointer: "/spec/ports/0/port", value: 81, leaf: "spec/ports[0]/port"}}),
		colored(sample{kind: "merge key changed by hand", quick: true, files: map[string]string{"templates/service.yaml": `
apiVersion: v1
kind: Service
metadata: {name: named}
spec: {selector: {app: x}, ports: [{name: http, port: 80, targetPort: http}, {name: https, port: 443}]}
`}, drift: drift{object: "Service/named", pointer: "/spec/ports/0/port", value: 8080, leaf: "spec/ports[http]/port"}}),
	}
}
