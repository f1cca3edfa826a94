package values

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart/loader"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
)

func unknownIn(t *testing.T, c charttest.Chart, values string) []string {
	t.Helper()
	chart, err := loader.LoadArchive(bytes.NewReader(c.Pack(t)))
	if err != nil {
		t.Fatal(err)
	}
	v := Values{}
	if err := yaml.Unmarshal([]byte(values), (*map[string]any)(&v)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range KeysOf(chart).Unknown(v) {
		got = append(got, u.String())
	}
	return got
}

func TestUnknownValues(t *testing.T) {
	chart := func(values, template string) charttest.Chart {
		return charttest.Chart{Name: "app", Version: "1.0.0", Values: values, Files: map[string]string{"templates/t.yaml": template}}
	}
	for _, c := range []struct {
		name   string
		chart  charttest.Chart
		values string
		want   []string
	}{
		{"in the defaults", chart("a: {b: 1}\n", ""), "a: {b: 2}", nil},
		{"not in the defaults", chart("a: {b: 1}\n", ""), "a: {c: 2}\nd: 1", []string{"a.c", "d"}},
		{"a slip of the pen", chart("server: {replicas: 1}\n", ""), "server: {replica: 2}", []string{"server.replica (did you mean server.replicas?)"}},
		{"elsewhere", chart("nginx: {customDicts: []}\n", ""), "customDicts: []", []string{"customDicts (did you mean nginx.customDicts?)"}},
		{"below an empty map", chart("a: {}\nb:\n", ""), "a: {x: {y: 1}}\nb: {x: 1}", nil},
		{"a scalar where a map is", chart("a: {b: 1}\n", ""), "a: null", nil},
		{"global", chart("", ""), "global: {anything: 1}", nil},

		{"named by a template", chart("", "{{ .Values.a.b }}"), "a: {b: 1, c: 2}", []string{"a.c"}},
		{"taken whole", chart("a: {b: 1}\n", "{{ toYaml .Values.a }}"), "a: {c: 1}", nil},
		{"taken whole, piped", chart("a: {b: 1}\n", "{{ .Values.a | toYaml }}"), "a: {c: 1}", nil},
		{"only asked about", chart("a: {b: 1}\n", "{{ if .Values.a }}x{{ end }}{{ if and .Values.a true }}x{{ end }}"), "a: {c: 1}", []string{"a.c"}},
		{"with", chart("a: {b: 1}\n", "{{ with .Values.a }}{{ .c }}{{ end }}"), "a: {c: 1, d: 2}", []string{"a.d"}},
		{"with, taken whole", chart("a: {b: 1}\n", "{{ with .Values.a }}{{ toYaml . }}{{ end }}"), "a: {c: 1}", nil},
		{"the root inside with", chart("a: {b: 1}\n", "{{ with .Values.a }}{{ $.Values.c }}{{ end }}"), "c: 1", nil},
		{"range", chart("a: {b: 1}\n", "{{ range $k, $v := .Values.a }}{{ $k }}{{ end }}"), "a: {c: 1}", nil},
		{"a variable", chart("a: {b: 1}\n", "{{ $x := .Values.a }}{{ $x.c }}"), "a: {c: 1, d: 2}", []string{"a.d"}},
		{"index", chart("a: {b: 1}\n", `{{ index .Values "x-y" "z" }}`), "x-y: {z: 1, q: 2}", []string{"x-y.q"}},
		{"index by what is not known", chart("a: {dev: {on: 1}}\n", `{{ (index .Values.a .Release.Name).config }}`), "a: {dev: {config: 1, other: 2}}", []string{"a.dev.other"}},
		{"hasKey and dig", chart("a: {b: 1}\n", `{{ hasKey .Values.a "c" }}{{ dig "d" "e" "" .Values.a }}`), "a: {c: 1, d: {e: 1, f: 2}}", []string{"a.d.f"}},
		{"include with a map", chart("a: {b: 1}\n", `{{ define "t" }}{{ .c }}{{ end }}{{ include "t" .Values.a }}`), "a: {c: 1, d: 2}", []string{"a.d"}},
		{"include of who knows what", chart("a: {b: 1}\n", `{{ include (printf "%s" "t") .Values.a }}`), "a: {c: 1}", nil},
		{"a template that cannot be parsed", chart("a: {b: 1}\n", `{{ if }}`), "c: 1", nil},

		{"schema", charttest.Chart{Name: "app", Version: "1.0.0", Files: map[string]string{
			"values.schema.json": `{"properties": {"a": {"properties": {"b": {}}, "additionalProperties": false}, "free": {"additionalProperties": true}}}`,
		}}, "a: {b: 1, c: 2}\nfree: {x: 1}\nd: 1", []string{"a.c", "d"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, unknownIn(t, c.chart, c.values)); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestUnknownValuesOfSubcharts(t *testing.T) {
	c := charttest.Chart{
		Name: "parent", Version: "1.0.0", Values: "sub: {fromParent: 1}\n",
		Meta: "dependencies:\n- {name: sub, version: 1.0.0, condition: sub.enabled, tags: [extras]}\n- {name: other, version: 1.0.0, alias: alias}\n",
		Files: map[string]string{
			"charts/sub/Chart.yaml":           "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
			"charts/sub/values.yaml":          "own: {a: 1}\n",
			"charts/sub/templates/t.yaml":     `{{ include "lib" . }}`,
			"charts/other/Chart.yaml":         "apiVersion: v2\nname: other\nversion: 1.0.0\n",
			"charts/other/values.yaml":        "b: 1\n",
			"charts/other/templates/_lib.tpl": `{{ define "lib" }}{{ .Values.fromLibrary }}{{ end }}`,
		},
	}
	got := unknownIn(t, c, `
sub: {enabled: true, fromParent: 2, own: {a: 2, x: 1}, fromLibrary: 1, global: {y: 1}, nope: 1}
alias: {b: 2, c: 3}
tags: {extras: true}
other: {b: 1}
`)
	want := []string{"alias.c", "sub.nope", "sub.own.x"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// The values of a widely read guide, on a chart with the keys of apisix 2.x.
func TestKnownReplacements(t *testing.T) {
	c := charttest.Chart{Name: "apisix", Version: "2.14.0", Values: "service: {type: NodePort}\napisix: {ssl: {enabled: false}, nginx: {customLuaSharedDicts: []}}\n"}
	got := unknownIn(t, c, `
apisix: {ssl: {enabled: true}, customLuaSharedDicts: [{name: a}]}
gateway: {type: NodePort, http: {servicePort: 80}}
dashboard: {enabled: true}
`)
	want := []string{
		"apisix.customLuaSharedDicts (since chart 2.0.0: apisix.nginx.customLuaSharedDicts)",
		"dashboard (since chart 2.11.3 there is no dashboard chart: apisix.admin.enable_admin_ui)",
		"gateway.http.servicePort (since chart 2.0.0: service.http.servicePort)",
		"gateway.type (since chart 2.0.0: service.type)",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// Values that have a default which no template reads.
func TestUnread(t *testing.T) {
	c := charttest.Chart{
		Name: "parent", Version: "1.0.0", Values: "a: {b: 1, c: 1}\nd: {}\ne: 1\nsub: {given: 1}\n",
		Meta: "dependencies:\n- {name: sub, version: 1.0.0, condition: sub.enabled, alias: alias}\n",
		Files: map[string]string{
			"templates/t.yaml":            "{{ .Values.a.b }}{{ .Values.alias.forParent }}",
			"charts/sub/Chart.yaml":       "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
			"charts/sub/values.yaml":      "own: {x: 1, w: 1, z: [1]}\nwhole: {w: 1}\nforParent: 1\n",
			"charts/sub/templates/t.yaml": "{{ .Values.own.x }}{{ toYaml .Values.whole }}",
		},
	}
	chart, err := loader.LoadArchive(bytes.NewReader(c.Pack(t)))
	if err != nil {
		t.Fatal(err)
	}
	v := Values{}
	if err := yaml.Unmarshal([]byte("a: {b: 2, c: 2}\nd: {new: 1}\nunknown: 1\nglobal: {g: 1}\nalias: {enabled: true, own: {x: 2, w: 2, z: [2]}, whole: {w: 2}, forParent: 2, unknown: 1}\n"), (*map[string]any)(&v)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range KeysOf(chart).Unread(v) {
		got = append(got, u.String())
		if !u.Unread {
			t.Errorf("%s is not marked", u)
		}
	}
	if d := cmp.Diff([]string{"a.c", "alias.own.w", "alias.own.z"}, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// Rules that are known without the chart hold from a version on.
func TestReplaced(t *testing.T) {
	v := Values{"gateway": map[string]any{"type": "NodePort", "mine": 1}, "dashboard": map[string]any{"enabled": true},
		"ingress-controller": map[string]any{"apisix": map[string]any{"adminService": map[string]any{"namespace": "x"}}}}
	for version, want := range map[string][]string{
		"1.9.0":  nil,
		"2.0.0":  {"gateway.type (since chart 2.0.0: service.type)"},
		"2.11.2": {"gateway.type (since chart 2.0.0: service.type)", "ingress-controller.apisix.adminService.namespace (since chart 2.11.1 the GatewayProxy is in the namespace of the release)"},
		"v2.14.0": {"dashboard.enabled (since chart 2.11.3 there is no dashboard chart: apisix.admin.enable_admin_ui)", "gateway.type (since chart 2.0.0: service.type)",
			"ingress-controller.apisix.adminService.namespace (since chart 2.11.1 the GatewayProxy is in the namespace of the release)"},
	} {
		var got []string
		for _, u := range Replaced("apisix", version, v) {
			got = append(got, u.String())
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: -want +got:\n%s", version, d)
		}
	}
	if got := Replaced("another", "2.14.0", v); got != nil {
		t.Errorf("another chart: %v", got)
	}
}
