package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Packages that make test runs without the race detector start no goroutine. Tests in
// concurrent_test.go may: they run with it, and are found by their names. Packages of
// tests alone may, too: they drive the binaries, and nothing of the program runs in them.
func TestPlainPackages(t *testing.T) {
	var dirs []string
	for name, module := range map[string]string{"PLAIN": "", "LAB_PLAIN": "cmd/ztlab/"} {
		list := regexp.MustCompile(`(?m)^` + name + ` := ((?:.+\\\n)*.+)$`).FindSubmatch(read(t, "../../Makefile"))
		if list == nil {
			t.Fatalf("the Makefile has no %s", name)
		}
		for _, dir := range strings.Fields(strings.ReplaceAll(string(list[1]), `\`, "")) {
			dirs = append(dirs, module+dir)
		}
	}
	for _, dir := range dirs {
		parsed := parseDir(t, filepath.Join("../..", dir))
		if !slices.ContainsFunc(slices.Collect(maps.Keys(parsed)), func(file string) bool {
			return !strings.HasSuffix(file, "_test.go") && len(parsed[file].Decls) > 0
		}) {
			continue
		}
		for file, f := range parsed {
			if filepath.Base(file) == "concurrent_test.go" {
				for _, d := range f.Decls {
					if f, ok := d.(*ast.FuncDecl); ok && !strings.HasPrefix(f.Name.Name, "TestConcurrent") {
						t.Errorf("%s: %s does not run with the race detector: call it TestConcurrent…, or move it", file, f.Name.Name)
					}
				}
				continue
			}
			if why := concurrency(f); why != "" {
				t.Errorf("%s: %s: take %s out of PLAIN", file, why, dir)
			}
		}
	}
}

// Tests in plain_test.go are left out under the race detector: they are found by their
// names without it, and start no goroutine.
func TestUnracedTests(t *testing.T) {
	files, err := filepath.Glob("../../steps/*/plain_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no plain_test.go: %v", err)
	}
	for _, file := range files {
		text := read(t, file)
		f, err := parser.ParseFile(token.NewFileSet(), file, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "//go:build !race\n") {
			t.Errorf("%s runs under the race detector as well", file)
		}
		if why := concurrency(f); why != "" {
			t.Errorf("%s: %s: it needs the race detector", file, why)
		}
		for _, d := range f.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") && !strings.HasPrefix(f.Name.Name, "TestPlain") {
				t.Errorf("%s: make test does not run %s: call it TestPlain…", file, f.Name.Name)
			}
		}
	}
}

// The tests that make test leaves to commands of their own run every night.
func TestNightly(t *testing.T) {
	commands := regexp.MustCompile(`(?m)^([a-z-]+):.*\n(?:\t.*\n)*\t.*ZTPLAN_FULL=1`).FindAllSubmatch(read(t, "../../Makefile"), -1)
	if len(commands) < 2 {
		t.Fatal("the Makefile has no commands with ZTPLAN_FULL=1")
	}
	var workflow struct {
		Jobs struct {
			Tables struct {
				Strategy struct{ Matrix struct{ Table []string } }
			}
		}
	}
	readYAML(t, "../../.github/workflows/nightly.yml", &workflow)
	for _, c := range commands {
		if name := string(c[1]); !slices.Contains(workflow.Jobs.Tables.Strategy.Matrix.Table, name) {
			t.Errorf("make %s is not in .github/workflows/nightly.yml", name)
		}
	}
}

// parseDir parses the Go files of a folder, by their paths.
func parseDir(t *testing.T, dir string) map[string]*ast.File {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no Go files, %v", dir, err)
	}
	out := make(map[string]*ast.File)
	for _, file := range files {
		if out[file], err = parser.ParseFile(token.NewFileSet(), file, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// concurrency returns the part of the file that starts goroutines or is for several; ""
// if nothing does.
func concurrency(file *ast.File) (why string) {
	for _, imp := range file.Imports {
		switch path := strings.Trim(imp.Path.Value, `"`); path {
		case "sync", "sync/atomic", "testing/synctest", "golang.org/x/sync/errgroup":
			return "imports " + path
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			why = "starts a goroutine"
		case *ast.SelectorExpr:
			if name := n.Sel.Name; name == "Go" || name == "AfterFunc" {
				why = "calls " + name
			}
		}
		return why == ""
	})
	return why
}

// make quick tests packages that differ from the base, be it committed, in the work tree
// or untracked, and those that import them; it does not pass where it tests nothing.
func TestQuick(t *testing.T) {
	dir := cloned(t)
	sh(t, "", nil, "install -m 755 ../../.github/quick.sh "+filepath.Join(dir, ".github/quick.sh"))
	const git = "git -c user.name=test -c user.email=test@example.com -c maintenance.auto=false " // which goes on when the test is over
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
