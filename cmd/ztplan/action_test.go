package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// actionStep is a step of a composite action, and of a job of a workflow.
type actionStep struct {
	Uses  string            `yaml:"uses"`
	Shell string            `yaml:"shell"`
	Run   string            `yaml:"run"`
	Env   map[string]string `yaml:"env"`
}

func readYAML(t *testing.T, file string, into any) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return string(data)
}

// safe checks the rules of GitHub's hardening guide: nothing from outside is
// put together into a script's text, and actions are pinned.
func (s actionStep) safe(t *testing.T, where string) {
	t.Helper()
	if strings.Contains(s.Run, "${{") {
		t.Errorf("%s: an expression inside of a script: pass it in env: %s", where, s.Run)
	}
	if s.Uses != "" && !regexp.MustCompile(`^(\./|[\w.-]+/[\w./-]+@[0-9a-f]{40}$)`).MatchString(s.Uses) {
		t.Errorf("%s: %s is not pinned to a commit: a tag can be moved", where, s.Uses)
	}
}

func TestAction(t *testing.T) {
	var action struct {
		Inputs  map[string]struct{ Description string }
		Outputs map[string]struct{ Description, Value string }
		Runs    struct {
			Using string
			Steps []actionStep
		}
	}
	text := readYAML(t, "../../action.yml", &action)
	if action.Runs.Using != "composite" || len(action.Runs.Steps) < 4 {
		t.Fatalf("runs: %+v", action.Runs)
	}
	used := make(map[string]bool)
	for _, m := range regexp.MustCompile(`inputs\.([\w-]+)`).FindAllStringSubmatch(text, -1) {
		used[m[1]] = true
		if _, ok := action.Inputs[m[1]]; !ok {
			t.Errorf("there is no input %s", m[1])
		}
	}
	for name, in := range action.Inputs {
		if !used[name] || in.Description == "" {
			t.Errorf("input %s: used %v, description %q", name, used[name], in.Description)
		}
	}
	scripts := 0
	for _, s := range action.Runs.Steps {
		s.safe(t, "action.yml")
		if s.Run == "" {
			continue
		}
		// Every variable that a script documents and demands is given.
		name := regexp.MustCompile(`\.github/action/\w+\.sh`).FindString(s.Run)
		script, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Errorf("%q: %v", s.Run, err)
			continue
		}
		scripts++
		if !strings.Contains(string(script), "\nset -euo pipefail\n") || s.Shell != "bash" {
			t.Errorf("%s: a failure could go unnoticed", name)
		}
		for _, v := range regexp.MustCompile(`ZTPLAN_\w+`).FindAllString(string(script), -1) {
			if _, ok := s.Env[v]; !ok && v != "ZTPLAN_" {
				t.Errorf("action.yml does not give %s to %s", v, name)
			}
		}
	}
	if scripts != 2 {
		t.Errorf("%d scripts, want 2", scripts)
	}
}

func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil || len(files) < 2 {
		t.Fatalf("workflows: %v, %v", files, err)
	}
	for _, file := range files {
		var w struct {
			Permissions map[string]string
			Jobs        map[string]struct {
				Timeout int `yaml:"timeout-minutes"`
				Steps   []actionStep
			}
		}
		readYAML(t, file, &w)
		for what, may := range w.Permissions {
			if may != "read" {
				t.Errorf("%s: every job may %s %s: say so in the job that needs it", file, may, what)
			}
		}
		if w.Permissions == nil {
			t.Errorf("%s: permissions are left to the repository's default", file)
		}
		for name, job := range w.Jobs {
			if job.Timeout == 0 {
				t.Errorf("%s: job %s may hang for hours: give it timeout-minutes", file, name)
			}
			for _, s := range job.Steps {
				s.safe(t, file+": "+name)
			}
		}
	}
}
