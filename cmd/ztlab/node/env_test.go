package node

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
)

// fakeObjects are the ConfigMaps and Secrets of a namespace.
type fakeObjects struct {
	configMaps map[string]map[string]string
	secrets    map[string]map[string]string
}

func (f fakeObjects) ConfigMap(_ context.Context, name string) (*corev1.ConfigMap, error) {
	data, ok := f.configMaps[name]
	if !ok {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, name)
	}
	return &corev1.ConfigMap{Data: data}, nil
}

func (f fakeObjects) Secret(_ context.Context, name string) (*corev1.Secret, error) {
	data, ok := f.secrets[name]
	if !ok {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
	}
	s := &corev1.Secret{Data: map[string][]byte{}}
	for k, v := range data {
		s.Data[k] = []byte(v)
	}
	return s, nil
}

func examplePod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-0", Namespace: "apps", UID: "uid-1", Labels: map[string]string{"tier": "front"}, Annotations: map[string]string{"a/b": "c"}},
		Spec:       corev1.PodSpec{NodeName: "lab", ServiceAccountName: "web", RestartPolicy: corev1.RestartPolicyAlways},
		Status:     corev1.PodStatus{PodIP: "10.244.0.9", PodIPs: []corev1.PodIP{{IP: "10.244.0.9"}}, HostIP: "127.0.0.1"},
	}
}

func field(path string) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
}

func TestEnvironment(t *testing.T) {
	objects := fakeObjects{
		configMaps: map[string]map[string]string{"conf": {"COLOUR": "blue", "not a name": "x", "SHARED": "from map"}},
		secrets:    map[string]map[string]string{"keys": {"PASSWORD": "hunter2"}},
	}
	pod := examplePod()
	container := corev1.Container{
		Name: "web",
		EnvFrom: []corev1.EnvFromSource{
			{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "conf"}}},
			{Prefix: "S_", SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "keys"}}},
			{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}, Optional: ptr.To(true)}},
		},
		Env: []corev1.EnvVar{
			{Name: "NAME", ValueFrom: field("metadata.name")},
			{Name: "NAMESPACE", ValueFrom: field("metadata.namespace")},
			{Name: "LABEL", ValueFrom: field("metadata.labels['tier']")},
			{Name: "ANNOTATION", ValueFrom: field("metadata.annotations['a/b']")},
			{Name: "IP", ValueFrom: field("status.podIP")},
			{Name: "HOST", ValueFrom: field("status.hostIP")},
			{Name: "NODE", ValueFrom: field("spec.nodeName")},
			{Name: "ACCOUNT", ValueFrom: field("spec.serviceAccountName")},
			{Name: "MEMORY", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory"}}},
			{Name: "KEY", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "keys"}, Key: "PASSWORD"}}},
			{Name: "GONE", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "conf"}, Key: "none", Optional: ptr.To(true)}}},
			{Name: "URL", Value: "http://$(NAME).$(NAMESPACE):$(DB_SERVICE_PORT)/$$(NAME)/$(UNKNOWN)"},
			{Name: "SHARED", Value: "own"},
		},
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}},
	}
	pod.Spec.Containers = []corev1.Container{container}
	services := []*corev1.Service{{
		ObjectMeta: metav1.ObjectMeta{Name: "db"},
		Spec:       corev1.ServiceSpec{ClusterIP: "10.96.0.7", Ports: []corev1.ServicePort{{Port: 5432, Protocol: corev1.ProtocolTCP}}},
	}}
	got, err := environment(t.Context(), pod, &container, services, objects)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"COLOUR": "blue", "SHARED": "own", "S_PASSWORD": "hunter2",
		"NAME": "web-0", "NAMESPACE": "apps", "LABEL": "front", "ANNOTATION": "c", "IP": "10.244.0.9", "HOST": "127.0.0.1",
		"NODE": "lab", "ACCOUNT": "web", "MEMORY": "67108864", "KEY": "hunter2",
		"URL":             "http://web-0.apps:5432/$(NAME)/$(UNKNOWN)",
		"DB_SERVICE_HOST": "10.96.0.7", "DB_SERVICE_PORT": "5432",
		"DB_PORT": "tcp://10.96.0.7:5432", "DB_PORT_5432_TCP": "tcp://10.96.0.7:5432",
		"DB_PORT_5432_TCP_PROTO": "tcp", "DB_PORT_5432_TCP_PORT": "5432", "DB_PORT_5432_TCP_ADDR": "10.96.0.7",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"--url=http://web-0.apps:5432/$(NAME)/$(UNKNOWN)", "$(NAME)"}, expandAll([]string{"--url=$(URL)", "$$(NAME)"}, got)); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
}

func TestEnvironmentSaysWhatIsMissing(t *testing.T) {
	objects := fakeObjects{secrets: map[string]map[string]string{"keys": {}}}
	ref := corev1.LocalObjectReference{Name: "keys"}
	tests := map[string]struct {
		container corev1.Container
		want      string
	}{
		"secret":    {corev1.Container{EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}}}}}, `secrets "none" not found`},
		"configmap": {corev1.Container{Env: []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: ref, Key: "k"}}}}}, `env A: configmaps "keys" not found`},
		"key":       {corev1.Container{Env: []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: ref, Key: "k"}}}}}, `env A: secret "keys" has no key "k"`},
		"field":     {corev1.Container{Env: []corev1.EnvVar{{Name: "A", ValueFrom: field("spec.unknown")}}}, "env A: unsupported fieldPath"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := environment(t.Context(), examplePod(), &tt.container, nil, objects)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v; want one with %q", err, tt.want)
			}
		})
	}
}

// A component has the settings of the Go runtime, and nothing of its own network.
func TestProcessEnvironment(t *testing.T) {
	t.Setenv("GOGC", "400")
	t.Setenv("HTTPS_PROXY", "http://proxy.example")
	env := processEnvironment("/container")
	if !slices.Contains(env, "GOGC=400") || strings.Contains(strings.Join(env, "\n"), "proxy.example") {
		t.Errorf("the environment is %q", env)
	}
}
