package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestPatchFor(t *testing.T) {
	const (
		deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, resourceVersion: \"7\"}, spec: "
		container  = deployment + "{template: {spec: {containers: [{name: main, "
		service    = "{apiVersion: v1, kind: Service, metadata: {name: a, resourceVersion: \"7\"}, spec: {ports: "
		custom     = "{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}, spec: "
	)
	for name, test := range map[string]struct {
		original, target, live string // original is target if it is ""
		want                   string // "" for a merge patch that leaves the resource version alone
	}{
		"annotations of others": {
			target: deployment + "{replicas: 2, template: {metadata: {annotations: null}}}}",
			live:   deployment + "{replicas: 1, template: {metadata: {annotations: {restarted: now}}}}}",
			want:   `{"spec":{"replicas":2}}`,
		},
		"variables of others": {
			target: container + "args: [x], env: null}]}}}}",
			live:   container + "args: [y], env: [{name: A, value: b}]}]}}}}",
			want:   `{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"main"}],"containers":[{"args":["x"],"name":"main"}]}}}}`,
		},
		"a list as a whole": {
			target: deployment + "{replicas: 2, template: {spec: {tolerations: []}}}}",
			live:   deployment + "{replicas: 1, template: {spec: {tolerations: [{key: a}]}}}}",
			want:   `{"spec":{"replicas":2}}`,
		},
		"what nobody has filled in": {
			target: custom + "{a: {}, b: [], c: null}}",
			live:   custom + "{}}",
			want:   `{"spec":{"a":{},"b":[]}}`,
		},
		"what was there is emptied": {
			original: "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: {x: y}}}",
			target:   "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: null}}",
			live:     "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: {x: y, other: z}}}",
			want:     `{"metadata":{"annotations":{"x":null}}}`,
		},
		"an empty choice is made another": {
			original: custom + "{selfSigned: {}}}",
			target:   custom + "{vault: {path: x}}}",
			live:     custom + "{selfSigned: {}}}",
			want:     `{"spec":{"selfSigned":null,"vault":{"path":"x"}}}`,
		},
		"an empty field goes": {
			original: "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: null, labels: {}}}",
			target:   "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}",
			live:     "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: {x: y}, labels: {x: y}}}",
			want:     `{}`,
		},
		"a variable twice": {
			target: container + "env: [{name: A, value: new}, {name: B, value: b}, {name: A, value: newer}]}]}}}}",
			live: deployment + "{replicas: 3, template: {spec: {volumes: [{name: v, emptyDir: {}}], containers: [{name: main, image: x, env: " +
				"[{name: A, value: old}, {name: B, value: b}, {name: A, value: older}]}, {name: sidecar}]}}}}",
			want: `{"metadata":{"resourceVersion":"7"},"spec":{"template":{"spec":{"containers":[{"env":[{"name":"A","value":"new"},{"name":"B","value":"b"},{"name":"A","value":"newer"}],"image":"x","name":"main"},{"name":"sidecar"}]}}}}`,
		},
		"a port twice": {
			target: service + "[{port: 53, protocol: UDP, name: a}, {port: 53, protocol: TCP, name: b}]}}",
			live:   service + "[{port: 53, protocol: TCP, name: a}, {port: 53, protocol: TCP, name: b}], clusterIP: 10.0.0.1}}",
			want:   `{"metadata":{"resourceVersion":"7"},"spec":{"ports":[{"name":"a","port":53,"protocol":"UDP"},{"name":"b","port":53,"protocol":"TCP"}]}}`,
		},
		"twice, and nothing to do": {
			target: container + "env: [{name: A, value: a}, {name: A, value: b}]}]}}}}",
			live:   container + "image: x, env: [{name: A, value: a}, {name: A, value: b}]}]}}}}",
			want:   `{}`,
		},
		"twice, beside other changes": {
			original: "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, labels: {gone: x, stays: y}}, spec: {strategy: {type: RollingUpdate}, template: {spec: " +
				"{volumes: [{name: gone}, {name: v, emptyDir: {}}], containers: [{name: main, env: [{name: A}, {name: A}]}, {name: gone}]}}}}",
			target: "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, labels: {stays: y}, finalizers: [mine]}, spec: {strategy: {type: Recreate}, template: {spec: " +
				"{volumes: [{name: v, secret: {secretName: s}}], containers: [{name: main, env: [{name: A}, {name: A}]}]}}}}",
			live: "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, resourceVersion: \"7\", finalizers: [others], labels: {gone: x, stays: y, others: z}}, spec: {replicas: 2, strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}, template: {spec: " +
				"{volumes: [{name: gone}, {name: v, emptyDir: {}}, {name: others}], containers: [{name: main, env: [{name: A}, {name: A}]}, {name: gone}, {name: others}]}}}}",
			want: `{"metadata":{"finalizers":["mine","others"],"labels":{"gone":null},"resourceVersion":"7"},"spec":{"strategy":{"rollingUpdate":null,"type":"Recreate"},"template":{"spec":` +
				`{"containers":[{"env":[{"name":"A"},{"name":"A"}],"name":"main"},{"name":"others"}],"volumes":[{"name":"v","secret":{"secretName":"s"}},{"name":"others"}]}}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			target, live := object(t, test.target), object(t, test.live)
			original := target
			if test.original != "" {
				original = object(t, test.original)
			}
			target.SetResourceVersion("") // only an answer of the API server has one
			original.SetResourceVersion("")
			before := []*unstructured.Unstructured{original.DeepCopy(), target.DeepCopy(), live.DeepCopy()}
			patch, _, err := Patch(original, target, live)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.want, string(patch)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(before, []*unstructured.Unstructured{original, target, live}); d != "" {
				t.Errorf("the objects were changed (-before +after):\n%s", d)
			}
		})
	}
}
