package helminstall_test

import "testing"

// subchart is the folder charts/sub with a ConfigMap of its values.
func subchart(files map[string]string) map[string]string {
	all := map[string]string{
		"charts/sub/Chart.yaml":  "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
		"charts/sub/values.yaml": "size: 1\n",
		"charts/sub/templates/sub.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Chart.Name }}}
data: {size: {{ .Values.size | quote }}, region: {{ (.Values.global).region | default "none" | quote }}}
`,
	}
	for name, text := range files {
		all[name] = text
	}
	return all
}

// valueSamples are charts with ways to pass and read values.
func valueSamples(t testing.TB) []sample {
	return []sample{
		colored(sample{kind: "tpl in values", values: `
annotations: {example.com/release: "{{ .Release.Name }}-{{ .Values.size }}"}
extra: |
  url: http://{{ include "app.host" . }}:{{ .Values.size }}
size: 1
`, files: map[string]string{
			"templates/_helpers.tpl": `{{- define "app.host" }}{{ .Release.Name }}.{{ .Release.Namespace }}.svc{{ end }}`,
			"templates/tpl.yaml": `
apiVersion: v1
kind: ConfigMap
metadata:
  name: tpl
  annotations: {{- tpl (toYaml .Values.annotations) . | nindent 4 }}
data:
  config: | {{- tpl .Values.extra . | nindent 4 }}
`}, change: "size: 2", changes: []string{"ConfigMap/tpl data/config", "ConfigMap/tpl metadata/annotations/example.com/release"}}),
		colored(sample{kind: "extra objects in values", files: map[string]string{"templates/extra.yaml": `
{{- range .Values.extraObjects }}
---
{{ tpl (toYaml .) $ }}
{{- end }}
`}, values: "extraObjects: []", set: `
extraObjects:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: "{{ .Release.Name }}-one"}, data: {a: "1"}}
`, change: `
extraObjects:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: "{{ .Release.Name }}-one"}, data: {a: "2"}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: "{{ .Release.Name }}-two"}, data: {b: "1"}}
`, changes: []string{"ConfigMap/app-one data/a", "ConfigMap/app-two"}}),
		colored(sample{kind: "library chart", meta: "dependencies: [{name: lib, version: 1.0.0, repository: https://charts.example.com}]\n", files: map[string]string{
			"charts/lib/Chart.yaml": "apiVersion: v2\nname: lib\nversion: 1.0.0\ntype: library\n",
			"charts/lib/templates/_map.tpl": `
{{- define "lib.map.tpl" -}}
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ printf "%s-lib" .Release.Name }}}
data: {}
{{- end -}}
{{- define "lib.map" -}}
{{- $over := fromYaml (include (index . 1) (index . 0)) | default dict -}}
{{- $base := fromYaml (include "lib.map.tpl" (index . 0)) | default dict -}}
{{- toYaml (merge $over $base) -}}
{{- end -}}
`,
			"templates/map.yaml": `
{{- include "lib.map" (list . "app.map") }}
{{- define "app.map" }}
data: {color: {{ .Values.color }}}
{{- end }}
`}, change: "color: red", changes: []string{"ConfigMap/app data/color", "ConfigMap/app-lib data/color"}}),
		colored(sample{kind: "conditions and tags", meta: `dependencies:
- {name: sub, version: 1.0.0, condition: "sub.enabled,global.sub"}
- {name: other, version: 1.0.0, tags: [backend]}
`, files: subchart(map[string]string{
			"charts/other/Chart.yaml":           "apiVersion: v2\nname: other\nversion: 1.0.0\n",
			"charts/other/templates/other.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {a: b}\n",
		}), values: "sub: {enabled: false}\ntags: {backend: true}", change: "{sub: {enabled: true}, tags: {backend: false}}",
			changes: []string{"ConfigMap/sub", "ConfigMap/other"}}),
		colored(sample{kind: "import-values", meta: `dependencies:
- name: sub
  version: 1.0.0
  import-values: [data, {child: defaults.nested, parent: imported}]
