package document_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/document"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// A reading is a document and the problems that were found in it: place, summary and hint.
type reading struct {
	source.Reporter
	root     *yaml.Node
	problems []string
}

func read(t *testing.T, text string) *reading {
	t.Helper()
	r := new(reading)
	r.Reporter = source.Reporter{File: source.NewFile("d.yaml", []byte(text)), Add: func(p *source.Problem) {
		r.problems = append(r.problems, strings.TrimSuffix(p.Error()+" | "+p.Hint, " | "))
	}}
	r.root = source.Parse(r.File, "a document", r.Add)
	return r
}

// want compares the problems.
func (r *reading) want(t *testing.T, name string, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, r.problems); d != "" {
		t.Errorf("%s:\n%s", name, d)
	}
}

func TestSplit(t *testing.T) {
	r := read(t, "a: 1\nc: 2\nb: 3\nd: 4\n")
	parts, unknown := document.Split(r.root, []string{"a", "b"})
	var got []string
	for _, key := range unknown {
		got = append(got, key.Value)
	}
	if d := cmp.Diff([]string{"c", "d"}, got); d != "" || len(parts) != 4 || parts["b"].Value != "3" || parts["c"].Value != "2" {
		t.Errorf("%s, parts %v", d, parts)
	}
}

// TestConstant: another version of the language is one for another release, and everything
// else is a mistake.
func TestConstant(t *testing.T) {
	for text, want := range map[string]string{
		"{apiVersion: ztplan.dev/v1}":     "",
		`{apiVersion: "ztplan.dev/v1"}`:   "",
		"{kind: Plan}":                    "d.yaml:1:1: apiVersion is missing | add apiVersion: ztplan.dev/v1",
		"{apiVersion: ztplan.dev/v2}":     `d.yaml:1:14: apiVersion: want ztplan.dev/v1, have the text "ztplan.dev/v2" | this ztplan reads ztplan.dev/v1; another release may read ztplan.dev/v2`,
		"{apiVersion: v1}":                `d.yaml:1:14: apiVersion: want ztplan.dev/v1, have the text "v1" | write apiVersion: ztplan.dev/v1`,
		"{apiVersion: [ztplan.dev/v1]}":   `d.yaml:1:14: apiVersion: want ztplan.dev/v1, have a list | write apiVersion: ztplan.dev/v1`,
		"{apiVersion: {ztplan.dev/: v1}}": `d.yaml:1:14: apiVersion: want ztplan.dev/v1, have a mapping | write apiVersion: ztplan.dev/v1`,
		"{apiVersion: }":                  `d.yaml:1:14: apiVersion: want ztplan.dev/v1, have nothing | write apiVersion: ztplan.dev/v1`,
	} {
		r := read(t, text)
		parts, _ := document.Split(r.root, document.PlanKeys)
		ok := document.Constant(r.Reporter, r.root, parts, "apiVersion", document.APIVersion)
		if got := strings.Join(r.problems, "\n"); got != want || ok != (want == "") {
			t.Errorf("%s: %t\n got %s\nwant %s", text, ok, got, want)
		}
	}
	r := read(t, "{kind: ztplan.dev/v2}")
	parts, _ := document.Split(r.root, document.PlanKeys)
	document.Constant(r.Reporter, r.root, parts, "kind", document.PlanKind)
	r.want(t, "a version as a kind", `d.yaml:1:8: kind: want Plan, have the text "ztplan.dev/v2" | write kind: Plan`)
}

func TestHasSteps(t *testing.T) {
	for text, want := range map[string]string{
		"{steps: [a]}":       "",
		"{a: 1}":             "d.yaml:1:1: steps are missing: a plan has at least one | add steps: [{id: …, uses: …}]",
		"{steps: ~}":         "d.yaml:1:9: steps are missing: a plan has at least one | add steps: [{id: …, uses: …}]",
		"{steps: []}":        "d.yaml:1:9: steps: the list is empty: a plan has at least one | add steps: [{id: …, uses: …}]",
		"{steps: {a: {}}}":   "d.yaml:1:9: steps: want a list, have a mapping | write every step with a hyphen: - id: …",
		"{steps: {}}":        "d.yaml:1:9: steps: want a list, have a mapping | write every step with a hyphen: - id: …",
		"{steps: something}": `d.yaml:1:9: steps: want a list, have the text "something" | write every step with a hyphen: - id: …`,
	} {
		r := read(t, text)
		_, n := source.Lookup(r.root, "steps")
		ok := document.HasSteps(r.Reporter, r.root, n, "a plan")
		if got := strings.Join(r.problems, "\n"); got != want || ok != (want == "") {
			t.Errorf("%s: %t\n got %s\nwant %s", text, ok, got, want)
		}
	}
}

