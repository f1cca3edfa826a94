package manifest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// patched returns live after the patch that brings it to target, as the API server
// merges it.
func patched(t *testing.T, original, target, live *unstructured.Unstructured) (*unstructured.Unstructured, string) {
	t.Helper()
	text, kind, err := Patch(original, target, live)
	if err != nil {
		t.Fatal(err)
	}
	if kind != types.MergePatchType {
		t.Fatalf("got a patch of type %s: %s", kind, text)
	}
	var patch map[string]any
	if err := json.Unmarshal(text, &patch); err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: mergePatch(live.DeepCopy().Object, patch)}, string(text)
}

// mergePatch is RFC 7396.
func mergePatch(into, patch map[string]any) map[string]any {
	if into == nil {
		into = map[string]any{}
	}
	for key, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(into, key)
		case map[string]any:
			below, _ := into[key].(map[string]any)
			into[key] = mergePatch(below, v)
		default:
			into[key] = v
		}
	}
	return into
}

// Of an object whose kind is not built in, what the chart had and gave up goes, what
// others have stays, and lists are the chart's as a whole.
func TestPatchOfCustomKinds(t *testing.T) {
	const head = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n"
	for name, c := range map[string]struct{ original, target, live, want string }{
		"a field of others":              {"spec: {a: 1}", "spec: {a: 2}", "spec: {a: 1, other: x}", "spec: {a: 2, other: x}"},
		"a field that was given up":      {"spec: {a: 1, b: 1}", "spec: {a: 1}", "spec: {a: 1, b: 1, other: x}", "spec: {a: 1, other: x}"},
		"one that others have changed":   {"spec: {a: 1, b: 1}", "spec: {a: 1}", "spec: {a: 1, b: 2}", "spec: {a: 1}"},
		"one that is gone already":       {"spec: {a: 1, b: 1}", "spec: {a: 1}", "spec: {a: 1}", "spec: {a: 1}"},
		"a map that was given up":        {"spec: {a: 1, m: {x: 1}}", "spec: {a: 1}", "spec: {a: 1, m: {x: 1, y: 2}}", "spec: {a: 1}"},
		"a key of a map of others":       {"spec: {m: {x: 1}}", "spec: {m: {}}", "spec: {m: {x: 1, y: 2}}", "spec: {m: {y: 2}}"},
		"a new field":                    {"spec: {}", "spec: {a: {b: 1}}", "spec: {}", "spec: {a: {b: 1}}"},
		"a list as a whole":              {"spec: {l: [1]}", "spec: {l: [1, 2]}", "spec: {l: [1, 9]}", "spec: {l: [1, 2]}"},
		"a list of objects":              {"spec: {l: [{name: a, x: 1}]}", "spec: {l: [{name: a, x: 2}]}", "spec: {l: [{name: a, x: 1, y: 1}, {name: b}]}", "spec: {l: [{name: a, x: 2}]}"},
		"a map where a text was":         {"spec: {a: text}", "spec: {a: {b: 1}}", "spec: {a: text}", "spec: {a: {b: 1}}"},
		"a text where a map was":         {"spec: {a: {b: 1}}", "spec: {a: text}", "spec: {a: {b: 1}}", "spec: {a: text}"},
		"a list where a map was":         {"spec: {a: {b: 1}}", "spec: {a: [1]}", "spec: {a: {b: 1}}", "spec: {a: [1]}"},
		"a map where others put a list":  {"spec: {a: {b: 1}}", "spec: {a: {b: 1}}", "spec: {a: [1]}", "spec: {a: {b: 1}}"},
		"false where true was":           {"spec: {a: true}", "spec: {a: false}", "spec: {a: true}", "spec: {a: false}"},
		"an empty text where a text was": {"spec: {a: x}", "spec: {a: \"\"}", "spec: {a: x}", "spec: {a: \"\"}"},
		"back to what it was":            {"spec: {a: 1}", "spec: {a: 1}", "spec: {a: 2}", "spec: {a: 1}"},
		"what the cluster adds":          {"spec: {}", "spec: {a: 1}", "spec: {}\nstatus: {ready: true}", "spec: {a: 1}\nstatus: {ready: true}"},
	} {
		t.Run(name, func(t *testing.T) {
			live := object(t, head+c.live)
			got, text := patched(t, object(t, head+c.original), object(t, head+c.target), live)
			if d := cmp.Diff(object(t, head+c.want).Object, got.Object); d != "" {
				t.Errorf("%s (-want +got):\n%s", text, d)
			}
			again, text := patched(t, object(t, head+c.target), object(t, head+c.target), got)
			if d := cmp.Diff(got.Object, again.Object); d != "" || text != "{}" {
				t.Errorf("a second patch has something to do: %s\n%s", text, d)
			}
		})
	}
}

