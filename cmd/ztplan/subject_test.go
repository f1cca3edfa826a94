package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/cmd/ztplan/cijob"
	"github.com/ztplan/ztplan/cmd/ztplan/planrun"
	"github.com/ztplan/ztplan/cmd/ztplan/report"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/redact"
	"github.com/ztplan/ztplan/steps"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/session"
)

func TestCIJob(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want *evidence.Job
	}{
		"none":   {map[string]string{"HOME": "/home/a", "CI": "true"}, nil},
		"GitHub": {map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "7", "GITHUB_TOKEN": "secret"}, &evidence.Job{System: "GitHub Actions", Facts: map[string]string{"GITHUB_RUN_ID": "7"}}},
		"GitLab": {map[string]string{"GITLAB_CI": "true", "CI_JOB_URL": "https://u:p@gitlab.example.org/j/1", "CI_JOB_TOKEN": "secret"}, &evidence.Job{System: "GitLab CI", Facts: map[string]string{"CI_JOB_URL": "https://u:xxxxx@gitlab.example.org/j/1"}}},
		"no":     {map[string]string{"GITHUB_ACTIONS": "false", "GITHUB_RUN_ID": "7"}, nil},
	} {
		got := cijob.Read(func(name string) (string, bool) { v, ok := c.env[name]; return v, ok })
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

const subjectPlan = `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: p}
vars: {domain: example.local, token: {secret: true, env: TOKEN}, list: [a, 1]}
connections: {vault: {address: "https://vault.${vars.domain}", token: "${vars.token}"}}
steps:
  - {id: vault, uses: helmInstall, with: {repo: https://example.com, chart: c, version: 1.2.3, namespace: vault}}
  - {id: app, uses: helmInstall, with: {repo: https://example.com, chart: c, version: 1.2.3, namespace: app}}
  - {id: more, uses: helmInstall, with: {repo: https://example.com, chart: d, version: 1.2.3, namespace: vault}}
`

// The subject that is known before a run has the values of the variables but of
// no secret, and values with a secret of the run in them are redacted.
func TestSubject(t *testing.T) {
	const secret = "hvs.0123456789"
	dir := t.TempDir()
	p, err := plan.Load(plan.Input{File: filepath.Join(dir, "p.yaml"), Data: []byte(subjectPlan), Kinds: steps.All(), Connections: steps.Connections(), Vars: map[string]string{"domain": "other.local"},
		Env: func(name string) (string, bool) { return secret, name == "TOKEN" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GITHUB_ACTIONS", "")
	a := new(app)
	a.Only, a.Skip = []string{"app"}, []string{"more"}
	s := a.aboutRun(t.Context(), p, []session.Mirror{{From: "https://example.com", To: "https://u:p@mirror.example.com"}})
	s.Remarks = append(s.Remarks, "pods: refused for "+secret)
	var redactor redact.Redactor
	redactor.Add(p.Secrets()...)
	got := redacted(&s, &redactor, func(err string) *evidence.Subject { t.Error(err); return nil })
	own, err := report.OwnDigest()
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	want := &evidence.Subject{
		Host: host, Variables: map[string]any{"domain": "other.local", "list": []any{"a", 1.0}}, Secret: []string{"token"},
		Only: []string{"app"}, Skip: []string{"more"}, Mirrors: []evidence.Mirror{{From: "https://example.com", To: "https://u:(secret)@mirror.example.com"}},
		Binary: own, Remarks: []string{"Git checkout: the plan is in none", "pods: refused for " + engine.Redacted},
	}
	got.Job = nil
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := strings.Join(planrun.ReleaseNamespaces(p), " "); got != "app vault" {
		t.Errorf("namespaces %s", got)
	}
}
