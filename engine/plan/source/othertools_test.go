package source_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// TestKeyHint: what is said about a key that is none of the known ones, and which is meant.
func TestKeyHint(t *testing.T) {
	step := []string{"id", "uses", "with", "needs", "when", "forEach", "retry", "timeout"}
	for _, tt := range []struct {
		written string
		known   []string
		hint    string
		meant   string
		same    bool
	}{
		{"depends_on", step, "write needs instead", "needs", true},
		{"depends-on", step, "write needs instead", "needs", true},
		{"dependsOn", step, "write needs instead", "needs", true},
		{"unless", step, "write when, with the condition negated: when: '!(…)'", "when", false},
		{"if", []string{"uses"}, "the keys are uses", "", false}, // not where a condition may be
		{"name", step, "write id instead", "id", true},
		{"name", []string{"metadata", "steps"}, "write metadata: {name: …}", "metadata", false},
		{"for_each", step, `did you mean "forEach"?`, "forEach", true},
		{"Type", []string{"tpye", "uses"}, "write uses instead", "uses", true},
		{"Type", []string{"type", "uses"}, `did you mean "type"?`, "type", true},
		{"wen", step, `did you mean "when"?`, "when", false},
		{"retries", step, "write retry: {attempts: 5}", "retry", false},
		{"xyz", []string{"b", "a"}, "the keys are a and b", "", false},
		{"xyz", nil, "", "", false},
		{"xyz", strings.Fields(strings.Repeat("a ", 41)), "the keys are " + strings.Repeat("a, ", 39) + "a and 1 more", "", false},
	} {
		if got := source.KeyHint(tt.written, tt.known, "the keys are "); got != tt.hint {
			t.Errorf("%s: got %s, want %s", tt.written, got, tt.hint)
		}
		key, same := source.Meant(tt.written, tt.known)
		if got, want := fmt.Sprint(key, same), fmt.Sprint(tt.meant, tt.same); got != want {
			t.Errorf("%s: meant is %s, want %s", tt.written, got, want)
		}
	}
}

func TestValueHint(t *testing.T) {
	methods := []string{"jwt", "kubernetes", "token"}
	for written, want := range map[string]string{
		"OIDC":  "write jwt: it logs in with the OIDC token of a CI job; the method oidc of Vault is for browsers",
		"k8s":   "write kubernetes",
		"tls":   "", // there is no cert here
		"tokne": `did you mean "token"?`,
		"xyz":   "",
	} {
		if got := source.ValueHint(written, methods); got != want {
			t.Errorf("%s: got %s, want %s", written, got, want)
		}
	}
}

// TestForeignTemplate: templates of Helm are found, those of others are not.
func TestForeignTemplate(t *testing.T) {
	const is = " is a template of Helm, which a plan does not fill in; declare a variable below vars, and write ${vars."
	for text, want := range map[string]string{
		"a-{{ .Values.proxy.host }}-b":                  "{{ .Values.proxy.host }}" + is + "host}",
		"{{- .Values.x | quote -}}":                     "{{- .Values.x | quote -}}" + is + "x}",
		"{{ .Release.Name }}":                           "{{ .Release.Name }}" + is + "NAME}",
		`{{ include "x" . }}`:                           `{{ include "x" . }}` + is + "NAME}",
		"{{ .Chart.Name }} {{ .Values.y }}":             "{{ .Chart.Name }}" + is + "NAME}",
		"{{ .Values }}":                                 "{{ .Values }}" + is + "NAME}",
		"{{identity.entity.name}}":                      "",
		".Values.x":                                     "",
		"{{ .Valuesx }}":                                "",
		"{{ .Values." + strings.Repeat("x", 50) + " }}": "{{ .Values." + strings.Repeat("x", 29) + "…" + is + strings.Repeat("x", 50) + "}",
	} {
		message, hint := source.ForeignTemplate(text)
		if got := strings.TrimSuffix(message+"; "+hint, "; "); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}
