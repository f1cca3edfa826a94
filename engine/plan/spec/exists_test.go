package spec_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

// TestExists: a file that has to be there is, or the problem says where it was looked for.
func TestExists(t *testing.T) {
	type in struct {
		File  engine.File   `yaml:"file" check:"exists"`
		Files []engine.File `yaml:"files" check:"exists"`
	}
	dir := t.TempDir()
	for _, name := range []string{"ca.pem", "sub/client.pem"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	const near, far = " (paths are relative to the directory of the plan)", " (paths in a fragment are relative to its own directory)"
	for _, tt := range []struct {
		fragment   string // its directory, relative to that of the plan
		text, want string
	}{
		{"", `{file: ca.pem, files: [sub/client.pem]}`, ``},
		{"", `{file: ""}`, ``},
		{"", `{file: sub/../ca.pem}`, ``},
		{"", `{file: x}`, `1:8: file: file "x" does not exist` + near},
		{"", `{files: [ca.pem, x]}`, `1:18: files[1]: file "x" does not exist` + near},
		{"", `{file: ca.pme}`, `1:8: file: file "ca.pme" does not exist (did you mean "ca.pem"?)`},
		{"", `{file: sub/clien.pem}`, `1:8: file: file "sub/clien.pem" does not exist (did you mean "sub/client.pem"?)`},
		{"", `{file: none/x}`, `1:8: file: file "none/x" does not exist` + near},
		{"", `{file: sub}`, `1:8: file: file "sub": is a directory`},
		{"", `{file: ca.pem/x}`, `1:8: file: file "ca.pem/x": not a directory`},
		{"", `{file: /none/ca.pem}`, `1:8: file: file "/none/ca.pem" does not exist`},
		{"", `{file: "${vars.name}"}`, `1:8: file: file "x" does not exist` + near},
		{"", `{file: "${vars.name}.pem"}`, `1:8: file: file "x.pem" does not exist` + near},
		{"", `{files: ["${vars.name}"]}`, `1:10: files[0]: file "x" does not exist` + near},
		{"", `{files: "${vars.names}"}`, `1:9: files[1]: file "x" does not exist` + near},
		{"sub", `{file: client.pem}`, ``},
		{"sub", `{file: "", files: []}`, ``},
		{"sub", `{file: clien.pem}`, `1:8: file: file "sub/clien.pem" does not exist (did you mean "client.pem"?)`},
		{"sub", `{file: x}`, `1:8: file: file "sub/x" does not exist` + far},
		{"sub", `{file: "${vars.name}"}`, `1:8: file: file "sub/x" does not exist` + near},
	} {
		d, n, problems := decoder(t, tt.text, values{"vars.name": variable(t, "x"), "vars.names": variable(t, "[ca.pem, x]")})
		inputs := engine.NewInputs(t.Context())
		d.FileOf = func(name string) engine.File {
			if name != "" && !filepath.IsAbs(name) {
				name = filepath.Join(tt.fragment, name)
			}
			return inputs.File(dir, name)
		}
		d.Decode(n, nil, new(in))
		if got := strings.Join(*problems, "; "); got != tt.want {
			t.Errorf("%s: %s\n got %s\nwant %s", tt.fragment, tt.text, got, tt.want)
		}
	}
}
