package main

import (
	"bytes"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
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

// around is what the README's lists of steps stand in.
const around = `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: readme}
connections: {vault: {login: {role: ztplan, serviceAccount: {namespace: vault, name: ztplan}}}}
steps:
- {id: root, uses: pkiRoot, with: {commonName: Root CA Lab}}
- {id: site, uses: curlTLS, with: {url: "https://hello.example.local", address: "127.0.0.1:443", trust: "${steps.root.certificate}"}}
`

// Every YAML in the README is YAML, lists of steps are steps, what it says of the action is in it, and
// files that it links to are there.
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

// Every kind's example decodes in a plan. What it needs and refers to belongs
// to other steps, so those problems, and only those, are no failure.
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
