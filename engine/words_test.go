package engine_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The engine and the packages below it know none of the systems that steps change:
// neither their code nor their comments name one.
func TestEngineIsGeneric(t *testing.T) {
	system := regexp.MustCompile(`(?i)vault|kube|cluster|helm|chart|cert-?manager|apisix|\bpods?\b|\bpki|gateway|nginx|\bacme\b|issuer`)
	// Packages whose subject is a form that one of these systems defined.
	exempt := map[string]string{
		"kubeyaml":                              "reads YAML as Kubernetes does",
		"sensitive":                             "recognises the tokens of many products by their shape",
		filepath.Join("plan", "source", "mask"): "knows keys whose values are no secrets",
		filepath.Join("plan", "source", "othertools.go"): "knows the words of other tools, and what to write here",
	}
	checked := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || exempt[path] != "") {
			return fs.SkipDir
		}
		if exempt[path] != "" || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		checked++
		for i, line := range strings.Split(string(data), "\n") {
			// The use of an exempt package is no knowledge of its subject.
			if word := system.FindString(strings.ReplaceAll(line, "kubeyaml", "")); word != "" {
				t.Errorf("%s:%d names %q: %s", path, i+1, word, strings.TrimSpace(line))
			}
		}
		return nil
	})
	if err != nil || checked < 30 {
		t.Errorf("%d files were checked, %v", checked, err)
	}
}
