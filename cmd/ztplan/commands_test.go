package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/journal"
)

// everyCommand calls f for each command, with the words that call it.
func everyCommand(t *testing.T, f func(t *testing.T, cmd *cobra.Command, words []string)) {
	t.Helper()
	a := new(app)
	a.Open(strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer))
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		t.Run(cmd.CommandPath(), func(t *testing.T) { f(t, cmd, strings.Fields(cmd.CommandPath())[1:]) })
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(a.rootCommand())
}

// refused runs a command line that is wrong.
func refused(t *testing.T, args ...string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := execute(args, strings.NewReader(""), &stdout, &stderr)
	if code != cli.Invalid || stdout.Len() > 0 || !strings.Contains(stderr.String(), "hint: ") {
		t.Errorf("ztplan %s: exit status %d, want %d\nstandard output: %s\nstandard error: %s", strings.Join(args, " "), code, cli.Invalid, &stdout, &stderr)
	}
}

// Every command refuses a flag that it does not have, with the exit status of a wrong
// command line and the next thing to do.
func TestUnknownFlags(t *testing.T) {
	everyCommand(t, func(t *testing.T, _ *cobra.Command, words []string) { refused(t, append(words, "--no-such-flag")...) })
}

// anyArguments are the commands that take any number of arguments.
var anyArguments = []string{"ztplan fleet verify"}

func TestSuperfluousArguments(t *testing.T) {
	everyCommand(t, func(t *testing.T, cmd *cobra.Command, words []string) {
		if !slices.Contains(anyArguments, cmd.CommandPath()) {
			refused(t, append(words, "a", "b", "c", "d")...)
		}
	})
}

// A name that there is not is a wrong argument too.
func TestUnknownNames(t *testing.T) {
	for _, words := range [][]string{{"explain", "nothing"}, {"explain", "pkiRoot.nothing"}, {"schema", "nothing"}, {"lint", "--explain", "nothing"}, {"lab", "nothing"}} {
		refused(t, words...)
	}
}

// Every flag has a help text, and one that takes one of a few words completes to them.
func TestFlags(t *testing.T) {
	everyCommand(t, func(t *testing.T, cmd *cobra.Command, words []string) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("--%s has no help text", f.Name)
			}
			choice, ok := f.Value.(*cli.Choice)
			if !ok {
				return
			}
			choices := strings.Split(choice.Type(), "|")
			if got := completions(t, append(slices.Clone(words), "--"+f.Name, "")...); !slices.Equal(got, choices) {
				t.Errorf("--%s completes to %q, want %q", f.Name, got, choices)
			}
			refused(t, append(words, "--"+f.Name, "no-such-word")...)
		})
	})
}

// Every command has a short text and completes its arguments without an error.
func TestCommandsComplete(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	everyCommand(t, func(t *testing.T, cmd *cobra.Command, words []string) {
		if cmd.Short == "" {
			t.Error("it has no short text")
		}
		if cmd.DisableFlagParsing || cmd.Hidden {
			return
		}
		completions(t, append(slices.Clone(words), "")...)
	})
}

// completions returns the words that a shell offers after a command line.
func completions(t *testing.T, args ...string) (words []string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := execute(append([]string{cobra.ShellCompNoDescRequestCmd}, args...), strings.NewReader(""), &stdout, &stderr); code != cli.OK {
		t.Fatalf("ztplan %q: exit status %d\n%s", args, code, &stderr)
	}
	for line := range strings.Lines(stdout.String()) {
		if !strings.HasPrefix(line, ":") {
			words = append(words, strings.TrimSuffix(line, "\n"))
		}
	}
	return words
}

func TestCompletions(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string // among the words, "" for no word at all
	}{
		{[]string{"run", "../../plans/lab.yaml", "--only", ""}, "unseal"},
		{[]string{"run", "../../plans/lab.yaml", "--only", "root,"}, "root,unseal"},
		{[]string{"status", "../../plans/lab.yaml", "--skip", ""}, "rotation"},
		{[]string{"run", "../../plans/lab.yaml", "--var", ""}, "domain="},
		{[]string{"run", "--var", ""}, ""},
		{[]string{"run", "no-plan.yaml", "--only", ""}, ""},
		{[]string{"run", "x.yaml", "--kubeconfig", "testdata/kubeconfig.yaml", "--context", ""}, "two"},
		{[]string{"run", "x.yaml", "--kubeconfig", "testdata/none.yaml", "--context", ""}, ""},
		{[]string{"lab", ""}, "restart"},
		{[]string{"lab", "up", ""}, ""},
		{[]string{"help", "fleet", ""}, "resume"},
		{[]string{"explain", ""}, "pkiRoot"},
		{[]string{"run", ""}, "yaml"},
		{[]string{"run", "x.yaml", ""}, ""},
		{[]string{"output", "root.certificate", ""}, "yaml"},
		{[]string{"output", "root.certificate", "x.yaml", ""}, ""},
	} {
		got := completions(t, c.args...)
		if c.want == "" && len(got) > 0 || c.want != "" && !slices.Contains(got, c.want) {
			t.Errorf("ztplan %q completes to %q, want %q", c.args, got, c.want)
		}
	}
}

