package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Packages that make test runs without the race detector start no goroutine, and
// import nothing that they could share memory with.
func TestPlainPackages(t *testing.T) {
	line := regexp.MustCompile(`(?m)^PLAIN := (.+)$`).FindSubmatch(read(t, "../../Makefile"))
	if line == nil {
		t.Fatal("the Makefile has no PLAIN")
	}
	for _, dir := range strings.Fields(string(line[1])) {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no Go files, %v", dir, err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, imp := range parsed.Imports {
				switch strings.Trim(imp.Path.Value, `"`) {
				case "sync", "sync/atomic", "net", "net/http", "os/exec", "testing/synctest":
					t.Errorf("%s imports %s: take %s out of PLAIN", file, imp.Path.Value, dir)
				}
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if _, ok := n.(*ast.GoStmt); ok {
					t.Errorf("%s starts a goroutine: take %s out of PLAIN", file, dir)
				}
				return true
			})
		}
	}
}

// make quick tests what differs from the base, be it committed, in the work tree or
// untracked, and what imports it; it does not pass where it tests nothing.
func TestQuick(t *testing.T) {
	dir := cloned(t)
	sh(t, "", nil, "install -m 755 ../../.github/quick.sh "+filepath.Join(dir, ".github/quick.sh"))
	const git = "git -c user.name=test -c user.email=test@example.com "
	sh(t, dir, nil, git+"add -A && "+git+"commit -q --allow-empty -m base && git tag base")
	list := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), ".github/quick.sh", "--list")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "BASE=base")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := list(); err == nil || !strings.Contains(out, "nothing differs from ") {
		t.Errorf("without a change: %v\n%s", err, out)
	}
	sh(t, dir, nil, "echo >> engine/diff/diff.go && echo >> cmd/ztplan/e2e/doc.go && "+git+"commit -q -a -m change && "+
		"echo >> steps/curltls/example.yaml && mkdir steps/curltls/testdata && echo > steps/curltls/testdata/new && echo >> plans/lab.yaml && echo >> cmd/ztlab/README.md && echo >> cmd/ztlab/stub/okta/okta/okta.go")
	out, err := list()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"changed: ./cmd/ztplan ./engine/diff ./steps/curltls\n",
		"importers, without a lab: .*\\./cmd/ztplan/ui .*\\./steps .*\n",
		"changed in the lab: \\./\\. \\./stub\n",
		"left to make test, with labs of their own: ./cmd/ztplan/e2e",
	} {
		if !regexp.MustCompile("(?m)^" + want).MatchString(out) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	sh(t, dir, nil, "echo >> go.mod")
	if out, err := list(); err == nil || !strings.Contains(out, "go.mod changed") {
		t.Errorf("with another go.mod: %v\n%s", err, out)
	}
}
