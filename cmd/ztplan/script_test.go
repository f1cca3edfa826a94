package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// roleVariable makes the test binary another program: "ztplan", or one of crashes.
const roleVariable = "ZTPLAN_TEST_ROLE"

// TestMain makes the test binary the ztplan that scripts run, and the process that
// a run starts beside itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == detachedCommand || os.Getenv(roleVariable) == "ztplan" {
		main()
	}
	if crash := crashes[os.Getenv(roleVariable)]; crash != nil {
		leaveNoCore()
		crash()
	}
	testscript.Main(m, map[string]func(){"ztplan": main})
}

// raced is the script whose ztplan is always this test binary, with the race detector
// if that has it. It runs every kind once.
const raced = "examples"

// TestScripts runs testdata/script: the command line as scripts meet it. Those
// with the condition [lab] use the lab that make test starts. Their ztplan is the one
// in ZTPLAN_BIN, which make test builds before: the race detector would triple the CPU
// time of them all. Without the variable it is this test binary.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	scripts := filepath.Join(root, "testdata", "script")
	if _, err := os.Stat(filepath.Join(scripts, raced+".txtar")); err != nil {
		t.Errorf("no script runs with the race detector: %v", err)
	}
	lab := os.Getenv("ZTPLAN_LAB_DIR")
	testscript.Run(t, testscript.Params{
		Dir:                 scripts,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("ZTPLAN_UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("ROOT", root)
			env.Setenv("PLANS", filepath.Join(root, "plans"))
			env.Setenv("STEPS", filepath.Join(root, "steps"))
			env.Setenv("LAB_DIR", lab)
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, ".cache"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("KUBECONFIG", filepath.Join(env.WorkDir, "no-kubeconfig"))
			// After this binary's own folder, so that scripts test this source and
			// not a ztplan that was built before.
			path := env.Getenv("PATH") + string(os.PathListSeparator) + filepath.Join(root, "bin")
			if built := os.Getenv("ZTPLAN_BIN"); built != "" && filepath.Base(env.WorkDir) != "script-"+raced {
				path = built + string(os.PathListSeparator) + path
			}
			env.Setenv("PATH", path)
			// A script that fails does not come to the line that ends its lab.
			env.Defer(func() { endLab(t, root, filepath.Join(env.WorkDir, "lab")) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exec-status": execStatus, "conforms": conforms},
		Condition: func(cond string) (bool, error) {
			if cond == "lab" {
				return lab != "", nil
			}
			return false, nil
		},
	})
}

func endLab(t *testing.T, root, dir string) {
	if _, err := os.Stat(dir); err != nil {
		return
	}
	if out, err := exec.Command(filepath.Join(root, "bin", "ztlab"), "down", "--lab-dir", dir, "--purge").CombinedOutput(); err != nil {
		t.Errorf("ztlab down: %v\n%s", err, out)
	}
}

// execStatus is "exec-status N command…": the command must exit with N.
func execStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exec-status N command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%v: exit status %d, want %d", args[1:], got, want)
	}
}

// conforms is "conforms SCHEMA FILE": every JSON document in the file, of which there is
// one at least, is valid by the schema.
func conforms(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: conforms schema file")
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	ts.Check(c.AddResource("schema.json", doc))
	schema, err := c.Compile("schema.json")
	ts.Check(err)
	documents := json.NewDecoder(strings.NewReader(ts.ReadFile(args[1])))
	for n := 0; ; n++ {
		var raw json.RawMessage
		if err := documents.Decode(&raw); err == io.EOF && n > 0 {
			return
		} else if err != nil {
			ts.Fatalf("%s: document %d: %v", args[1], n, err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		ts.Check(err)
		if err := schema.Validate(value); err != nil {
			ts.Fatalf("%s: document %d: %v\n%s", args[1], n, err, raw)
		}
	}
}
