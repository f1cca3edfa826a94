package kubestatus_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
		t.Fatal(err)
	}
	// JSON numbers are float64 here and int64 in answers of a cluster.
	text2, err := obj.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := obj.UnmarshalJSON(text2); err != nil {
		t.Fatal(err)
	}
	return obj
}

const sealedVault = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: vault, namespace: vault, generation: 1}
spec: {replicas: 1, updateStrategy: {type: OnDelete}}
status: {observedGeneration: 1, replicas: 1, readyReplicas: 0}
`

func pod(name string, phase corev1.PodPhase, state corev1.ContainerState) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status: corev1.PodStatus{
			Phase:             phase,
			ContainerStatuses: []corev1.ContainerStatus{{Name: "c", State: state}},
		},
	}
}

func TestCurrent(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	pulling := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}}
	type verdict struct {
		Done, Failed bool
		Message      string
	}
	for name, test := range map[string]struct {
		object string
		pods   []corev1.Pod
		want   verdict
	}{
		"sealed Vault: its pod runs and is not ready": {
			sealedVault, []corev1.Pod{pod("vault-0", corev1.PodRunning, running)},
			verdict{Done: true, Message: "1 of 1 pods run"},
		},
		"Vault whose image is missing": {
			sealedVault, []corev1.Pod{pod("vault-0", corev1.PodPending, pulling)},
			verdict{Message: "0 of 1 pods run: pod vault-0 waits: container c is in ImagePullBackOff: no such image"},
		},
		"OnDelete without pods yet": {
			sealedVault, []corev1.Pod{}, verdict{Message: "0 of 1 pods run"},
		},
		"Job that runs": {
			`{apiVersion: batch/v1, kind: Job, metadata: {name: j}, status: {startTime: "2026-01-01T00:00:00Z", active: 1}}`, nil,
			verdict{Message: "Job runs: 0 succeeded, 1 active, 0 failed"},
		},
		"Job that completed": {
			`{apiVersion: batch/v1, kind: Job, metadata: {name: j}, status: {conditions: [{type: Complete, status: "True"}]}}`, nil,
			verdict{Done: true, Message: "Job completed"},
		},
		"Job that failed": {
			`{apiVersion: batch/v1, kind: Job, metadata: {name: j}, status: {conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded, message: too often}]}}`, nil,
			verdict{Failed: true, Message: "Job failed: BackoffLimitExceeded: too often"},
		},
		"CRD that is new": {
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x}}`, nil,
			verdict{Message: "CRD is not established yet"},
		},
		"CRD that is established": {
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x}, status: {conditions: [{type: NamesAccepted, status: "True"}, {type: Established, status: "True"}]}}`, nil,
			verdict{Done: true, Message: "CRD is established"},
		},
		"CRD whose names are taken": {
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x}, status: {conditions: [{type: NamesAccepted, status: "False", message: taken}]}}`, nil,
			verdict{Failed: true, Message: "names are not accepted: taken"},
		},
		"Certificate that its controller has not seen": {
			`{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: x}}`, nil,
			verdict{Message: "its controller has not seen it yet"},
		},
		"Certificate that was ready before a change": {
			`{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: x, generation: 2}, status: {conditions: [{type: Ready, status: "True", observedGeneration: 1}]}}`, nil,
			verdict{Message: "its controller has not seen the last change yet"},
		},
		"Certificate that is ready": {
			`{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: x, generation: 2}, status: {conditions: [{type: Ready, status: "True", reason: Ready, message: up to date, observedGeneration: 2}]}}`, nil,
			verdict{Done: true, Message: "Ready: up to date"},
		},
		"Deployment that rolls out": {
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: x, generation: 2}, spec: {replicas: 1}, status: {observedGeneration: 1}}`, nil,
			verdict{Message: "Deployment generation is 2, but latest observed generation is 1"},
		},
		"ConfigMap": {
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}`, nil,
			verdict{Done: true, Message: "Resource is always ready"},
		},
		"object that is being deleted": {
			`{apiVersion: batch/v1, kind: Job, metadata: {name: x, deletionTimestamp: "2026-01-01T00:00:00Z"}}`, nil,
			verdict{Message: "Resource scheduled for deletion"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := kubestatus.Current(parse(t, test.object), test.pods...)
			got := verdict{st.Done, st.Failed, st.Message}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestEnded(t *testing.T) {
	for text, want := range map[string]kubestatus.Result{
		"{kind: Job, status: {conditions: [{type: Complete, status: \"True\"}]}}":                                     {Done: true, Message: "Job completed"},
		"{kind: Job, status: {conditions: [{type: Failed, status: \"True\", reason: BackoffLimit, message: often}]}}": {Failed: true, Message: "Job failed: BackoffLimit: often"},
		"{kind: Job, status: {conditions: [{type: Complete, status: \"False\"}]}}":                                    {Message: "Job runs: 0 succeeded, 0 active, 0 failed"},
		"{kind: Job, status: {conditions: [{type: Suspended, status: \"True\"}]}}":                                    {Message: "Job runs: 0 succeeded, 0 active, 0 failed"},
		"{kind: Job}": {Message: "Job runs: 0 succeeded, 0 active, 0 failed"},
		"{kind: Pod, status: {phase: Succeeded}}": {Done: true},
		"{kind: Pod, status: {phase: Failed}}":    {Failed: true, Message: "the pod failed"},
		"{kind: Pod, status: {phase: Running}}":   {},
	} {
		if got := kubestatus.Ended(parse(t, text)); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}
