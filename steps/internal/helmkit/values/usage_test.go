package values

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
)

// A value that a template may read is never called unknown, whatever way the template
// takes to it: with strict: true an unknown value is an error. In each case the chart has
// the defaults "a: {b: 1}", and the plan gives values that are in no default.
func TestUsageIsFollowed(t *testing.T) {
	const given = "a: {c: 1, d: 2}\n"
	both := []string{"a.c", "a.d"}
	for name, c := range map[string]struct {
		template string
		values   string
		want     []string
	}{
		"a text where a map is read": {"{{ .Values.x.y }}", "x: text", []string{"x"}},
		"nothing reads them":         {"{{ .Values.a.b }}", given, both},

		"an else branch":                {"{{ if .Values.a.b }}{{ else }}{{ .Values.a.c }}{{ end }}", given, []string{"a.d"}},
		"a condition":                   {"{{ if .Values.a.c }}{{ end }}", given, []string{"a.d"}},
		"the else branch of a with":     {"{{ with .Values.x }}{{ else }}{{ .Values.a.c }}{{ end }}", given, []string{"a.d"}},
		"the else branch of a range":    {"{{ range .Values.x }}{{ else }}{{ .Values.a.c }}{{ end }}", given, []string{"a.d"}},
		"the dot after a with":          {"{{ with .Values.x }}{{ end }}{{ .Values.a.c }}", given, []string{"a.d"}},
		"a with inside a range":         {"{{ range .Values.x }}{{ with $.Values.a }}{{ .c }}{{ end }}{{ end }}", given, []string{"a.d"}},
		"elements of a list":            {"{{ range .Values.list }}{{ .name }}{{ end }}", "list: [{name: x, more: 1}]", nil},
		"a template with the root":      {`{{ define "t" }}{{ .Values.a.c }}{{ end }}{{ template "t" . }}`, given, []string{"a.d"}},
		"a template with a map":         {`{{ define "t" }}{{ .c }}{{ end }}{{ template "t" .Values.a }}`, given, []string{"a.d"}},
		"a template without a dot":      {`{{ define "t" }}{{ .c }}{{ end }}{{ template "t" }}`, given, both},
		"a template that calls itself":  {`{{ define "t" }}{{ .c }}{{ include "t" . }}{{ end }}{{ include "t" .Values.a }}`, given, []string{"a.d"}},
		"a template that is not there":  {`{{ include "elsewhere" .Values.a }}`, given, nil},
		"one called for two maps":       {`{{ define "t" }}{{ .c }}{{ end }}{{ include "t" .Values.x }}{{ include "t" .Values.a }}`, given, []string{"a.d"}},
		"index of a variable":           {`{{ $v := index .Values "a" }}{{ $v.c }}`, given, []string{"a.d"}},
		"an index in a condition":       {`{{ if (index .Values "a").c }}{{ end }}`, given, []string{"a.d"}},
		"an index whose key is a value": {`{{ index .Values.a .Values.key }}`, "a: {c: 1, d: 2}\nkey: c", nil},
		"get":                           {`{{ get .Values.a "c" }}`, "a: {c: {x: 1}, d: 2}", []string{"a.d"}},
		"dig into all values":           {`{{ dig "a" "c" "" .Values }}`, "a: {c: {x: 1}, d: 2}", []string{"a.d"}},
		"hasKey":                        {`{{ if hasKey .Values.a "c" }}{{ end }}`, given, []string{"a.d"}},
		"a default":                     {`{{ .Values.a | default .Values.x }}`, given, nil},
		"the argument of a function":    {`{{ tpl (toYaml .Values.a) . }}`, given, nil},
		"merged with another map":       {`{{ $m := merge .Values.x .Values.a }}{{ $m.c }}`, given, nil},
		"in a dict":                     {`{{ define "t" }}{{ .v.c }}{{ end }}{{ include "t" (dict "v" .Values.a) }}`, given, nil},
		"all values":                    {`{{ toYaml .Values }}`, "a: {c: 1}\nz: 1", nil},
		"all values by a variable":      {`{{ $v := .Values }}{{ $v.a.c }}`, given, []string{"a.d"}},
		"the root by a variable":        {`{{ $top := . }}{{ $top.Values.a.c }}`, given, []string{"a.d"}},
		"quoted":                        {`{{ .Values.a | quote }}`, given, both},
		"quoted after it is made text":  {`{{ .Values.a | toYaml | quote }}`, given, nil},
		"chosen by or, as a variable":   {`{{ $v := or .Values.x .Values.a }}{{ $v.c }}`, given, nil},
		"chosen by or, as the dot":      {`{{ with or .Values.x .Values.a }}{{ .c }}{{ end }}`, given, nil},
		"only asked by or":              {`{{ if or .Values.x .Values.a }}x{{ end }}`, given, both},
		"a map that get returns":        {`{{ $v := get .Values "a" }}{{ $v.c }}`, given, nil},
		"counted":                       {`{{ len .Values.a }}`, given, both},

		"the root in a dict": {
			`{{ define "t" }}{{ .context.Values.a.c }}{{ end }}{{ include "t" (dict "context" $) }}`, given, []string{"a.d"},
		},
		"the root in a list": {
			`{{ define "t" }}{{ $top := index . 0 }}{{ $top.Values.a.c }}{{ end }}{{ include "t" (list . 1) }}`, given, []string{"a.d"},
		},
		"the dot of a context": {
			`{{ define "t" }}{{ with .context }}{{ .Values.a.c }}{{ end }}{{ end }}{{ include "t" (dict "context" $) }}`, given, []string{"a.d"},
		},
		"a variable that is set anew": {
			`{{ $v := .Values.a }}{{ if .Values.x }}{{ $v = .Values.y }}{{ end }}{{ $v.c }}`, given, nil,
		},
		"a variable that becomes a map": {
			`{{ $v := .Values.x }}{{ if .Values.y }}{{ $v = .Values.a }}{{ end }}{{ $v.c }}`, given, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			chart := charttest.Chart{Name: "app", Version: "1.0.0", Values: "a: {b: 1}\n",
				Files: map[string]string{"templates/t.yaml": c.template + "{{ .Values.list }}{{ .Values.key }}"}}
			if d := cmp.Diff(c.want, unknownIn(t, chart, c.values)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// Notes for people have no effect: a value that only they show is not read.
func TestUsageOfNotes(t *testing.T) {
	chart := charttest.Chart{Name: "app", Version: "1.0.0", Files: map[string]string{"templates/NOTES.txt": "{{ .Values.a }}"}}
	if d := cmp.Diff([]string{"a"}, unknownIn(t, chart, "a: 1")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
