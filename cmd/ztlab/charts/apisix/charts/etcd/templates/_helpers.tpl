{{- define "lab.etcd.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains "etcd" .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "lab.etcd.identity" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
{{- end -}}

{{- define "lab.etcd.selector" -}}
{{ include "lab.etcd.identity" . }}
app.kubernetes.io/component: etcd
{{- end -}}

{{- define "lab.etcd.base" -}}
{{ include "lab.etcd.identity" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "lab.etcd.labels" -}}
{{ include "lab.etcd.base" . }}
app.kubernetes.io/component: etcd
{{- end -}}

{{- define "lab.etcd.image" -}}
{{- with .Values.image -}}
{{- if .registry }}{{ .registry }}/{{ end }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end -}}
{{- end -}}

{{/* member=url pairs of every replica, at the given port. */}}
{{- define "lab.etcd.members" -}}
{{- $root := .root -}}{{- $port := .port -}}
{{- $fullname := include "lab.etcd.fullname" $root -}}
{{- $members := list -}}
{{- range $i := until (int $root.Values.replicaCount) -}}
{{- $members = append $members (printf "%s-%d=http://%s-%d.%s-headless.%s.svc.%s:%v" $fullname $i $fullname $i $fullname $root.Release.Namespace $root.Values.clusterDomain $port) -}}
{{- end -}}
{{- join "," $members -}}
{{- end -}}
