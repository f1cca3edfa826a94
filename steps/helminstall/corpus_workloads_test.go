package helminstall_test

// workloadSamples are charts with workloads, and with objects that scale and start
// them.
func workloadSamples() []sample {
	const pod = `
    metadata: {labels: {app: app}, annotations: {version: {{ .Chart.Version | quote }}}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: main, image: example.com/inert:1, args: [{{ .Values.color }}]}]}
`
	// deployed is a Deployment with further fields of its spec.
	deployed := func(fields string) string {
		return `
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  ` + fields + `
  selector: {matchLabels: {app: app}}
  template:` + pod
	}
	const args, version = " spec/template/spec/containers[main]/args", " spec/template/metadata/annotations/version"
	template := func(s sample, object string) sample {
		s.values += "\ncolor: blue\n"
		s.change, s.changes = "color: red", []string{object + args}
		s.upgrades = append(s.upgrades, object+version)
		if s.drift == (drift{}) {
			s.drift = drift{object: object, pointer: "/spec/template/spec/containers/0/args/0", value: "pink", leaf: args[1:]}
		}
		return s
	}
	autoscaler := `
---
apiVersion: autoscaling/{{ if eq .Chart.Version "1.0.0" }}v1{{ else }}v2{{ end }}
kind: HorizontalPodAutoscaler
metadata: {name: app}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: app}
  minReplicas: 1
  maxReplicas: 3
  {{- if eq .Chart.Version "1.0.0" }}
  targetCPUUtilizationPercentage: 80
  {{- else }}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
  {{- end }}
`
	replicas := drift{object: "Deployment/app", pointer: "/spec/replicas", value: 2}
	return []sample{
		template(sample{kind: "Deployment with everything", files: map[string]string{"templates/all.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 1
  revisionHistoryLimit: 3
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 0}}
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}, annotations: {version: {{ .Chart.Version | quote }}}}
    spec:
      serviceAccount: default
      terminationGracePeriodSeconds: 0
      securityContext: {runAsNonRoot: true, runAsUser: 65534, seccompProfile: {type: RuntimeDefault}}
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: app}}}]
      affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: app}}}}]}}
      initContainers: [{name: init, image: example.com/inert:1, command: [sh, -c, exit]}]
      volumes:
      - {name: tmp, emptyDir: {}}
      - {name: shm, emptyDir: {medium: Memory, sizeLimit: 0.5Gi}}
      - {name: all, projected: {sources: [{downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}]}}
      containers:
      - name: main
        image: example.com/inert:1
        args: [{{ .Values.color }}]
        env: [{name: EMPTY, value: ""}, {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}, {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]
        ports: [{name: http, containerPort: 8080}]
        resources: {limits: {cpu: 1000m, memory: 0.25Gi}, requests: {cpu: 0.1, memory: "134217728"}}
        securityContext: {capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}
        volumeMounts: [{name: tmp, mountPath: /tmp, readOnly: false}]
`}}, "Deployment/app"),
		template(sample{kind: "replicas left to an autoscaler", files: map[string]string{"templates/all.yaml": deployed("") + autoscaler},
			drift: replicas}, "Deployment/app"),
		template(sample{kind: "replicas under an autoscaler", quick: true, files: map[string]string{"templates/all.yaml": deployed("replicas: 1") + autoscaler},
			drift: replicas}, "Deployment/app"),
		template(sample{kind: "StatefulSet with claims", files: map[string]string{"templates/all.yaml": `
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {clusterIP: None, selector: {app: app}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: app}
spec:
  serviceName: app
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: app}}
  volumeClaimTemplates:
  - metadata: {name: data, labels: {app: app}}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}
  - apiVersion: v1
    kind: PersistentVolumeClaim
    metadata: {name: more}
    spec: {accessModes: [ReadWriteOnce], storageClassName: null, resources: {requests: {storage: "1"}}}
  template:` + pod}}, "StatefulSet/app"),
		template(sample{kind: "DaemonSet", quick: true, files: map[string]string{"templates/all.yaml": `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: app}
spec:
  updateStrategy: {type: RollingUpdate}
  selector: {matchLabels: {app: app}}
  template:` + pod + `
`}}, "DaemonSet/app"),
		{kind: "CronJob", values: "color: blue", files: map[string]string{"templates/all.yaml": `
apiVersion: batch/v1
kind: CronJob
metadata: {name: app, labels: {version: {{ .Chart.Version | quote }}}}
spec:
  schedule: "0 3 * * *"
  concurrencyPolicy: Forbid
  suspend: true
  jobTemplate: {spec: {ttlSecondsAfterFinished: 60, template: {spec: {restartPolicy: OnFailure, containers: [{name: main, image: example.com/inert:1, args: [{{ .Values.color }}]}]}}}}
`}, change: "color: red", changes: []string{"CronJob/app spec/jobTemplate/spec/template/spec/containers[main]/args"},
			drift:    drift{object: "CronJob/app", pointer: "/spec/suspend", value: false, leaf: "spec/suspend"},
			upgrades: []string{"CronJob/app metadata/labels/version"}},
		colored(sample{kind: "Job that removes itself", files: map[string]string{"templates/job.yaml": `
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  ttlSecondsAfterFinished: 3600
  template: {spec: {restartPolicy: Never, containers: [{name: main, image: example.com/inert:1}]}}
`}}),
		colored(sample{kind: "Job named after the revision", files: map[string]string{"templates/job.yaml": `
apiVersion: batch/v1
kind: Job
metadata: {name: migrate-{{ .Release.Revision }}}
spec:
  template: {spec: {restartPolicy: Never, containers: [{name: main, image: example.com/inert:1}]}}
`}, changes: []string{"Job/migrate-1", "Job/migrate-2"}, upgrades: []string{"Job/migrate-2", "Job/migrate-3"}}),
		colored(sample{kind: "Job whose template changes", files: map[string]string{"templates/job.yaml": `
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  template: {spec: {restartPolicy: Never, containers: [{name: main, image: "example.com/inert:{{ .Chart.Version }}"}]}}
`}, refused: map[string][]string{"upgrade": {"Job/migrate", "spec.template", "field is immutable", "delete the object first"}}}),
		colored(sample{kind: "volume claim", files: map[string]string{"templates/pvc.yaml": `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, annotations: {helm.sh/resource-policy: keep}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: {{ .Values.storage | default "8Gi" }}}}}
`}, noWait: true, change: "storage: 4Gi", refused: map[string][]string{"change": {"PersistentVolumeClaim/data", "spec is immutable", "resources.requests", "put the value back"}}}),
	}
}
