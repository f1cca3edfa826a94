package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/lint"
	"github.com/ztplan/ztplan/cmd/ztplan/templates"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/schemas"
	"github.com/ztplan/ztplan/steps"
)

// answers are values for the variables that templates require.
var answers = map[string]string{
	"host": "hello.example.local", "certificate": "hello-cert", "namespace": "ingress-apisix", "service": "apisix-gateway",
}

// begun returns the plan of a template in a folder of its own, with values and with
// answers for the other required ones.
func begun(t *testing.T, tmpl templates.Template, name string, values map[string]string) *plan.Plan {
	t.Helper()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "ca.pem"), read(t, "../../testdata/ca.pem"))
	for _, v := range tmpl.Variables {
		if answer, ok := answers[v.Name]; ok && v.Default == "" && values[v.Name] == "" {
			values[v.Name] = answer
		}
	}
	if _, err := tmpl.Make(dir, values); err != nil {
		t.Fatal(err)
	}
	text, err := tmpl.Plan(name, values)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Load(plan.Input{File: filepath.Join(dir, "plan.yaml"), Data: text, Kinds: steps.All(), Connections: steps.Connections()})
	if err != nil {
		t.Fatalf("%s: %v\n%s", tmpl.Name, err, text)
	}
	if err := validate(compiled(t, schemas.Plan), text); err != nil {
		t.Errorf("%s: %v", tmpl.Name, err)
	}
	return p
}

func allTemplates(t *testing.T) map[string]templates.Template {
	t.Helper()
	list, err := templates.All()
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]templates.Template)
	for _, tmpl := range list {
		out[tmpl.Name] = tmpl
	}
	return out
}

// Every template is a valid plan without a finding of lint, and describes the values that
// it asks for.
func TestTemplates(t *testing.T) {
	for name, tmpl := range allTemplates(t) {
		p := begun(t, tmpl, "", map[string]string{})
		for _, f := range lint.Examine(p, lint.Options{}).Findings {
			t.Errorf("%s: step %s: %s", name, f.Step, f.Message)
		}
		if p.Name != name || tmpl.Description == "" {
			t.Errorf("template %s: plan %s, %q", name, p.Name, tmpl.Description)
		}
		for _, v := range tmpl.Variables {
			if v.Description == "" {
				t.Errorf("template %s: %s has no description", name, v.Name)
			}
		}
		// Nothing but values changes: without any, the text is the template's.
		if text, err := tmpl.Plan("", nil); err != nil || string(text) != string(tmpl.Text) {
			t.Errorf("template %s changes without values: %v", name, err)
		}
	}
}

// A value is the given text, also where YAML would read another type.
func TestTemplatesTakeTextAsItIs(t *testing.T) {
	tmpl := allTemplates(t)["guide"]
	for _, value := range []string{"yes", "n", "0400", "null", "a: b # c", `"quoted"`, "it's", "${vars.domain}", "$${", "{a: b}", "- x", "ä", " x ", "two\nlines"} {
		p := begun(t, tmpl, "site", map[string]string{"root": value})
		if got := p.Vars["root"]; got != value || p.Name != "site" {
			t.Errorf("%q became %#v in plan %s", value, got, p.Name)
		}
	}
	p := begun(t, allTemplates(t)["rotation"], "", map[string]string{"port": "8443"})
	if fmt.Sprint(p.Vars["port"]) != "8443" || p.Vars["serviceNamespace"] != "ingress-apisix" {
		t.Errorf("the variables are %v", p.Vars)
	}
}

// The template guide is the set-up of plans/lab.yaml.
func TestTemplateGuideIsTheLabPlan(t *testing.T) {
	lab, err := plan.Load(plan.Input{File: "../../plans/lab.yaml", Kinds: steps.All(), Connections: steps.Connections()})
	if err != nil {
		t.Fatal(err)
	}
	p := begun(t, allTemplates(t)["guide"], "", map[string]string{})
	if len(p.Steps) != len(lab.Steps) {
		t.Fatalf("%d steps, the lab's plan has %d", len(p.Steps), len(lab.Steps))
	}
	for i, s := range p.Steps {
		want := lab.Steps[i]
		if s.ID != want.ID || s.Kind.Name != want.Kind.Name || fmt.Sprint(s.Needs) != fmt.Sprint(want.Needs) || s.Policy != want.Policy {
			t.Errorf("step %s %s needs %v, in the lab's plan %s %s %v", s.ID, s.Kind.Name, s.Needs, want.ID, want.Kind.Name, want.Needs)
		}
	}
}

// Files that were made go when another one cannot be made.
func TestTemplatesLeaveNothingBehind(t *testing.T) {
	dir := t.TempDir()
	tmpl := templates.Template{Variables: []templates.Variable{
		{Name: "identity", Default: "id.txt"}, {Name: "operator", Made: "age identity"}, {Name: "other", Made: "another thing"},
	}}
	if _, err := tmpl.Make(dir, map[string]string{}); err == nil {
		t.Error("another thing was made")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