`, files: subchart(map[string]string{
			"charts/sub/values.yaml": "size: 1\nexports: {data: {shared: from-sub}}\ndefaults: {nested: {level: 3}}\n",
			"templates/imported.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: imported}
data: {shared: {{ .Values.shared }}, level: {{ .Values.imported.level | quote }}}
`}), change: "imported: {level: 4}", changes: []string{"ConfigMap/imported data/level"}}),
		colored(sample{kind: "aliases", meta: `dependencies:
- {name: sub, version: 1.0.0, alias: first}
- {name: sub, version: 1.0.0, alias: second, condition: second.enabled}
`, files: subchart(nil), values: "first: {size: 5}\nsecond: {enabled: true}", change: "second: {enabled: true, size: 9}", changes: []string{"ConfigMap/second data/size"}}),
		colored(sample{kind: "global values", meta: "dependencies: [{name: sub, version: 1.0.0}]\n", files: subchart(nil),
			values: "global: {region: north, imagePullSecrets: []}", change: "global: {region: south}", changes: []string{"ConfigMap/sub data/region"}}),
		colored(sample{kind: "packed subchart", meta: "dependencies: [{name: sub, version: ~1.0.0, repository: oci://registry.example.com/charts}]\n", files: map[string]string{
			"charts/sub-1.0.0.tgz": packed(t, "sub", map[string]string{"templates/sub.yaml": subchart(nil)["charts/sub/templates/sub.yaml"]}),
		}, change: "sub: {size: 2}", changes: []string{"ConfigMap/sub data/size"}}),
		colored(sample{kind: "null removes a default", values: "limits: {cpu: 100m, memory: 64Mi}\nprobe: {httpGet: {path: /, port: 80}, periodSeconds: 5}", set: "limits: {cpu: null}",
			files: map[string]string{"templates/limits.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: limits}
data:
  {{- range $k, $v := .Values.limits }}
  {{ $k }}: {{ $v }}
  {{- end }}
  probe: {{ toJson .Values.probe | quote }}
`}, change: "{limits: {cpu: null, memory: null}, probe: {httpGet: null, exec: {command: [a]}}}",
			changes: []string{"ConfigMap/limits data/memory", "ConfigMap/limits data/probe"}}),
		colored(sample{kind: "null removes a default of a subchart", meta: "dependencies: [{name: sub, version: 1.0.0}]\n", files: subchart(map[string]string{
			"charts/sub/values.yaml": "size: 1\nlabels: {a: b, c: d}\n",
			"charts/sub/templates/sub.yaml": `
apiVersion: v1
kind: ConfigMap
metadata:
  name: sub
  labels: {{- toYaml .Values.labels | nindent 4 }}
`}), set: "sub: {labels: {x: z}}", change: "sub: {labels: {x: z, a: null}}", changes: []string{"ConfigMap/sub metadata/labels/a"}}),
		{kind: "big integers and file modes", values: "uid: 1000650000\nmode: 0440\nbig: 9007199254740992\nbytes: 104857600\nport: 8080\n",
			files: map[string]string{"templates/all.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: app}
data:
  plain: "{{ .Values.big }}"
  int: "{{ .Values.big | int64 }}"
  quoted: {{ .Values.bytes | quote }}
  json: {{ .Values | toJson | quote }}
  yaml: | {{- toYaml .Values | nindent 4 }}
  version: {{ .Chart.Version | quote }}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      securityContext: {runAsUser: {{ .Values.uid | int64 }}, fsGroup: {{ int .Values.uid }}}
      volumes: [{name: config, configMap: {name: app, defaultMode: {{ .Values.mode }}}}, {name: other, configMap: {name: app, defaultMode: 0644}}]
      containers: [{name: main, image: example.com/inert:1, ports: [{containerPort: {{ .Values.port }}}], volumeMounts: [{name: config, mountPath: /etc/app}]}]
`}, change: "{big: 9007199254740994, mode: 256}", changes: []string{"ConfigMap/app data/plain", "ConfigMap/app data/int", "ConfigMap/app data/json", "ConfigMap/app data/yaml",
				"Deployment/app spec/template/spec/volumes[config]/configMap/defaultMode"},
			drift:    drift{object: "Deployment/app", pointer: "/spec/template/spec/volumes/1/configMap/defaultMode", value: 256, leaf: "spec/template/spec/volumes[other]/configMap/defaultMode"},
			upgrades: []string{"ConfigMap/app data/version"}},
		colored(sample{kind: "values.schema.json", files: map[string]string{
			"values.schema.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {"color": {"type": "string", "enum": ["blue", "red"]}}}`,
		}, change: "color: 7", refused: map[string][]string{"change": {"color", "values don't meet the specifications of the schema", "correct the values"}}}),
		colored(sample{kind: "required value", values: "host: ''", set: "host: a.example.com", files: map[string]string{"templates/host.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: host}
data: {host: {{ required "host is required" .Values.host }}}
`}, change: "host: null", refused: map[string][]string{"change": {"host is required", "correct them"}}}),
		colored(sample{kind: "capabilities", files: map[string]string{"templates/caps.yaml": `
{{- if .Capabilities.APIVersions.Has "policy/v1/PodDisruptionBudget" }}
apiVersion: v1
kind: ConfigMap
metadata: {name: caps}
data: {apps: {{ .Capabilities.APIVersions.Has "apps/v1" | quote }}, kube: {{ .Capabilities.KubeVersion.Version }}, newer: {{ semverCompare ">=1.25-0" .Capabilities.KubeVersion.GitVersion | quote }}, helm: {{ .Capabilities.HelmVersion.Version }}}
{{- end }}
{{- if .Capabilities.APIVersions.Has "monitoring.absent.example.com/v1" }}
---
apiVersion: monitoring.absent.example.com/v1
kind: ServiceMonitor
metadata: {name: absent}
{{- end }}
`}, meta: "kubeVersion: '>=1.22.0-0'\n"}),
		colored(sample{kind: "files and their checksums", files: map[string]string{
			"files/a.conf": "a = {{ .Release.Name }}\n", "files/b.bin": "\x00\x01\xff", "dashboards/one.json": `{"title": "{{label}}"}`,
			"templates/files.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: files}
data:
  color: {{ .Values.color }}
  {{- (.Files.Glob "dashboards/*.json").AsConfig | nindent 2 }}
  a.conf: {{ tpl (.Files.Get "files/a.conf") . | quote }}
binaryData: {b.bin: {{ .Files.Get "files/b.bin" | b64enc }}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: files}
spec:
  selector: {matchLabels: {app: files}}
  template:
    metadata:
      labels: {app: files}
      annotations: {checksum/config: {{ include (print $.Template.BasePath "/settings.yaml") . | sha256sum }}}
    spec: {containers: [{name: main, image: example.com/inert:1}]}
`}, change: "color: red", changes: []string{"ConfigMap/app data/color", "ConfigMap/files data/color", "Deployment/files spec/template/metadata/annotations/checksum/config"},
			upgrades: []string{"Deployment/files spec/template/metadata/annotations/checksum/config"}}),
		colored(sample{kind: "fromYaml, toYaml, merge", values: "base: {a: 1, deep: {x: [1, 2], on: true}}\nover: {}\n", files: map[string]string{"templates/merged.yaml": `
{{- $m := mergeOverwrite (deepCopy .Values.base) .Values.over }}
apiVersion: v1
kind: ConfigMap
metadata: {name: merged}
data:
  config.yaml: | {{- toYaml $m | nindent 4 }}
  again: {{ (fromYaml (toYaml $m)).deep.x | toJson | quote }}
  list: {{ fromYamlArray "[1, yes]" | toJson | quote }}
  toml: {{ toToml $m | quote }}
`}, change: "over: {deep: {x: [3]}}", changes: []string{"ConfigMap/merged data/config.yaml", "ConfigMap/merged data/again", "ConfigMap/merged data/toml"}}),
		colored(sample{kind: "notes", files: map[string]string{"templates/NOTES.txt": `
{{ $s := lookup "v1" "Service" .Release.Namespace "none" }}Installed {{ .Release.Name }}, revision {{ .Release.Revision }}: {{ randAlphaNum 4 }}
`}}),
	}
}