// Lists of built-in kinds in which a merge key occurs twice become the manifest's as a
// whole; the lists around them are merged element by element, as always.
func TestPatchBesideRepeatedKeys(t *testing.T) {
	const service, pod = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: ", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: "
	const twice = "env: [{name: A, value: a}, {name: A, value: b}]"
	for name, c := range map[string]struct{ head, original, target, live, want string }{
		"only before": {service,
			"{ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}", "{ports: [{port: 53, protocol: UDP}]}",
			"{ports: [{port: 53, protocol: UDP}, {port: 80}]}", "{ports: [{port: 53, protocol: UDP}]}"},
		"only in the cluster": {service,
			"{ports: [{port: 53, name: a}]}", "{ports: [{port: 53, name: b}]}",
			"{ports: [{port: 53, name: a}, {port: 53, name: c}], clusterIP: 10.0.0.1}", "{ports: [{port: 53, name: b}], clusterIP: 10.0.0.1}"},
		"an element without a key": {service,
			"{ports: [{port: 53}]}", "{ports: [{name: x}, {port: 53}]}",
			"{ports: [{port: 53}, {port: 80}]}", "{ports: [{name: x}, {port: 53}]}"},
		"an element that others have made too": {pod,
			"{containers: [{name: a, " + twice + "}]}", "{containers: [{name: a, " + twice + "}, {name: b, image: new}]}",
			"{containers: [{name: a, " + twice + "}, {name: b, image: old, tty: true}]}",
			"{containers: [{name: a, " + twice + "}, {name: b, image: new, tty: true}]}"},
		"an element that was given up": {pod,
			"{containers: [{name: a, " + twice + "}, {name: b}]}", "{containers: [{name: a, " + twice + "}]}",
			"{containers: [{name: a, " + twice + "}, {name: b}, {name: others}]}", "{containers: [{name: a, " + twice + "}, {name: others}]}"},
		"a field of an element that was given up": {pod,
			"{containers: [{name: a, tty: true, " + twice + "}]}", "{containers: [{name: a, " + twice + "}]}",
			"{containers: [{name: a, tty: true, stdin: true, " + twice + "}]}", "{containers: [{name: a, stdin: true, " + twice + "}]}"},
		"a list without merge keys": {pod,
			"{tolerations: [{key: a}], containers: [{name: a, " + twice + "}]}", "{tolerations: [{key: b}], containers: [{name: a, " + twice + "}]}",
			"{tolerations: [{key: a}, {key: others}], containers: [{name: a, " + twice + "}]}", "{tolerations: [{key: b}], containers: [{name: a, " + twice + "}]}"},
		"a field that the kind has not": {pod,
			"{unknown: [{name: a, x: 1}], containers: [{name: a, " + twice + "}]}", "{unknown: [{name: a, x: 2}], containers: [{name: a, " + twice + "}]}",
			"{unknown: [{name: a, x: 1, y: 1}], containers: [{name: a, " + twice + "}]}", "{unknown: [{name: a, x: 2}], containers: [{name: a, " + twice + "}]}"},
		"a volume of another kind": {pod,
			"{volumes: [{name: v, emptyDir: {}}], containers: [{name: a, " + twice + "}]}", "{volumes: [{name: v, hostPath: {path: /x}}], containers: [{name: a, " + twice + "}]}",
			"{volumes: [{name: v, emptyDir: {}}], containers: [{name: a, " + twice + "}]}", "{volumes: [{name: v, hostPath: {path: /x}}], containers: [{name: a, " + twice + "}]}"},
	} {
		t.Run(name, func(t *testing.T) {
			live := object(t, c.head+c.live)
			live.SetResourceVersion("7")
			got, text := patched(t, object(t, c.head+c.original), object(t, c.head+c.target), live)
			if !strings.Contains(text, `"resourceVersion":"7"`) {
				t.Errorf("it may meet another object than it was made for: %s", text)
			}
			want := object(t, c.head+c.want)
			want.SetResourceVersion("7")
			if d := cmp.Diff(want.Object, got.Object); d != "" {
				t.Errorf("%s (-want +got):\n%s", text, d)
			}
		})
	}
}

// A number beyond 2^53 is compared as it is, and not as a floating-point number.
func TestPatchOfLargeNumbers(t *testing.T) {
	with := func(n int64) *unstructured.Unstructured {
		o := object(t, "{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}}")
		o.Object["spec"] = map[string]any{"size": n}
		return o
	}
	const n = 1 << 53
	if got, _, err := Patch(with(n), with(n+1), with(n)); err != nil || string(got) != `{"spec":{"size":9007199254740993}}` {
		t.Errorf("got %s, %v", got, err)
	}
	if got, _, err := Patch(with(n+1), with(n+1), with(n+1)); err != nil || string(got) != "{}" {
		t.Errorf("the same number: got %s, %v", got, err)
	}
}