// shows are command lines that print something in the form that -o asks for. The errors of
// a plan or a fleet that is not valid are enough.
var shows = map[string][]string{
	"ztplan init":           {"--list"},
	"ztplan run":            {"invalid.yaml"},
	"ztplan status":         {"invalid.yaml"},
	"ztplan verify":         {"passed.json"},
	"ztplan validate":       {"invalid.yaml"},
	"ztplan lint":           {"invalid.yaml"},
	"ztplan graph":          {"invalid.yaml"},
	"ztplan runs":           nil,
	"ztplan runs show":      {"20260118T170000"},
	"ztplan output":         {"root.certificate", "invalid.yaml"},
	"ztplan diff":           {"passed.json", "passed.json"},
	"ztplan doctor":         {"invalid.yaml"},
	"ztplan rbac":           {"invalid.yaml"},
	"ztplan explain":        nil,
	"ztplan version":        nil,
	"ztplan fleet validate": {"invalid.yaml"},
	"ztplan fleet run":      {"invalid.yaml"},
	"ztplan fleet resume":   {"invalid.yaml"},
	"ztplan fleet status":   {"invalid.yaml"},
	"ztplan fleet verify":   {"fleet"},
}

// Each form of the output is another one than text, in each command that has the flag.
func TestOutputHasAnEffect(t *testing.T) {
	passed := read(t, "../../steps/evidence/testdata/passed.json")
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	t.Chdir(dir)
	put(t, "passed.json", passed)
	put(t, "invalid.yaml", []byte("kind: Other\n"))
	counts := ledger.Count(nil)
	head := &ledger.Head{Schema: ledger.Schema, Fleet: "prod", Run: "r1", Rounds: 1, Mode: "run", Counts: counts, Result: ledger.Result(counts, "")}
	if err := ledger.Write(t.Context(), "fleet", head, nil, nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(journal.Plan{Base: filepath.Join(dir, "ztplan", "runs"), Name: "p", File: "p.yaml"}, func() time.Time {
		return time.Date(2026, 1, 18, 17, 0, 0, 0, time.UTC)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(engine.Summary{}); err != nil {
		t.Fatal(err)
	}
	everyCommand(t, func(t *testing.T, cmd *cobra.Command, words []string) {
		flag := cmd.Flags().Lookup("output")
		args, known := shows[cmd.CommandPath()]
		if flag == nil || flag.Hidden || cmd.CommandPath() == "ztplan report" { // that one names a folder
			if known {
				t.Error("it has no flag --output")
			}
			return
		}
		if !known {
			t.Fatal("the list of command lines has none for it")
		}
		shown := func(form string) string {
			var stdout, stderr bytes.Buffer
			execute(slices.Concat(words, args, []string{"-o", form}), strings.NewReader(""), &stdout, &stderr)
			return stdout.String()
		}
		seen := make(map[string]string)
		for _, form := range strings.Split(flag.Value.Type(), "|") {
			text := shown(form)
			if same, ok := seen[text]; ok {
				t.Errorf("-o %s prints the same as -o %s: %q", form, same, text)
			}
			if form == "json" && json.NewDecoder(strings.NewReader(text)).Decode(new(any)) != nil {
				t.Errorf("-o json prints no JSON: %q", text)
			}
			seen[text] = form
		}
	})
}

// Colour and details are for the commands that show a run.
func TestFlagsOfRuns(t *testing.T) {
	want := map[string][]string{
		"no-color": {"ztplan fleet resume", "ztplan fleet run", "ztplan fleet status", "ztplan run", "ztplan status"},
		"verbose":  {"ztplan fleet resume", "ztplan fleet run", "ztplan run", "ztplan status"},
	}
	got := make(map[string][]string)
	everyCommand(t, func(_ *testing.T, cmd *cobra.Command, _ []string) {
		for name := range want {
			if f := cmd.Flags().Lookup(name); f != nil && !f.Hidden {
				got[name] = append(got[name], cmd.CommandPath())
			}
		}
	})
	for name := range want {
		slices.Sort(got[name])
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("--%s: %q, want %q", name, got[name], want[name])
		}
	}
}
