package main

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine/plan"
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
		in.Kinds = steps.All()
		if _, err := plan.Load(in); err != nil {
			t.Errorf("%s: %v", in.File, err)
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
		plan.CheckKind(k)
		text, err := os.ReadFile("../../steps/" + strings.ToLower(k.Name) + "/example.yaml")
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(string(text), "uses: "+k.Name) {
			t.Errorf("the example of %s does not use it", k.Name)
		}
		head := "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: example}\nsteps:\n"
		_, err = plan.Load(plan.Input{File: k.Name + ".yaml", Data: []byte(head + string(text)), Kinds: steps.All()})
		var problems *plan.Problems
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
