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

// The most lines of a package, without its tests, and of a function. More than that is
// not read as a whole any more: move one subject into a package of its own.
const (
	packageLimit  = 2500
	functionLimit = 80
)

// larger are the packages and functions over the limit, with the lines that they may have;
// none may be added. The lab's node is one program with one state.
var larger = map[string]int{
	"cmd/ztlab/node": 4000,
}

func TestSizes(t *testing.T) {
	root := "../.."
	lines := make(map[string]int)
	found := make(map[string]bool)
	check := func(name string, n, limit int) {
		if n > limit {
			found[name] = true
			if n > larger[name] {
				t.Errorf("%s has %d lines, and at most %d are wanted", name, n, max(limit, larger[name]))
			}
		}
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg = filepath.ToSlash(pkg)
		lines[pkg] += files.File(f.FileStart).LineCount()
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				check(pkg+"."+fn.Name.Name, files.Position(fn.End()).Line-files.Position(fn.Pos()).Line+1, functionLimit)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg, n := range lines {
		check(pkg, n, packageLimit)
	}
	for name := range larger {
		if !found[name] {
			t.Errorf("%s is within the limit: remove it from the list", name)
		}
	}
}
