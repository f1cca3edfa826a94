package helminstall_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/helminstall"
)

func TestValidate(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("- a list\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "chart"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*helminstall.Spec)
		want   string // "field: part of the message"; empty for none
	}{
		{"complete", func(s *helminstall.Spec) {}, ""},
		{"a registry's folder", func(s *helminstall.Spec) { s.Repo = "oci://r.example.com/charts" }, ""},
		{"a registry's chart", func(s *helminstall.Spec) { s.Repo, s.Chart = "oci://r.example.com/charts/app", "" }, ""},
		{"an oci chart", func(s *helminstall.Spec) { s.Repo, s.Chart = "", "oci://r.example.com/charts/app" }, ""},
		{"a path", func(s *helminstall.Spec) { s.Repo, s.Chart, s.Version = "", "./chart", "" }, ""},
		{"this machine", func(s *helminstall.Spec) { s.Repo = "http://127.0.0.1:8080" }, ""},

		{"nothing", func(s *helminstall.Spec) { s.Repo, s.Chart = "", "" }, "chart: required"},
		{"no chart", func(s *helminstall.Spec) { s.Chart = "" }, "chart: name of the chart"},
		{"no version", func(s *helminstall.Spec) { s.Version = "" }, "version: exact version is required"},
		{"a range", func(s *helminstall.Spec) { s.Version = "^1.0.0" }, "version: is a range"},
		{"a range of a registry", func(s *helminstall.Spec) { s.Repo, s.Version = "oci://r.example.com/charts", "1.x" }, "version: is a range"},
		{"a range of a path", func(s *helminstall.Spec) { s.Repo, s.Chart, s.Version = "", "./chart", "~1" }, "version: is a range"},
		{"no path", func(s *helminstall.Spec) { s.Repo, s.Chart = "", "./absent" }, "chart: nothing at ./absent"},
		{"an address as chart", func(s *helminstall.Spec) { s.Repo, s.Chart = "", "https://example.com/app.tgz" }, "chart: only oci://"},
		{"no address", func(s *helminstall.Spec) { s.Repo = "jetstack" }, "repo: address of a chart repository"},
		{"plain http", func(s *helminstall.Spec) { s.Repo = "http://charts.example.com" }, "repo: use https"},
		{"git", func(s *helminstall.Spec) { s.Repo = "git://example.com/x" }, "repo: not supported"},
		{"credentials in the address", func(s *helminstall.Spec) { s.Repo = "https://me:pw@charts.example.com" }, "repo: credentials"},
		{"an authority that is none", func(s *helminstall.Spec) { s.CAFile = engine.File{Name: "bad.yaml", Path: bad} }, "caFile: bad.yaml: no PEM certificate in it"},
		{"no password", func(s *helminstall.Spec) { s.Username = "me" }, "password: without password"},
		{"no username", func(s *helminstall.Spec) { s.Password = engine.NewSecret("x") }, "username: without username"},
		{"release", func(s *helminstall.Spec) { s.Release = "My_Release" }, "release: at most 53"},
		{"namespace", func(s *helminstall.Spec) { s.Namespace = "a.b" }, "namespace: at most 63"},
		{"a values file", func(s *helminstall.Spec) {
			s.ValuesFiles = []engine.File{{Name: "bad.yaml", Path: bad}}
		}, "valuesFiles: mapping"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := helminstall.Kind.New().(*helminstall.Spec)
			s.Repo, s.Chart, s.Version = "https://charts.example.com", "app", "1.0.0"
			c.change(s)
			p := engine.Problems{Dir: dir}
			s.Validate(&p)
			if c.want == "" {
				for _, pr := range p.List() {
					t.Errorf("%s: %s", pr.Field, pr.Message)
				}
				return
			}
			field, part, _ := strings.Cut(c.want, ": ")
			if len(p.List()) != 1 || p.List()[0].Field != field || !strings.Contains(p.List()[0].Message, part) {
				t.Errorf("problems %+v, want one of %s that says %q", p.List(), field, part)
			}
			if strings.Contains(p.List()[0].Message, "pw") {
				t.Errorf("the password shows: %s", p.List()[0].Message)
			}
		})
	}
}
