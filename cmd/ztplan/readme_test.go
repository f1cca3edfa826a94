package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/schemas"
	"github.com/ztplan/ztplan/steps"
)

// The plan in the README and those in plans/ must be valid as they stand.
func TestPlansAreValid(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(apiVersion: ztplan.dev/v1.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("the README has no plan")
	}
	inputs := []plan.Input{{File: "README.md", Data: block[1]}, {File: "../../plans/lab.yaml"}}
	for _, in := range inputs {
		in.Kinds, in.Connections = steps.All(), steps.Connections()
		if _, err := plan.Load(in); err != nil {
			t.Errorf("%s: %v", in.File, err)
		}
	}
}

// The fleet in the README and that in plans/ are right, and so is the plan of the latter.
func TestFleetsAreValid(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(apiVersion: ztplan.dev/v1\nkind: Fleet.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("the README has no fleet")
	}
	example, err := os.ReadFile("../../plans/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	schema := fleetSchema(t)
	for name, text := range map[string][]byte{"README.md": block[1], "plans/fleet.yaml": example} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("../../plans")); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "the-fleet.yaml")
		for path, data := range map[string][]byte{file: text, filepath.Join(dir, "site.yaml"): nil} {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := fleet.Load(fleet.Input{
			File: file, Inputs: engine.NewInputs(t.Context()),
			Profiles: func(*fleet.Document) ([]fleet.Profile, error) { return members, nil },
			Plan: func(file string, values plan.Values) (*plan.Plan, error) {
				in := plan.Input{File: file, Kinds: steps.All(), Connections: steps.Connections(), Values: values}
				if filepath.Base(file) == "site.yaml" && name == "README.md" {
					in.Data = []byte(sitePlan)
				}
				return plan.Load(in)
			},
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := validate(schema, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// members are two clusters of the fleets in the README and in plans/.
var members = []fleet.Profile{
	{Name: "a", Labels: map[string]string{"ring": "0"}, Properties: map[string]string{"domain": "a.example"}, Server: fleet.Server{URL: "https://a.example"}},
	{Name: "b", Properties: map[string]string{"domain": "b.example"}, Server: fleet.Server{URL: "https://b.example"}},
	{Name: "c", Unhealthy: "etcd has no leader"},
}

const sitePlan = `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: site}
vars: {domain: {type: string, required: true}}
steps:
  - {id: site, uses: applyManifest, with: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: site, namespace: default}, data: {domain: "${vars.domain}"}}]}}
`

// fleetSchema returns the schema that ztplan schema fleet prints.
func fleetSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemas.FleetDocument))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("fleet.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("fleet.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(schema *jsonschema.Schema, text []byte) error {
	data, err := sigsyaml.YAMLToJSON(text)
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return schema.Validate(doc)
}

// The schema of fleets refuses keys and values that a fleet cannot have: references stand
// only where they are resolved.
func TestFleetSchema(t *testing.T) {
	schema := fleetSchema(t)
	const head = "apiVersion: ztplan.dev/v1\nkind: Fleet\nmetadata: {name: a}\nplan: p\nclusters: {file: c}\n"
	for text, want := range map[string]bool{
		"": true, "retries: 3": true, "timeout: 5m": true, "mode: status": true,
		"waves: [{name: a, stop: {failures: 2%}}]": true, "waves: [{name: a, stop: {failures: 2}}]": true,
		"vars: {a: \"${cluster.name}\"}": true, "access: {keyless: {audience: \"x-${cluster.labels.a}\"}}": true, "access: {secrets: {}}": true,
		"retries: 11": false, "retries: \"${cluster.name}\"": false, "timeout: \"${cluster.name}\"": false, "mode: \"${cluster.name}\"": false,
		"mode: apply": false, "waves: [{parallel: 1}]": false, "waves: [{name: a, stop: {failures: 101%}}]": false, "waves: [{name: a, stop: {failures: -1}}]": false,
		"retry: 1": false,
	} {
		err := validate(schema, []byte(head+text))
		if (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// around is the plan for the README's lists of steps.
const around = `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: readme}
connections: {vault: {login: {role: ztplan, serviceAccount: {namespace: vault, name: ztplan}}}}
steps:
- {id: root, uses: pkiRoot, with: {commonName: Root CA Lab}}
- {id: site, uses: curlTLS, with: {url: "https://hello.example.local", address: "127.0.0.1:443", trust: "${steps.root.certificate}"}}
`

// Every YAML in the README is YAML, lists of steps are steps, its inputs of the action exist,
// and files that it links to are there.
func TestReadmeSnippets(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(blocks) < 5 {
		t.Errorf("%d blocks of YAML", len(blocks))
	}
	var action struct{ Inputs map[string]any }
	readYAML(t, "../../action.yml", &action)
	for _, b := range blocks {
		if bytes.HasPrefix(b[1], []byte("- id: ")) {
			text := append([]byte(around), b[1]...)
			if _, err := plan.Load(plan.Input{File: "README.md", Data: text, Kinds: steps.All(), Connections: steps.Connections()}); err != nil {
				t.Errorf("%v:\n%s", err, text)
			}
			continue
		}
		var doc struct {
			Jobs map[string]struct {
				Steps []struct {
					Uses string
					With map[string]any
				}
			}
		}
		if err := yaml.Unmarshal(b[1], &doc); err != nil {
			t.Errorf("%v:\n%s", err, b[1])
		}
		for _, job := range doc.Jobs {
			for _, s := range job.Steps {
				for name := range s.With {
					if _, ok := action.Inputs[name]; !ok && strings.HasPrefix(s.Uses, "ztplan/") {
						t.Errorf("the action has no input %s", name)
					}
				}
			}
		}
	}
	for _, m := range regexp.MustCompile(`\]\(([\w./-]+)(#\S*)?\)`).FindAllSubmatch(readme, -1) {
		if _, err := os.Stat("../../" + string(m[1])); err != nil {
			t.Error(err)
		}
	}
}

// The README's table of kinds is complete.
func TestReadmeListsEveryKind(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range steps.All() {
		if !strings.Contains(string(readme), "(steps/README.md#"+strings.ToLower(k.Name)+")") {
			t.Errorf("%s is not in the README's table of kinds", k.Name)
		}
	}
}

// Every kind's example decodes in a plan. Its needs and references are other steps, so
// problems of those, and only those, are no failure.
func TestExamplesDecode(t *testing.T) {
	for _, k := range steps.All() {
		if err := spec.CheckKind(k); err != nil {
			t.Error(err)
		}
		text, err := os.ReadFile("../../steps/" + strings.ToLower(k.Name) + "/example.yaml")
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(string(text), "uses: "+k.Name) {
			t.Errorf("the example of %s does not use it", k.Name)
		}
		head := "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: example}\nsteps:\n"
		_, err = plan.Load(plan.Input{File: k.Name + ".yaml", Data: []byte(head + string(text)), Kinds: steps.All(), Connections: steps.Connections()})
		var problems *source.Problems
		if !errors.As(err, &problems) {
			continue
		}
		for _, p := range problems.List() {
			if !strings.Contains(p.Summary, "there is no step") && !strings.Contains(p.Summary, "does not exist") {
				t.Errorf("%s", p.Text())
			}
		}
	}
}
