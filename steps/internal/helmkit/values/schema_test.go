package values

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
)

// A chart's schema describes keys that it has no default for. Where it leaves a map open
// nothing in it is called unknown.
func TestUnknownValuesBySchema(t *testing.T) {
	for name, c := range map[string]struct {
		defaults, schema, values string
		want                     []string
	}{
		"a key of the schema":            {"", `{"properties": {"a": {}}}`, "a: 1\nb: 1", []string{"b"}},
		"any other, on purpose":          {"", `{"properties": {"a": {}}, "additionalProperties": true}`, "b: 1", nil},
		"any other of a type":            {"", `{"additionalProperties": {"type": "string"}}`, "b: x", nil},
		"none other":                     {"", `{"properties": {"a": {}}, "additionalProperties": false}`, "b: 1", []string{"b"}},
		"keys of a pattern":              {"", `{"patternProperties": {"^x-": {}}}`, "x-a: 1", nil},
		"what a reference describes":     {"", `{"$ref": "#/definitions/all"}`, "b: 1", nil},
		"a map that is described":        {"", `{"properties": {"a": {"properties": {"b": {}}}}}`, "a: {b: 1, c: 1}", nil},
		"a map that is closed":           {"", `{"properties": {"a": {"properties": {"b": {}}, "additionalProperties": false}}}`, "a: {b: 1, c: 1}", []string{"a.c"}},
		"a closed map of no keys":        {"", `{"properties": {"a": {"additionalProperties": false}}}`, "a: {c: 1}", nil},
		"below a closed map":             {"", `{"properties": {"a": {"properties": {"b": {"properties": {"x": {}}, "additionalProperties": false}}, "additionalProperties": false}}}`, "a: {b: {x: 1, z: 1}}", []string{"a.b.z"}},
		"an empty default that is open":  {"a: {}\n", `{"properties": {"a": {"properties": {"b": {}}}}}`, "a: {c: 1}", nil},
		"an empty default that is not":   {"a: {}\n", `{"properties": {"a": {"properties": {"b": {}}, "additionalProperties": false}}}`, "a: {c: 1}", []string{"a.c"}},
		"beside the keys of a default":   {"a: {x: 1}\n", `{"properties": {"a": {"properties": {"b": {}}}}}`, "a: {b: 1, c: 1}", []string{"a.c"}},
		"a default that is not a map":    {"a: 1\n", `{"properties": {"a": {"type": ["object", "integer"]}}}`, "a: {c: 1}", nil},
		"a text where a map is expected": {"a: {x: 1}\n", `{"properties": {"a": {"properties": {"x": {}}}}}`, "a: text", nil},
		"a description that is no map":   {"", `{"properties": {"a": true}}`, "a: {b: 1}", nil},
		"a schema that cannot be read":   {"a: 1\n", `{`, "a: 2\nb: 1", []string{"b"}},
		"many, in their order":           {"", `{"properties": {"a": {}}}`, "f: 1\ne: 1\nd: 1\nc: 1\nb: 1", []string{"b", "c", "d", "e", "f"}},
	} {
		t.Run(name, func(t *testing.T) {
			chart := charttest.Chart{Name: "app", Version: "1.0.0", Values: c.defaults, Files: map[string]string{"values.schema.json": c.schema}}
			if d := cmp.Diff(c.want, unknownIn(t, chart, c.values)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// The values of subcharts are judged by the subchart, under the name that the parent
// gives it, and advice names the place in the parent's values.
func TestUnknownValuesBelowSubcharts(t *testing.T) {
	const sub = "apiVersion: v2\nname: sub\nversion: 1.0.0\n"
	files := map[string]string{
		"charts/sub/Chart.yaml":  sub,
		"charts/sub/values.yaml": "server: {replicas: 1}\nlogging: {format: text}\n",
	}
	for name, c := range map[string]struct {
		meta, defaults, values string
		want                   []string
	}{
		"vendored without being declared": {"", "", "sub: {server: {replicas: 2, x: 1}}", []string{"sub.server.x"}},
		"a slip of the pen": {"dependencies: [{name: sub, version: 1.0.0}]\n", "", "sub: {server: {replica: 2}}",
			[]string{"sub.server.replica (did you mean sub.server.replicas?)"}},
		"a slip of the pen under an alias": {"dependencies: [{name: sub, version: 1.0.0, alias: db}]\n", "", "db: {server: {replica: 2}}",
			[]string{"db.server.replica (did you mean db.server.replicas?)"}},
		"the same key at another place": {"dependencies: [{name: sub, version: 1.0.0}]\n", "", "format: json",
			[]string{"format (did you mean sub.logging.format?)"}},
		"a default of the parent": {"dependencies: [{name: sub, version: 1.0.0}]\n", "sub: {server: {port: 1}}\n", "sub: {server: {port: 2, replicas: 2, x: 1}}",
			[]string{"sub.server.x"}},
		"its condition": {"dependencies: [{name: sub, version: 1.0.0, condition: \"sub.enabled, parts.sub\"}]\n", "", "sub: {enabled: true}\nparts: {sub: true, other: 1}",
			[]string{"parts.other"}},
		"its tags":             {"dependencies: [{name: sub, version: 1.0.0, tags: [all]}]\n", "", "tags: {all: true}", nil},
		"tags of none":         {"dependencies: [{name: sub, version: 1.0.0}]\n", "", "tags: {all: true}", []string{"tags"}},
		"values that it gives": {"dependencies: [{name: sub, version: 1.0.0, import-values: [{child: server, parent: mine}]}]\n", "", "mine: {anything: 1}", nil},
		"switched off whole":   {"dependencies: [{name: sub, version: 1.0.0}]\n", "", "sub: null", nil},
	} {
		t.Run(name, func(t *testing.T) {
			chart := charttest.Chart{Name: "app", Version: "1.0.0", Meta: c.meta, Values: c.defaults, Files: files}
			if d := cmp.Diff(c.want, unknownIn(t, chart, c.values)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// Advice is given where one meaning is likely, and none where there are several.
func TestAdvice(t *testing.T) {
	for name, c := range map[string]struct{ defaults, values, want string }{
		"one letter too few":             {"service: {annotations: {x: y}}\n", "service: {annotation: {}}", "service.annotation (did you mean service.annotations?)"},
		"another case":                   {"externalIPs: [a]\n", "externalIps: []", "externalIps (did you mean externalIPs?)"},
		"the nearest of two":             {"portA: 1\nportNumber: 1\n", "portNumbr: 1", "portNumbr (did you mean portNumber?)"},
		"nothing that is alike":          {"replicas: 1\n", "hostNetwork: true", "hostNetwork"},
		"at one other place":             {"server: {hostNetwork: false}\n", "hostNetwork: true", "hostNetwork (did you mean server.hostNetwork?)"},
		"at two other places":            {"server: {hostNetwork: false}\nagent: {hostNetwork: false}\n", "hostNetwork: true", "hostNetwork"},
		"a short key at another place":   {"server: {size: 1}\n", "size: 2", "size"},
		"a map at another place":         {"server: {affinity: {a: 1}}\n", "affinity: {b: 1}", "affinity (did you mean server.affinity?)"},
		"alike, but in another map":      {"a: {replicas: 1}\nb: {x: 1}\n", "b: {replicass: 1}", "b.replicass"},
		"alike, but below what is given": {"server: {replicas: {min: 1}}\n", "server: {mim: 1}", "server.mim"},
	} {
		chart := charttest.Chart{Name: "app", Version: "1.0.0", Values: c.defaults}
		if d := cmp.Diff([]string{c.want}, unknownIn(t, chart, c.values)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