func TestIsID(t *testing.T) {
	for _, id := range []string{"a", "z", "a0", "a9", "a-b", "a--", "root-ca-2"} {
		if !document.IsID(id) {
			t.Errorf("%q is none", id)
		}
	}
	for _, id := range []string{"", "0a", "-a", "A", "aB", "a_b", "a.b", "a b", "ä", "aä", "a`", "a{", "a/", "a:", "a[0]"} {
		if document.IsID(id) {
			t.Errorf("%q is one", id)
		}
	}
}

// TestTakeMeant: the value of a key counts as that of the key which it stands for, if its
// form is the same, and never in place of that key itself.
func TestTakeMeant(t *testing.T) {
	known := []string{"id", "uses", "needs", "when", "retry", "forEach"}
	for text, want := range map[string]string{
		"{if: x}":                  "when=x when",
		"{depends_on: x, name: y}": "id=y needs=x id needs",
		"{for-each: x}":            "forEach=x forEach",
		"{retries: 5}":             "retry",
		"{need: x}":                "needs",
		"{invented: x}":            "",
		"{if: x, when: y}":         "when=y",
		"{if: x, condition: y}":    "when=x when",
	} {
		r := read(t, text)
		parts, unknown := document.Split(r.root, known)
		meant := document.TakeMeant(parts, unknown, known)
		var got []string
		for _, key := range []string{"id", "uses", "needs", "when", "retry", "forEach"} {
			if parts[key] != nil {
				got = append(got, key+"="+parts[key].Value)
			}
		}
		for _, key := range known {
			if meant[key] {
				got = append(got, key)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// TestMayBePlan: a document with no key of a plan, nor one of another tool's, is none.
func TestMayBePlan(t *testing.T) {
	const begins = "a plan begins with apiVersion: ztplan.dev/v1"
	for text, want := range map[string]string{
		"{vars: {}}":            "",
		"{connections: {}}":     "",
		"{kind: x}":             "",
		"{tasks: []}":           "",
		"{jobs: {}}":            "",
		"{api_version: x}":      "",
		"{stepz: []}":           "",
		"{}":                    "", // what is missing is said
		"{host: a, kind: Plan}": "",
		"{env: prod}":           "d.yaml:1:1: want a plan, have a mapping without any of its keys | " + begins + "; a file of variables is given beside a plan: --var-file d.yaml",
		"{domain: x, a: 1}":     "d.yaml:1:1: want a plan, have a mapping without any of its keys | " + begins + "; a file of variables is given beside a plan: --var-file d.yaml",
		"[kind, steps]":         "d.yaml:1:1: want a plan, have a list | " + begins,
		"steps":                 "d.yaml:1:1: want a plan, have text | " + begins,
	} {
		r := read(t, text)
		ok := document.MayBePlan(r.Reporter, r.root)
		if got := strings.Join(r.problems, "\n"); got != want || ok != (want == "") {
			t.Errorf("%s: %t\n got %s\nwant %s", text, ok, got, want)
		}
	}
}

func TestReadMetadata(t *testing.T) {
	for text, want := range map[string]string{
		"{metadata: {name: a, description: some text}}": "a some text",
		"{metadata: {name: a}}":                         "a ",
		"{metadata: {name: }}":                          " ", // the caller checks the name
		"{kind: Plan}":                                  "- d.yaml:1:1: metadata is missing: a plan has a name | add metadata: {name: …}",
		"{metadata: ~}":                                 "- d.yaml:1:12: metadata is missing: a plan has a name | add metadata: {name: …}",
		"{metadata: a}":                                 `- d.yaml:1:12: metadata: want a mapping, have the text "a" | write metadata: {name: …}`,
		"{metadata: [name, a]}":                         `- d.yaml:1:12: metadata: want a mapping, have a list | write metadata: {name: …}`,
		"{metadata: {description: x}}":                  "-x d.yaml:1:12: metadata.name is missing | add name: …",
		"{metadata: {name: a, description: 1}}":         `a d.yaml:1:35: metadata.description: want text, have the number 1 | write it in quotes: "1"`,
		"{metadata: {name: a, owner: b}}":               `a d.yaml:1:22: metadata: unknown key "owner" | the keys here are description and name`,
	} {
		r := read(t, text)
		_, n := source.Lookup(r.root, "metadata")
		name, description := document.ReadMetadata(r.Reporter, r.root, n)
		got := "-"
		if name != nil {
			got = name.Value + " "
		}
		if got += description; len(r.problems) > 0 {
			got = strings.TrimSpace(got) + " " + strings.Join(r.problems, "\n")
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

// TestBesideWith: a key of steps among the inputs belongs beside them, also in the words of
// other tools.
func TestBesideWith(t *testing.T) {
	for key, want := range map[string]string{
		"when": "when", "needs": "needs", "forEach": "forEach", "timeout": "timeout", "retry": "retry",
		"if": "when", "depends_on": "needs", "foreach": "forEach", "loop": "forEach",
		"retries": "", "wen": "", "id": "", "uses": "", "mount": "",
	} {
		if want != "" {
			want += " belongs to the step: write it beside with"
		}
		if got := document.BesideWith(key); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}

// TestParseFragment: the outermost keys of a fragment.
func TestParseFragment(t *testing.T) {
	const begin = "apiVersion: ztplan.dev/v1\nkind: Fragment\n"
	const begins = "a fragment begins with apiVersion: ztplan.dev/v1 and kind: Fragment"
	const noVersion, noKind = "d.yaml:1:1: apiVersion is missing | add apiVersion: ztplan.dev/v1", "d.yaml:1:1: kind is missing | add kind: Fragment"
	const noSteps = "d.yaml:1:1: steps are missing: a fragment has at least one | add steps: [{id: …, uses: …}]"
	for _, tt := range []struct {
		name, text string
		ok         bool
		want       []string
	}{
		{"sound", begin + "steps: [a]\nvars: {}\noutputs: {a: b}\n", true, nil},
		{"no outputs", begin + "steps: [a]\noutputs:\n", true, nil},
		{"outputs that are a list", begin + "steps: [a]\noutputs: [b]\n", true,
			[]string{`d.yaml:4:10: outputs: want a mapping, have a list | write outputs: {certificate: "${steps.ID.OUTPUT}"}`}},
		{"empty", "# nothing\n", false, []string{"d.yaml:1:1: the fragment is empty | " + begins}},
		{"a list", "- a\n", false, []string{"d.yaml:1:1: want a fragment, have a list | " + begins}},
		{"not YAML", "a: [\n", false, []string{"d.yaml:1:1: not valid YAML: did not find expected node content"}},
		{"another document", "a: 1\nmetadata: {}\n", false, []string{noVersion, noKind}},
		{"only its version", "apiVersion: ztplan.dev/v1\nb: 1\n", false, []string{noKind, `d.yaml:2:1: unknown key "b" | a fragment has apiVersion, kind, outputs, steps and vars`, noSteps}},
		{"only its kind", "kind: Fragment\nb: 1\n", false, []string{noVersion, `d.yaml:2:1: unknown key "b" | a fragment has apiVersion, kind, outputs, steps and vars`, noSteps}},
		{"only steps", "steps: [a]\nb: 1\n", true, []string{noVersion, noKind, `d.yaml:2:1: unknown key "b" | a fragment has apiVersion, kind, outputs, steps and vars`}},
		{"keys of a plan", begin + "steps: [a]\nmetadata: {}\nconnections: {}\noutput: {}\n", true, []string{
			`d.yaml:4:1: unknown key "metadata" | it has no name: the id of the entry that includes it is in the ids of its steps`,
			`d.yaml:5:1: unknown key "connections" | its steps have the connections of the plan; a step may override them below with`,
			`d.yaml:6:1: unknown key "output" | did you mean "outputs"?`,
		}},
		{"steps that are none", begin + "steps: {}\n", false, []string{"d.yaml:3:8: steps: want a list, have a mapping | write every step with a hyphen: - id: …"}},
	} {
		r := read(t, tt.text)
		r.problems = nil
		parts, ok := document.ParseFragment(r.File, r.Add)
		if ok != tt.ok || ok && (parts["steps"] == nil || parts["outputs"] != nil && parts["outputs"].Kind == yaml.SequenceNode) {
			t.Errorf("%s: %t, %v", tt.name, ok, parts)
		}
		r.want(t, tt.name, tt.want...)
	}
}

// TestPolicyOver: what a step writes replaces the policy of its kind, one by one.
func TestPolicyOver(t *testing.T) {
	kind := engine.Policy{Timeout: time.Minute, Attempts: 7, Delay: 2 * time.Second, Backoff: 3, MaxDelay: 10 * time.Second, Jitter: 0.5}
	duration := func(d time.Duration) *engine.Duration { v := engine.Duration(d); return &v }
	none, one, half := 0, 1.0, 0.25
	for name, tt := range map[string]struct {
		in   document.Policy
		want func(*engine.Policy)
		bad  bool
	}{
		"nothing":  {document.Policy{}, func(*engine.Policy) {}, false},
		"timeout":  {document.Policy{Timeout: duration(time.Hour)}, func(p *engine.Policy) { p.Timeout = time.Hour }, false},
		"attempts": {document.Policy{Retry: document.Retry{Attempts: &none}}, func(p *engine.Policy) { p.Attempts = 0 }, false},
		"backoff":  {document.Policy{Retry: document.Retry{Backoff: &one}}, func(p *engine.Policy) { p.Backoff = 1 }, false},
		"jitter":   {document.Policy{Retry: document.Retry{Jitter: &half}}, func(p *engine.Policy) { p.Jitter = 0.25 }, false},
		"delay below the longest": {document.Policy{Retry: document.Retry{Delay: duration(5 * time.Second)}},
			func(p *engine.Policy) { p.Delay = 5 * time.Second }, false},
		"delay raises the longest": {document.Policy{Retry: document.Retry{Delay: duration(time.Minute)}},
			func(p *engine.Policy) { p.Delay, p.MaxDelay = time.Minute, time.Minute }, false},
		"both": {document.Policy{Retry: document.Retry{Delay: duration(time.Minute), MaxDelay: duration(time.Hour)}},
			func(p *engine.Policy) { p.Delay, p.MaxDelay = time.Minute, time.Hour }, false},
		"both the same": {document.Policy{Retry: document.Retry{Delay: duration(time.Minute), MaxDelay: duration(time.Minute)}},
			func(p *engine.Policy) { p.Delay, p.MaxDelay = time.Minute, time.Minute }, false},
		"longest below delay": {document.Policy{Retry: document.Retry{Delay: duration(time.Minute), MaxDelay: duration(time.Second)}},
			func(p *engine.Policy) { p.Delay, p.MaxDelay = time.Minute, time.Second }, true},
		"longest lowers the delay of the kind": {document.Policy{Retry: document.Retry{MaxDelay: duration(time.Second)}},
			func(p *engine.Policy) { p.Delay, p.MaxDelay = time.Second, time.Second }, false},
		"longest above the delay of the kind": {document.Policy{Retry: document.Retry{MaxDelay: duration(time.Hour)}},
			func(p *engine.Policy) { p.MaxDelay = time.Hour }, false},
	} {
		got, want := kind, kind
		tt.want(&want)
		if ok := tt.in.Over(&got); ok == tt.bad || got != want {
			t.Errorf("%s: %t, got %+v, want %+v", name, ok, got, want)
		}
	}
	unbounded := engine.Policy{Delay: time.Second}
	if ok := (document.Policy{Timeout: duration(time.Hour)}).Over(&unbounded); !ok {
		t.Error("a kind whose pauses have no bound: what a step does not write is wrong")
	}
}
