package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// An unrecovered panic ends the program in the middle of every edit that is under
// way, so each goroutine of the engine and of the steps runs through engine.Group
// or engine.Try.
func TestGoroutinesRecover(t *testing.T) {
	// These only call functions that cannot panic on data from outside.
	plain := map[string]string{
		"engine/run/run.go":   "a step: stepRun recovers",
		"engine/run/pause.go": "a timer",
		"steps/internal/kubekit/portforward/portforward.go": "closing; what connects recovers",
	}
	var found int
	for _, root := range []string{"../../engine", "../../steps"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (strings.HasSuffix(d.Name(), "test") || d.Name() == "testdata"):
				return fs.SkipDir
			case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "engine/panics.go"):
				return nil
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			name := strings.TrimPrefix(filepath.ToSlash(path), "../../")
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					if found++; !calls(n, "engine", "Try") && plain[name] == "" {
						t.Errorf("%s: a goroutine whose panic ends the program: use engine.Group or engine.Try", set.Position(n.Pos()))
					}
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && x.Name == "sync" && n.Sel.Name == "WaitGroup" {
						t.Errorf("%s: a panic in its functions ends the program: use engine.Group", set.Position(n.Pos()))
					}
				case *ast.CallExpr:
					if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Go" && imports(file, "golang.org/x/sync/errgroup") && !calls(n, "engine", "Try") {
						t.Errorf("%s: a panic in it ends the program: use engine.Try", set.Position(n.Pos()))
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 5 {
		t.Errorf("%d goroutines found: the test does not look where they are", found)
	}
}

func calls(in ast.Node, pkg, name string) (yes bool) {
	ast.Inspect(in, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == pkg && n.Sel.Name == name {
				yes = true
			}
		case *ast.CallExpr: // within the package
			if x, ok := n.Fun.(*ast.Ident); ok && x.Name == name {
				yes = true
			}
		}
		return !yes
	})
	return yes
}

func imports(file *ast.File, path string) bool {
	for _, i := range file.Imports {
		if i.Path.Value == `"`+path+`"` {
			return true
		}
	}
	return false
}
