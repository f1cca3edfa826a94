package helminstall_test

// settingsMap is a ConfigMap with a value of the plan and the chart's version, for
// charts whose structure is elsewhere.
const settingsMap = `
apiVersion: v1
kind: ConfigMap
metadata: {name: app}
data: {color: {{ .Values.color | quote }}, version: {{ .Chart.Version | quote }}}
`

// colored fills in the stages of a sample that has settingsMap.
func colored(s sample) sample {
	if s.files["templates/settings.yaml"] == "" {
		s.files["templates/settings.yaml"] = settingsMap
	}
	s.values += "\ncolor: blue\n"
	if s.change == "" {
		s.change, s.changes = "color: red", append(s.changes, "ConfigMap/app data/color")
	}
	if s.drift == (drift{}) {
		s.drift = drift{object: "ConfigMap/app", pointer: "/data/color", value: "pink", leaf: "data/color"}
	}
	s.upgrades = append(s.upgrades, "ConfigMap/app data/version")
	return s
}

// hookJob is a Job that Helm runs at the events, with further annotations.
func hookJob(name, events, annotations string) string {
	return `
apiVersion: batch/v1
kind: Job
metadata:
  name: ` + name + `
  annotations: {helm.sh/hook: "` + events + `"` + annotations + `}
spec:
  backoffLimit: 0
  template: {spec: {restartPolicy: Never, containers: [{name: main, image: example.com/inert:1, args: ["{{ .Release.Revision }}"]}]}}
`
}

// generated is a hook whose name the API server makes up.
func generated(deletePolicy string) string {
	return `
apiVersion: batch/v1
kind: Job
metadata:
  generateName: hook-
  annotations: {helm.sh/hook: "post-install,post-upgrade", helm.sh/hook-delete-policy: ` + deletePolicy + `}
spec:
  template: {spec: {restartPolicy: Never, containers: [{name: main, image: example.com/inert:1}]}}
`
}

// hookSamples are charts with hooks: they run with each upgrade, and belong to no
// release between.
func hookSamples() []sample {
	const deletePolicy = `, helm.sh/hook-delete-policy: `
	return []sample{
		colored(sample{kind: "hook before, deleted before creation", files: map[string]string{
			"templates/hook.yaml": hookJob("hook", "pre-install,pre-upgrade", deletePolicy+"before-hook-creation")},
			stays: []string{"Job/hook"}}),
		colored(sample{kind: "hook after, deleted on success", files: map[string]string{
			"templates/hook.yaml": hookJob("hook", "post-install,post-upgrade", deletePolicy+"hook-succeeded")},
			gone: []string{"Job/hook"}}),
		colored(sample{kind: "hook deleted on failure only", files: map[string]string{
			"templates/hook.yaml": hookJob("hook-{{ .Release.Revision }}", "post-install,post-upgrade", deletePolicy+"hook-failed")},
			stays: []string{"Job/hook-1", "Job/hook-2", "Job/hook-3"}}),
		colored(sample{kind: "hook with all delete policies", files: map[string]string{
			"templates/hook.yaml": hookJob("hook", "post-install,post-upgrade", deletePolicy+`"before-hook-creation,hook-succeeded,hook-failed"`)},
			gone: []string{"Job/hook"}}),
		colored(sample{kind: "hook without a delete policy", files: map[string]string{
			"templates/hook.yaml": hookJob("hook", "post-install,post-upgrade", "")},
			stays: []string{"Job/hook"}}),
		colored(sample{kind: "hooks with weights", files: map[string]string{
			"templates/account.yaml": `
apiVersion: v1
kind: ServiceAccount
metadata:
  name: hook
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-weight: "-5"}
`,
			"templates/config.yaml": `
apiVersion: v1
kind: ConfigMap
metadata:
  name: hook
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-weight: "1", helm.sh/hook-delete-policy: before-hook-creation}
data: {revision: "{{ .Release.Revision }}"}
`,
			"templates/job.yaml": hookJob("hook", "pre-install,pre-upgrade", `, helm.sh/hook-weight: "10", helm.sh/hook-delete-policy: hook-succeeded`)},
			stays: []string{"ServiceAccount/hook", "ConfigMap/hook"}, gone: []string{"Job/hook"}}),
		colored(sample{kind: "hooks of deletion and rollback", files: map[string]string{
			"templates/delete.yaml":   hookJob("cleanup", "pre-delete,post-delete", ""),
			"templates/rollback.yaml": hookJob("back", "pre-rollback,post-rollback", "")},
			gone: []string{"Job/cleanup", "Job/back"}}),
		colored(sample{kind: "test hook", files: map[string]string{
			"templates/tests/connection.yaml": `
apiVersion: v1
kind: Pod
metadata:
  name: "{{ .Release.Name }}-test"
  annotations: {helm.sh/hook: test, helm.sh/hook-delete-policy: "before-hook-creation,hook-succeeded"}
spec: {restartPolicy: Never, containers: [{name: main, image: example.com/inert:1}]}
`}, gone: []string{"Pod/app-test"}}),
		colored(sample{kind: "hook with generateName", files: map[string]string{
			"templates/hook.yaml": generated("hook-failed")}}),
		colored(sample{kind: "hook with generateName, deleted by name", quick: true, files: map[string]string{
			"templates/hook.yaml": generated("hook-succeeded")},
			refused: map[string][]string{"install": {"templates/hook.yaml", "metadata.generateName", "the chart has to give it a metadata.name"}}}),
		colored(sample{kind: "hook that keeps a random Secret", files: map[string]string{
			"templates/secret.yaml": `
apiVersion: v1
kind: Secret
metadata:
  name: kept
  annotations: {helm.sh/hook: pre-install, helm.sh/resource-policy: keep, helm.sh/hook-delete-policy: before-hook-creation}
stringData: {password: {{ randAlphaNum 20 | quote }}}
`}, stays: []string{"Secret/kept"}}),
	}
}
