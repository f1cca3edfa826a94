package helminstall_test

import "testing"

// randomSamples are charts that make something at random, or look something up in
// the cluster.
func randomSamples(t testing.TB) []sample {
	webhook := func(bundle string) string {
		return `
{{- $ca := genCA "app-ca" 365 }}
{{- $cert := genSignedCert "app" nil (list (printf "app.%s.svc" .Release.Namespace)) 365 $ca }}
apiVersion: v1
kind: Secret
metadata: {name: app-tls}
type: kubernetes.io/tls
data: {tls.crt: {{ $cert.Cert | b64enc }}, tls.key: {{ $cert.Key | b64enc }}, ca.crt: {{ $ca.Cert | b64enc }}}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {selector: {app: app}, ports: [{port: 443}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: NS}
webhooks:
- name: mutate.GROUP
  failurePolicy: Ignore
  timeoutSeconds: {{ .Values.timeout }}
  sideEffects: None
  admissionReviewVersions: [v1]
  clientConfig: {caBundle: ` + bundle + `, service: {name: app, namespace: NS, path: /mutate-{{ .Chart.AppVersion | default .Chart.Version }}}}
  rules: [{apiGroups: [GROUP], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [things]}]
`
	}
	return []sample{
		colored(sample{kind: "random Secret kept by lookup", files: map[string]string{"templates/secret.yaml": `
{{- $old := lookup "v1" "Secret" .Release.Namespace "app" }}
apiVersion: v1
kind: Secret
metadata: {name: app}
data:
  {{- if $old }}
  password: {{ index $old.data "password" }}
  {{- else }}
  password: {{ randAlphaNum 24 | b64enc }}
  {{- end }}
`}}),
		colored(sample{kind: "random Secret", files: map[string]string{"templates/secret.yaml": `
apiVersion: v1
kind: Secret
metadata: {name: app}
stringData: {password: {{ randAlphaNum 24 }}, cookie: {{ randBytes 16 | quote }}, salted: {{ htpasswd "user" "x" | quote }}}
`}, random: []string{"Secret/app data/password", "Secret/app data/cookie", "Secret/app data/salted"}}),
		colored(sample{kind: "random values by tpl", files: map[string]string{"templates/secret.yaml": `
apiVersion: v1
kind: Secret
metadata: {name: app}
stringData: {password: {{ tpl .Values.secret . | quote }}}
`}, values: "secret: '{{ randAlphaNum 12 }}'", random: []string{"Secret/app data/password"}}),
		colored(sample{kind: "random values by tpl of the plan", quick: true, files: map[string]string{"templates/secret.yaml": `
apiVersion: v1
kind: Secret
metadata: {name: app}
stringData: {password: {{ tpl .Values.secret . | quote }}}
`}, values: "secret: ''", set: "secret: '{{ randAlphaNum 12 }}'", random: []string{"Secret/app data/password"}}),
		colored(sample{kind: "random Secret of a packed subchart", quick: true, meta: "dependencies: [{name: sub, version: 1.0.0}]\n", files: map[string]string{
			"charts/sub-1.0.0.tgz": packed(t, "sub", map[string]string{"templates/secret.yaml": `
apiVersion: v1
kind: Secret
metadata: {name: sub}
stringData: {password: {{ randAlphaNum 24 }}}
`})}, random: []string{"Secret/sub data/password"}}),
		colored(sample{kind: "time of the upgrade", files: map[string]string{"templates/settings.yaml": settingsMap + `
---
apiVersion: v1
kind: ConfigMap
metadata: {name: stamp, annotations: {example.com/deployed: {{ now | date "2006-01-02T15:04:05.000000000" | quote }}}}
`}, random: []string{"ConfigMap/stamp metadata/annotations/example.com/deployed"}}),
		{kind: "webhook with a certificate of its own", files: map[string]string{"templates/all.yaml": webhook("{{ $ca.Cert | b64enc }}")},
			values: "timeout: 5", change: "timeout: 7", changes: []string{"MutatingWebhookConfiguration/NS webhooks[mutate.GROUP]/timeoutSeconds"},
			drift:    drift{object: "MutatingWebhookConfiguration/NS", pointer: "/webhooks/0/failurePolicy", value: "Fail", leaf: "webhooks[mutate.GROUP]/failurePolicy"},
			upgrades: []string{"MutatingWebhookConfiguration/NS webhooks[mutate.GROUP]/clientConfig/service/path"},
			random: []string{"Secret/app-tls data/tls.crt", "Secret/app-tls data/tls.key", "Secret/app-tls data/ca.crt",
				"MutatingWebhookConfiguration/NS webhooks[mutate.GROUP]/clientConfig/caBundle"}},
		{kind: "webhook with an injected bundle", files: map[string]string{"templates/all.yaml": `
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {selector: {app: app}, ports: [{port: 443}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: NS, annotations: {cert-manager.io/inject-ca-from: NS/app}}
webhooks:
- name: validate.GROUP
  failurePolicy: Ignore
  timeoutSeconds: {{ .Values.timeout }}
  sideEffects: None
  admissionReviewVersions: [v1]
  clientConfig: {caBundle: Cg==, service: {name: app, namespace: NS, path: "/{{ .Chart.Version }}"}}
  rules: [{apiGroups: [GROUP], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [things]}]
`}, values: "timeout: 5", change: "timeout: 7", changes: []string{"ValidatingWebhookConfiguration/NS webhooks[validate.GROUP]/timeoutSeconds"},
			drift:    drift{object: "ValidatingWebhookConfiguration/NS", pointer: "/webhooks/0/clientConfig/caBundle", value: "YWJj"},
			upgrades: []string{"ValidatingWebhookConfiguration/NS webhooks[validate.GROUP]/clientConfig/service/path"}},
		colored(sample{kind: "lookup of objects in the cluster", files: map[string]string{"templates/looked.yaml": `
{{- $ns := lookup "v1" "Namespace" "" .Release.Namespace }}
apiVersion: v1
kind: ConfigMap
metadata: {name: looked}
data:
  phase: {{ $ns.status.phase }}
  classes: {{ range (lookup "storage.k8s.io/v1" "StorageClass" "" "").items }}{{ .metadata.name }} {{ end }}
  absent: {{ lookup "v1" "Secret" "absent" "absent" | toJson | quote }}
`}}),
	}
}