// What a chart leaves empty takes nothing away, also where lists are sent as a whole.
func TestReplacingPatchKeepsWhatOthersHave(t *testing.T) {
	live := object(t, `{apiVersion: v1, kind: Service, metadata: {name: a, annotations: {others: x}, resourceVersion: "7"}, spec: {ports: [{port: 81}], externalIPs: [192.0.2.1]}}`)
	target := object(t, "{apiVersion: v1, kind: Service, metadata: {name: a, annotations: null}, spec: {ports: [{port: 80}], externalIPs: []}}")
	got, err := ReplacingPatch(target, target, live)
	if want := `{"metadata":{"resourceVersion":"7"},"spec":{"ports":[{"port":80}]}}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

// An object of no kind that is built in has no merge keys: nothing is repeated in it.
func TestRepeatsKeysInMaps(t *testing.T) {
	const template = "{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {%}}}}"
	for text, want := range map[string]bool{
		"containers: [{name: a}, {name: a}]":                              true,
		"containers: [{name: a}, {image: x}]":                             true,
		"containers: [{name: a, ports: [{containerPort: 1}]}, {name: b}]": false,
		"containers: []":                    false,
		"tolerations: [{key: a}, {key: a}]": false,
		"containers: [a, b]":                true,
	} {
		got, err := RepeatsKeys(object(t, strings.Replace(template, "%", text, 1)))
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
}

// A document ends at a line that begins with three hyphens and nothing else that
// belongs to a word: text in a ConfigMap may have more of them.
func TestDocumentsOfAManifest(t *testing.T) {
	const one, two = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n", "{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n"
	for name, c := range map[string]struct {
		text string
		want string // names, or a part of the error
	}{
		"one":                          {one, "a"},
		"a separator before the first": {"---\n" + one + "---\n" + two, "a b"},
		"two separators":               {"---\n---\n" + one + "---\n---\n" + two, "a b"},
		"a separator at the end":       {one + "---\n" + two + "---", "a b"},
		"a separator with a comment":   {one + "--- # Source: b\n" + two, "a b"},
		"lines of Windows":             {"---\r\n" + strings.TrimSpace(one) + "\r\n---\r\n" + strings.TrimSpace(two) + "\r\n", "a b"},
		"a line of four hyphens":       {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: \"\n----\n  y\"\n---\n" + two, "a b"},
		"nothing":                      {"", ""},
		"comments only":                {"# a\n---\n# b\n", ""},
		"a broken one, by its number":  {one + "---\n# empty\n---\na: [\n", "manifest: document 3: "},
		"no object":                    {one + "---\n- a\n", "manifest: document 2: "},
		"an item that is none":         {"{apiVersion: v1, kind: List, items: [text]}", "items[0] of List is no object"},
		"below a list in a list":       {"{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: List, items: [1]}]}", "items[0] of List is no object"},
	} {
		objects, err := Objects(c.text)
		var names []string
		for _, o := range objects {
			names = append(names, o.GetName())
		}
		switch got := strings.Join(names, " "); {
		case err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v", name, err)
		case err == nil && got != c.want:
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// An empty list or map that the chart had no other word for stays what it is, and a text
// that is empty is a word.
func TestWithoutEmptyTexts(t *testing.T) {
	for name, c := range map[string]struct{ original, target, live, wantOriginal, wantTarget string }{
		"an empty text is said":             {"a: x", `a: ""`, "a: x", "a: x", `a: ""`},
		"an empty text that was said":       {`a: ""`, "a: null", "a: x", `a: ""`, "{}"},
		"an empty map that was given up":    {"a: {}", "{}", "a: {x: 1}", "{}", "{}"},
		"an empty map that nobody filled":   {"a: {}", "{}", "{}", "a: {}", "{}"},
		"an empty map that is filled":       {"a: {}", "a: {b: 1}", "a: {x: 1}", "a: {}", "a: {b: 1}"},
		"a list where a map was":            {"a: {x: 1}", "a: []", "a: {x: 1}", "a: {x: 1}", "a: []"},
		"in an element that others made":    {"l: [{name: e, a: {}}]", "l: [{name: e, a: {}}]", "l: [{name: m}, {name: e, a: {x: 1}}]", "l: [{name: e}]", "l: [{name: e}]"},
		"in an element that is not there":   {"{}", "l: [{name: e, a: {}}]", "{}", "{}", "l: [{name: e, a: {}}]"},
		"below a map that others filled in": {"m: {a: {b: null}}", "m: {a: {b: null}}", "m: {a: {b: {x: 1}}}", "m: {a: {}}", "m: {a: {}}"},
	} {
		parse := func(text string) *unstructured.Unstructured {
			o := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
				t.Fatal(err)
			}
			return o
		}
		original, target := WithoutEmpty(parse(c.original), parse(c.target), parse(c.live))
		if d := cmp.Diff([]any{parse(c.wantOriginal).Object, parse(c.wantTarget).Object}, []any{original.Object, target.Object}); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
