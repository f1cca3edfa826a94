package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/schemas"
	"github.com/ztplan/ztplan/steps"
)

// compiled returns a schema that ztplan schema prints.
func compiled(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The plan in the reference is a plan.
func TestPlanOfTheReference(t *testing.T) {
	topics, err := schemas.Topics()
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`(?m)(^\t.*\n)+`).FindString(topics[0].Doc)
	text := strings.ReplaceAll(strings.TrimPrefix(code, "\t"), "\n\t", "\n")
	in := plan.Input{File: "reference", Data: []byte(text), Kinds: steps.All(), Connections: steps.Connections()}
	if _, err := plan.Load(in); err != nil {
		t.Errorf("%v in:\n%s", err, text)
	}
	if err := validate(compiled(t, schemas.Plan), []byte(text)); err != nil {
		t.Error(err)
	}
}

// The schema of plans takes every plan that ztplan takes, and knows the keys of the
// language.
func TestPlanSchema(t *testing.T) {
	schema := compiled(t, schemas.Plan)
	for _, name := range []string{"../../plans/lab.yaml", "../../plans/fleet/site.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(schema, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	const head = "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: a}\n"
	const steps = head + "steps: [{id: a, uses: applyManifest}]\n"
	step := func(keys string) string {
		return head + "vars: {n: 1}\nsteps: [{id: a, uses: applyManifest, " + keys + "}]"
	}
	for text, want := range map[string]bool{
		steps: true, head: false, steps + "step: []": false,
		steps + "vars: {a: 1, b: [x], c: {k: v}, d: {default: {k: v}}, e: null}": true,
		steps + "vars: {a: {type: number, secret: true, required: true}}":        true,
		steps + "vars: {a: {type: numbr}}":                                       false,
		steps + "vars: {a: {default: x, k: v}}":                                  false,
		steps + "vars: {a: {secret: sometimes}}":                                 false,
		steps + "connections: {vault: {adress: x}}":                              false,
		steps + "connections: {kubernetes: {context: x}}":                        true,
		step(`when: "${vars.n} == 1"`):                                           true,
		step("when: false"):                                                      true,
		step("when: [a]"):                                                        false,
		step("needs: b"):                                                         true,
		step("needs: [b, c]"):                                                    true,
		step("needs: {b: c}"):                                                    false,
		step(`retry: {attempts: "${vars.n}", delay: 2s, jitter: 0.5}`):           true,
		step("with: {files: '${vars.n}', wait: '${vars.n}'}"):                    true,
		step("with: {files: x}"):                                                 false,
		step("retry: {attempts: -1}"):                                            false,
		step("retry: {delay: soon}"):                                             false,
		step("retry: {jitter: 2}"):                                               false,
		step("retry: {atempts: 1}"):                                              false,
	} {
		if err := validate(schema, []byte(text)); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Every key of the language is described to editors.
func TestPlanSchemaDescribesTheLanguage(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemas.Plan))
	if err != nil {
		t.Fatal(err)
	}
	properties := func(path ...string) map[string]any {
		at := doc.(map[string]any)
		for _, p := range path {
			at = at[p].(map[string]any)
		}
		return at["properties"].(map[string]any)
	}
	for name, at := range map[string]map[string]any{
		"plan": properties(), "vars": properties("properties", "vars", "additionalProperties"), "connections": properties("properties", "connections"),
		"step": properties("definitions", "step"), "retry": properties("definitions", "step", "properties", "retry"),
	} {
		for key, s := range at {
			if s.(map[string]any)["description"] == nil {
				t.Errorf("%s.%s has no description", name, key)
			}
		}
	}
}
