package plan_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
)

var update = flag.Bool("update", false, "rewrite the expected messages in testdata/plans")

// input reads the flags that a plan of these tests is read with from comments
// on its first lines: "# --var name=value" and "# --var-file name".
func input(file string, data []byte) plan.Input {
	in := plan.Input{File: file, Data: data, Kinds: kinds(), Connections: connections(), Vars: map[string]string{}, Env: func(name string) (string, bool) {
		if name == "ZTPLAN_TEST_TOKEN" {
			return "hvs.from-the-environment", true
		}
		return "", false
	}}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "# --var-file "); ok {
			name := filepath.Join(filepath.Dir(file), rest)
			_ = os.Chmod(name, 0o600) // a checkout does not keep that
			in.VarFiles = append(in.VarFiles, name)
		} else if rest, ok := strings.CutPrefix(line, "# --var "); ok {
			name, value, _ := strings.Cut(rest, "=")
			in.Vars[name] = value
		} else if !strings.HasPrefix(line, "#") {
			break
		}
	}
	return in
}

func TestInvalidPlans(t *testing.T) {
	t.Chdir(plans)
	files, err := filepath.Glob("invalid-*.yaml")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d invalid plans, want at least 25: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := plan.Load(input(file, data))
			var problems *source.Problems
			if !errors.As(err, &problems) || p != nil {
				t.Fatalf("Load = %v, %v; want Problems", p, err)
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v: run with -update", err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("messages differ (-want +got):\n%s", d)
			}
			for _, pr := range problems.List() {
				if pr.File == file && pr.Line == 0 {
					t.Errorf("%v: no line", pr)
				}
			}
		})
	}
}

func TestValidPlans(t *testing.T) {
	t.Chdir(plans)
	files, err := filepath.Glob("valid-*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no valid plans: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := plan.Load(input(file, data)); err != nil {
				t.Fatal(err)
			}
		})
	}
}
