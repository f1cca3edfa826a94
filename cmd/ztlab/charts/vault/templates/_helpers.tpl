{{/* Object names start with the release's name; it is not repeated when it says "vault" already. */}}
{{- define "lab.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "lab.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "lab.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "lab.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "lab.namespace" -}}
{{- default .Release.Namespace .Values.global.namespace -}}
{{- end -}}

{{- define "lab.scheme" -}}
{{- if .Values.global.tlsDisable }}http{{ else }}https{{ end -}}
{{- end -}}

{{- define "lab.serviceAccount" -}}
{{- default (include "lab.fullname" .) .Values.server.serviceAccount.name -}}
{{- end -}}

{{/* "on" or "": a switch whose "-" follows global.enabled. */}}
{{- define "lab.switch" -}}
{{- $v := toString .value -}}
{{- if or (eq $v "true") (and (eq $v "-") (eq (toString .root.Values.global.enabled) "true")) }}on{{ end -}}
{{- end -}}

{{- define "lab.server" -}}
{{- include "lab.switch" (dict "value" .Values.server.enabled "root" .) -}}
{{- end -}}

{{- define "lab.injector" -}}
{{- include "lab.switch" (dict "value" .Values.injector.enabled "root" .) -}}
{{- end -}}

{{/* dev, ha, standalone or "" (no server). */}}
{{- define "lab.mode" -}}
{{- if eq (toString .Values.server.dev.enabled) "true" -}}dev
{{- else if eq (toString .Values.server.ha.enabled) "true" -}}
{{- if ne (toString .Values.server.ha.raft.enabled) "true" -}}
{{- fail "lab chart of vault: server.ha without server.ha.raft.enabled=true cannot run in the embedded lab, which has no Consul; use raft" -}}
{{- end -}}ha
{{- else if include "lab.switch" (dict "value" .Values.server.standalone.enabled "root" .) -}}standalone
{{- end -}}
{{- end -}}

{{/* "on" or "": the server keeps its data in a volume. */}}
{{- define "lab.stores" -}}
{{- if has (include "lab.mode" .) (list "standalone" "ha") }}on{{ end -}}
{{- end -}}

{{- define "lab.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "lab.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "lab.selector" -}}
app.kubernetes.io/name: {{ include "lab.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
component: server
{{- end -}}

{{- define "lab.injector.labels" -}}
app.kubernetes.io/name: {{ include "lab.name" . }}-agent-injector
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "lab.injector.selector" -}}
app.kubernetes.io/name: {{ include "lab.name" . }}-agent-injector
app.kubernetes.io/instance: {{ .Release.Name }}
component: webhook
{{- end -}}

{{/* A string value is a template of its own, anything else is YAML. */}}
{{- define "lab.text" -}}
{{- if kindIs "string" .value }}{{ tpl .value .root }}{{ else }}{{ toYaml .value }}{{ end -}}
{{- end -}}

{{- define "lab.antiAffinity" -}}
podAntiAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels:
          {{- .selector | nindent 10 }}
{{- end -}}

{{- define "lab.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .Values.server.uid | default 100 }}
runAsGroup: {{ .Values.server.gid | default 1000 }}
fsGroup: {{ .Values.server.gid | default 1000 }}
{{- end -}}
