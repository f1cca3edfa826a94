package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

func value(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNormalise(t *testing.T) {
	for name, c := range map[string]struct{ have, want string }{
		"status and nulls go": {
			"{kind: Widget, status: {ok: true}, spec: {a: null, b: 1, c: {d: null}}}",
			"{kind: Widget, spec: {b: 1, c: {}}}",
		},
		"a creation time goes": {
			"{kind: Widget, metadata: {name: a, creationTimestamp: \"2020-01-01T00:00:00Z\"}}",
			"{kind: Widget, metadata: {name: a}}",
		},
		"stringData is encoded": {
			"{apiVersion: v1, kind: Secret, stringData: {a: hello}}",
			"{apiVersion: v1, kind: Secret, data: {a: aGVsbG8=}}",
		},
		"stringData wins over data": {
			"{apiVersion: v1, kind: Secret, data: {a: b2xk, b: b2xk}, stringData: {a: hello}}",
			"{apiVersion: v1, kind: Secret, data: {a: aGVsbG8=, b: b2xk}}",
		},
		"the Secret of another group keeps stringData": {
			"{apiVersion: example.com/v1, kind: Secret, stringData: {a: hello}}",
			"{apiVersion: example.com/v1, kind: Secret, stringData: {a: hello}}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := object(t, c.have)
			Normalise(got)
			if d := cmp.Diff(object(t, c.want).Object, got.Object); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestSatisfies(t *testing.T) {
	for name, c := range map[string]struct {
		want, have string
		ok         bool
	}{
		"the same":                         {"{a: 1}", "{a: 1}", true},
		"a default of the server":          {"{a: 1}", "{a: 1, b: 2}", true},
		"another value":                    {"{a: 1}", "{a: 2}", false},
		"a field that is gone":             {"{a: 1}", "{}", false},
		"a field deep below":               {"{a: {b: {c: 1}}}", "{a: {b: {c: 2, d: 3}}}", false},
		"null asks for nothing":            {"{a: null}", "{a: 1}", true},
		"an empty text asks for nothing":   {"{a: \"\"}", "{a: x}", true},
		"an empty map asks for nothing":    {"{a: {}}", "{}", true},
		"an empty list asks for nothing":   {"{a: []}", "{a: [1]}", true},
		"false asks for false":             {"{a: false}", "{a: true}", false},
		"zero asks for zero":               {"{a: 0}", "{}", false},
		"a list with a default":            {"{a: [{b: 1}]}", "{a: [{b: 1, c: 2}]}", true},
		"a longer list":                    {"{a: [1]}", "{a: [1, 2]}", false},
		"a shorter list":                   {"{a: [1, 2]}", "{a: [1]}", false},
		"another order":                    {"{a: [1, 2]}", "{a: [2, 1]}", false},
		"a map where a text is":            {"{a: {b: 1}}", "{a: x}", false},
		"a list where a map is":            {"{a: [1]}", "{a: {b: 1}}", false},
		"text that looks like the number":  {"{a: \"1\"}", "{a: 1}", false},
		"another way to write the same is": {"{a: 1000m}", "{a: 1}", false}, // the API server decides
	} {
		if got := Satisfies(value(t, c.want), value(t, c.have)); got != c.ok {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestWithIgnored(t *testing.T) {
	for name, c := range map[string]struct {
		want, have string
		paths      []string
		result     string
	}{
		"the replicas of an autoscaler": {
			"{spec: {replicas: 1, image: b}}", "{spec: {replicas: 9, image: a}}", []string{"spec/replicas"},
			"{spec: {replicas: 9, image: b}}",
		},
		"a field that is not there": {
			"{spec: {replicas: 1, image: b}}", "{spec: {}}", []string{"spec/replicas"},
			"{spec: {image: b}}",
		},
		"the CA bundle of one webhook, whatever the order": {
			"{webhooks: [{name: a, caBundle: x}, {name: b, caBundle: y}]}",
			"{webhooks: [{name: b, caBundle: B}, {name: a, caBundle: A}]}", []string{"webhooks[b]/caBundle"},
			"{webhooks: [{name: a, caBundle: x}, {name: b, caBundle: B}]}",
		},
		"an element that is not there": {
			"{webhooks: [{name: a, caBundle: x}]}", "{webhooks: []}", []string{"webhooks[a]/caBundle"},
			"{webhooks: [{name: a}]}",
		},
		"a whole map": {
			"{data: {a: 1}}", "{data: {b: 2}}", []string{"data"},
			"{data: {b: 2}}",
		},
		"no path": {"{a: 1}", "{a: 2}", nil, "{a: 1}"},
	} {
		t.Run(name, func(t *testing.T) {
			want, have := object(t, c.want), object(t, c.have)
			paths := map[string]bool{}
			for _, p := range c.paths {
				paths[p] = true
			}
			got := WithIgnored(want, have, paths)
			if d := cmp.Diff(object(t, c.result).Object, got.Object); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(object(t, c.want).Object, want.Object); d != "" {
				t.Errorf("the manifest was changed (-before +after):\n%s", d)
			}
		})
	}
}

// A patch of a list with a merge key that occurs twice is wrong, and only for kinds
// whose merge keys are known.
func TestRepeatsKeys(t *testing.T) {
	const service = "{apiVersion: v1, kind: Service, spec: {ports: "
	for name, c := range map[string]struct {
		target, other string
		want          bool
	}{
		"one port for two protocols":     {service + "[{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}}", service + "[]}}", true},
		"in what is there":               {service + "[{port: 53}]}}", service + "[{port: 53}, {port: 53}]}}", true},
		"two ports":                      {service + "[{port: 53}, {port: 54}]}}", service + "[]}}", false},
		"a variable twice in a template": {"{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {containers: [{name: a, env: [{name: X}, {name: X}]}]}}}}", "{}", true},
		"a custom kind":                  {"{apiVersion: example.com/v1, kind: Widget, spec: {ports: [{port: 1}, {port: 1}]}}", "{}", false},
	} {
		got, err := RepeatsKeys(object(t, c.target), object(t, c.other))
		if err != nil || got != c.want {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

// A list whose element has another merge key becomes the manifest's as a whole, and
// only for the object as it was read.
func TestReplacingPatch(t *testing.T) {
	live := object(t, "{apiVersion: v1, kind: Service, metadata: {name: a, resourceVersion: \"7\"}, spec: {clusterIP: 10.0.0.1, ports: [{port: 81}]}}")
	target := object(t, "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 80}]}}")
	got, err := ReplacingPatch(target, target, live)
	if want := `{"metadata":{"resourceVersion":"7"},"spec":{"ports":[{"port":80}]}}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	got, err = ReplacingPatch(live, live, live)
	if err != nil || string(got) != "{}" {
		t.Errorf("nothing to do: got %s, %v", got, err)
	}
}

func TestRefIn(t *testing.T) {
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, meta.RESTScopeNamespace)
	mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, meta.RESTScopeRoot)
	for text, want := range map[string]kubekit.Ref{
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}":                  {APIVersion: "v1", Kind: "ConfigMap", Namespace: "ns", Name: "a"},
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b}}":    {APIVersion: "v1", Kind: "ConfigMap", Namespace: "b", Name: "a"},
		"{apiVersion: v1, kind: Namespace, metadata: {name: a, namespace: b}}":    {APIVersion: "v1", Kind: "Namespace", Name: "a"},
		"{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}}":         {APIVersion: "example.com/v1", Kind: "Widget", Namespace: "ns", Name: "a"},
		"{apiVersion: v1, kind: Namespace, metadata: {name: c, annotations: {}}}": {APIVersion: "v1", Kind: "Namespace", Name: "c"},
	} {
		if got := RefIn(mapper, object(t, text), "ns"); got != want {
			t.Errorf("%s: got %+v", text, got)
		}
	}
}

// A chart that moves an object to another version of its kind keeps the object.
func TestKeyOf(t *testing.T) {
	key := func(text string) Key { return KeyOf(object(t, text)) }
	old := key("{apiVersion: policy/v1beta1, kind: PodDisruptionBudget, metadata: {name: a, namespace: ns}}")
	if now := key("{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: a, namespace: ns}}"); now != old {
		t.Errorf("another version of the kind is another object: %v, %v", old, now)
	}
	if ref := KeyOfRef(kubekit.Ref{APIVersion: "policy/v1", Kind: "PodDisruptionBudget", Namespace: "ns", Name: "a"}); ref != old {
		t.Errorf("by reference: %v, %v", old, ref)
	}
	for _, other := range []string{
		"{apiVersion: example.com/v1, kind: PodDisruptionBudget, metadata: {name: a, namespace: ns}}",
		"{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: a, namespace: other}}",
		"{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: b, namespace: ns}}",
	} {
		if key(other) == old {
			t.Errorf("%s is the same object", other)
		}
	}
}

// Fields that original filled in and target leaves empty go; the fields of others
// stay.
func TestWithoutEmpty(t *testing.T) {
	for name, c := range map[string]struct{ original, target, live, wantOriginal, wantTarget string }{
		"an empty map over what others have": {
			"{a: {}}", "{a: {}}", "{a: {x: 1}}", "{}", "{}",
		},
		"an empty map where nothing is": {
			"{a: {}}", "{a: {}}", "{}", "{a: {}}", "{a: {}}",
		},
		"null never stays": {
			"{a: null}", "{a: null}", "{}", "{}", "{}",
		},
		"a map that is emptied": {
			"{a: {x: 1}}", "{a: null}", "{a: {x: 1, y: 2}}", "{a: {x: 1}}", "{a: {}}",
		},
		"a list that is emptied": {
			"{a: [1]}", "{a: null}", "{a: [1]}", "{a: [1]}", "{a: []}",
		},
		"a text that is emptied": {
			"{a: x}", "{a: null}", "{a: x}", "{a: x}", "{}",
		},
		"inside a named element": {
			"{l: [{name: n, a: {}}]}", "{l: [{name: n, a: {}}]}", "{l: [{name: n, a: {x: 1}}]}", "{l: [{name: n}]}", "{l: [{name: n}]}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, g := WithoutEmpty(object(t, c.original), object(t, c.target), object(t, c.live))
			for _, side := range []struct {
				name string
				want string
				got  *unstructured.Unstructured
			}{{"original", c.wantOriginal, o}, {"target", c.wantTarget, g}} {
				if d := cmp.Diff(object(t, side.want).Object, side.got.Object); d != "" {
					t.Errorf("%s (-want +got):\n%s", side.name, d)
				}
			}
		})
	}
}
