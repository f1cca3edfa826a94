//go:build unix

package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/steps/applymanifest"
	"github.com/ztplan/ztplan/steps/evidence"
)

const inputsPlan = `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: inputs}
vars: {token: {secret: true, default: none-given}}
steps:
  - id: objects
    uses: applyManifest
    with: {files: [m.yaml]}
`

const inputsManifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: default}\ndata: {k: reviewed}\n"

func inputsFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "plan.yaml"), []byte(inputsPlan))
	put(t, filepath.Join(dir, "m.yaml"), []byte(inputsManifest))
	return dir
}

// A plan and a manifest that are replaced while a run is under way: the checked
// content is applied and recorded.
func TestInputsAreReadOnce(t *testing.T) {
	dir := inputsFolder(t)
	a := new(app)
	a.Output = "text"
	file := filepath.Join(dir, "plan.yaml")
	p, _, err := a.Load(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	put(t, file, []byte("another plan"))
	put(t, filepath.Join(dir, "m.yaml"), []byte(strings.ReplaceAll(inputsManifest, "reviewed", "replaced")))
	about, err := planEvidence(p)
	if err != nil {
		t.Fatal(err)
	}
	if about.Digest != evidence.Digest([]byte(inputsPlan)) {
		t.Error("the evidence has the digest of a plan that was not run")
	}
	if len(about.Files) != 1 || about.Files[0].Digest != evidence.Digest([]byte(inputsManifest)) {
		t.Errorf("the evidence has other files: %+v", about.Files)
	}
	spec, err := p.Steps[0].Spec(func(string) (any, bool) { return nil, false })
	if err != nil {
		t.Fatal(err)
	}
	if text, err := spec.(*applymanifest.Spec).Files[0].Read(); err != nil || string(text) != inputsManifest {
		t.Errorf("the step reads %q: %v", text, err)
	}
}

func TestPlanThroughAPipe(t *testing.T) {
	dir := inputsFolder(t)
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(pipe, []byte(inputsPlan), 0) }()
	a := new(app)
	a.Output = "text"
	p, _, err := a.Load(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	about, err := planEvidence(p)
	if err != nil || about.Digest != evidence.Digest([]byte(inputsPlan)) {
		t.Errorf("the evidence has another plan: %v", err)
	}
}

func TestWrongInputs(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T, dir string)
		args    []string
		want    string
	}{
		"a manifest that is a pipe": {func(t *testing.T, dir string) {
			replace(t, filepath.Join(dir, "m.yaml"), func(path string) error { return syscall.Mkfifo(path, 0o600) })
		}, []string{"validate", "plan.yaml"}, `file "m.yaml": is a pipe`},
		"a manifest that is a device": {func(t *testing.T, dir string) {
			replace(t, filepath.Join(dir, "m.yaml"), func(path string) error { return os.Symlink("/dev/zero", path) })
		}, []string{"validate", "plan.yaml"}, `file "m.yaml": is a device`},
		"a manifest of 1 GiB": {func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, "m.yaml"), 1<<30); err != nil {
				t.Fatal(err)
			}
		}, []string{"validate", "plan.yaml"}, `file "m.yaml": has 1073741824 bytes, and at most 16777216 (16 MiB) are read`},
		"a plan that is a device": {nil, []string{"validate", "/dev/zero"}, "/dev/zero: is a device"},
		"variables of a device":   {nil, []string{"validate", "plan.yaml", "--var-file", "/dev/zero"}, "--var-file /dev/zero: is a device"},
		"variables with a secret that others can change": {func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "vars.yaml"), []byte("token: canary-secret\n"))
			if err := os.Chmod(filepath.Join(dir, "vars.yaml"), 0o666); err != nil {
				t.Fatal(err)
			}
		}, []string{"validate", "plan.yaml", "--var-file", "vars.yaml"}, `variable "token" is a secret, and vars.yaml is open to others (mode 0666)`},
		"a signing key that others can read": {func(t *testing.T, dir string) {
			_, private, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			der, err := x509.MarshalPKCS8PrivateKey(private)
			if err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
			if err := os.Chmod(filepath.Join(dir, "key.pem"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, []string{"run", "plan.yaml", "--report", "report", "--sign-key", "key.pem"}, "--sign-key: key.pem is open to others (mode 0644)"},
		"a review that is a device": {nil, []string{"run", "plan.yaml", "--expect", "/dev/zero"}, "--expect /dev/zero: read /dev/zero: is a device"},
		"evidence that is a device": {nil, []string{"verify", "/dev/zero"}, "/dev/zero: is a device"},
		"a report made of a device": {nil, []string{"report", "/dev/zero", "-o", "out"}, "/dev/zero: is a device"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := inputsFolder(t)
			if c.prepare != nil {
				c.prepare(t, dir)
			}
			t.Chdir(dir)
			code, out := ztplan(c.args...)
			if code == cli.OK || !strings.Contains(out, c.want) {
				t.Errorf("exit %d, want %q in\n%s", code, c.want, out)
			}
			if strings.Contains(out, "canary") {
				t.Errorf("the secret is shown:\n%s", out)
			}
		})
	}
}

func replace(t *testing.T, path string, with func(string) error) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := with(path); err != nil {
		t.Fatal(err)
	}
}

// ownReaders are the files that may read files by themselves, with the reason:
// their files are no inputs of a user, or goes through [engine.Inputs] further
// down.
var ownReaders = map[string]string{
	"engine/inputs.go":                        "reads inputs",
	"engine/journal/":                         "its own journals",
	"steps/evidence/evidencetest/":            "for tests",
	"schemas/gen/":                            "generates from the source",
	"steps/internal/vaultkit/vaulttest/":      "for tests",
	"steps/internal/helmkit/chart/cache.go":   "its own cache",
	"steps/internal/helmkit/release/owner.go": "its own claims",
	"engine/durable/":                         "its own files and locks",
	"steps/internal/vaultkit/custody/":        "keys that it wrote",
	"cmd/ztplan/ztlab/":                       "the lab's own state",
	"cmd/ztplan/report/digest.go":             "the digest of its own program",
	"cmd/ztplan/audit/report.go":              "what it wrote before",
	"cmd/ztplan/templates/":                   "makes files that are not there",
	"cmd/ztplan/cli/invocation.go":            "appends to the files of a job",
}

func TestInputsAreReadInOnePlace(t *testing.T) {
	used := make(map[string]bool)
	reading := map[string]bool{"ReadFile": true, "Open": true, "OpenFile": true, "DirFS": true}
	root := "../.."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		name = filepath.ToSlash(name)
		if err != nil {
			return err
		}
		if name == "cmd/ztlab" || d.IsDir() && strings.HasPrefix(d.Name(), ".") && name != "." {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || !reading[sel.Sel.Name] {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); !ok || pkg.Name != "os" {
				return true
			}
			for prefix := range ownReaders {
				if strings.HasPrefix(name, prefix) {
					used[prefix] = true
					return true
				}
			}
			t.Errorf("%s reads a file with os.%s: an input is read through engine.File, engine.Inputs or engine.ReadFile", name, sel.Sel.Name)
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for prefix := range ownReaders {
		if !used[prefix] {
			t.Errorf("%s reads no file: remove it from the list", prefix)
		}
	}
}
