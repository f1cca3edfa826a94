package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// An invocation is one with its streams.
type invocation struct {
	cli.Invocation
	stdout, stderr bytes.Buffer
}

func open(stdin string) *invocation {
	a := new(invocation)
	a.Open(strings.NewReader(stdin), &a.stdout, &a.stderr)
	return a
}

func TestConfirm(t *testing.T) {
	for answer, want := range map[string]int{
		"y\n": cli.OK, "yes\n": cli.OK, " YES \n": cli.OK, "y": cli.OK,
		"n\n": cli.Interrupted, "\n": cli.Interrupted, "": cli.Interrupted, "yesterday\n": cli.Interrupted,
	} {
		a := open(answer)
		err := a.Confirm(t.Context(), "This run writes to a cluster.")
		if got := cli.CodeOf(err); got != want {
			t.Errorf("%q: exit code %d, want %d", answer, got, want)
		}
		if want := "This run writes to a cluster.\nGo on? [y/N] "; a.stderr.String() != want {
			t.Errorf("%q: the question is %q", answer, &a.stderr)
		}
	}
}

// An interrupt is an answer: no.
func TestConfirmInterrupted(t *testing.T) {
	a := open("")
	r, w := io.Pipe() // nothing is typed
	defer w.Close()
	a.Stdin = r
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Confirm(ctx, "This run writes."); cli.CodeOf(err) != cli.Interrupted || cli.HintOf(err) == "" {
		t.Errorf("%v, hint %q", err, cli.HintOf(err))
	}
}

// Without a terminal there is nobody to ask.
func TestAsksWithoutATerminal(t *testing.T) {
	if open("yes\n").Asks() {
		t.Error("a pipe is asked")
	}
}

func TestCodesAndHints(t *testing.T) {
	hinted := &cli.Error{Code: cli.Differs, Text: "x", Hint: "do this"}
	for _, c := range []struct {
		err  error
		code int
		hint string
	}{
		{nil, cli.OK, ""},
		{errors.New("x"), cli.Failed, ""},
		{engine.WithHint(errors.New("x"), "do that"), cli.Failed, "do that"},
		{hinted, cli.Differs, "do this"},
		{fmt.Errorf("around: %w", hinted), cli.Differs, "do this"},
		{errors.Join(errors.New("first"), hinted), cli.Differs, "do this"},
	} {
		if code, hint := cli.CodeOf(c.err), cli.HintOf(c.err); code != c.code || hint != c.hint {
			t.Errorf("%v: code %d and hint %q, want %d and %q", c.err, code, hint, c.code, c.hint)
		}
	}
}

func problems(n int) error {
	var list []*source.Problem
	for i := range n {
		list = append(list, &source.Problem{Position: source.Position{File: "plan.yaml", Line: i + 1, Column: 2}, Summary: fmt.Sprintf("problem %d", i+1), Hint: "mend it"})
	}
	return source.NewProblems(list...)
}

func TestProblems(t *testing.T) {
	a := open("")
	a.Problems(problems(2))
	if text := a.stderr.String(); !strings.Contains(text, "plan.yaml:1:2: problem 1\n  mend it\n\nplan.yaml:2:2: problem 2\n") ||
		!strings.HasSuffix(text, "\n2 problems; nothing was contacted\n") || a.stdout.Len() > 0 {
		t.Errorf("as text: %q and %q", text, &a.stdout)
	}

	a = open("")
	a.Contacted = "the hub"
	a.Problems(problems(1))
	if text := a.stderr.String(); !strings.HasSuffix(text, "\n1 problem; nothing but the hub was contacted\n") {
		t.Errorf("after the hub was contacted: %q", text)
	}

	a = open("")
	a.Output = "github"
	a.Problems(problems(1))
	if text := a.stdout.String(); !strings.HasPrefix(text, "::error file=plan.yaml,line=1,col=2,title=invalid plan::problem 1") {
		t.Errorf("for GitHub: %q", text)
	}

	a = open("")
	a.Problems(errors.New("no such file"))
	if text := a.stderr.String(); text != "ztplan: no such file\n" {
		t.Errorf("without a place: %q", text)
	}
}

// As JSON all problems are one object; those beyond the most that are shown are counted.
func TestProblemsAsJSON(t *testing.T) {
	a := open("")
	a.Output = "json"
	a.Problems(problems(source.MostShown + 3))
	var got struct {
		Valid    bool
		Problems []struct{ Summary, Hint string }
		More     int
	}
	if err := json.Unmarshal(a.stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Valid || len(got.Problems) != source.MostShown || got.More != 3 || got.Problems[0].Hint != "mend it" {
		t.Errorf("%+v", got)
	}
	if !strings.Contains(a.stderr.String(), "… and 3 more, which are not shown") {
		t.Errorf("people read %q", &a.stderr)
	}
}

// command is a command with one below it, as ztplan has them.
func command(a *invocation) *cobra.Command {
	root := &cobra.Command{Use: "tool", SilenceErrors: true, SilenceUsage: true}
	root.SetFlagErrorFunc(cli.FlagError)
	root.SetOut(&a.stdout)
	cli.FlagsBefore(root)
	show := &cobra.Command{Use: "show FILE", Args: cli.OneArgument("file", "a.yaml"), RunE: func(*cobra.Command, []string) error { return nil }}
	a.OutputFlag(show, "text", "json")
	var n int
	cli.CountVar(show.Flags(), &n, "parallel", 10, "how many at once")
	plain := &cobra.Command{Use: "plain", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error { return nil }}
	plain.Flags().String("var-file", "", "variables")
	root.AddCommand(show, plain)
	cli.StrictArguments(root)
	return root
}

func TestCommandLines(t *testing.T) {
	for line, want := range map[string]struct {
		code int
		text string
		hint string
	}{
		"":                         {},
		"show a":                   {},
		"show a -o json":           {},
		"-o json show a":           {},
		"show a --parallel 1":      {},
		"show":                     {cli.Invalid, "tool show takes one file, not 0 arguments", "for example: tool show a.yaml"},
		"show a b":                 {cli.Invalid, "tool show takes one file, not 2 arguments", "for example: tool show a.yaml"},
		"shwo":                     {cli.Invalid, `unknown command "shwo"`, `did you mean "tool show"?`},
		"other":                    {cli.Invalid, `unknown command "other"`, "see tool --help"},
		"show a -o yaml":           {cli.Invalid, "--output yaml: there is text and json", "see tool show --help"},
		"show a --parallel 0":      {cli.Invalid, "--parallel 0: want a whole number of at least 1", "see tool show --help"},
		"show a --parallel many":   {cli.Invalid, "--parallel many: want a whole number of at least 1", "see tool show --help"},
		"show a --nothing":         {cli.Invalid, "unknown flag: --nothing", "see tool show --help"},
		"plain --values x":         {cli.Invalid, "unknown flag: --values", "write --var-file instead; see tool plain --help"},
		"show a --values x":        {cli.Invalid, "unknown flag: --values", "see tool show --help"},
		"plain x":                  {cli.Invalid, `tool plain: unknown command "x" for "tool plain"`, "see tool plain --help"},
		"-o json plain":            {cli.Invalid, "unknown shorthand flag: 'o' in -o", "see tool plain --help"},
		"--no-color show a":        {cli.Invalid, "unknown flag: --no-color", "see tool show --help"},
		"plain --output=something": {cli.Invalid, "unknown flag: --output", "see tool plain --help"},
	} {
		a := open("")
		root := command(a)
		root.SetArgs(strings.Fields(line))
		err := root.ExecuteContext(t.Context())
		text := ""
		if err != nil {
			text = err.Error()
		}
		if cli.CodeOf(err) != want.code || text != want.text || cli.HintOf(err) != want.hint {
			t.Errorf("tool %s: code %d, %q, hint %q", line, cli.CodeOf(err), text, cli.HintOf(err))
		}
	}
}

// full takes some bytes and then no more.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errors.New("no space left")
	}
	return len(p), nil
}

// Standard output that takes no more ends the context, with one message, and is as it
// was afterwards.
func TestWatchOutput(t *testing.T) {
	var stderr bytes.Buffer
	var a cli.Invocation
	out := &full{room: 10}
	a.Open(strings.NewReader(""), out, &stderr)
	ctx, stop := a.WatchOutput(t.Context())
	fmt.Fprintln(a.Text, "one")
	if ctx.Err() != nil || stderr.Len() > 0 {
		t.Fatalf("it ends before the output is full: %s", &stderr)
	}
	for range 2 {
		fmt.Fprintln(a.Text, "a line that is too long")
	}
	if ctx.Err() == nil {
		t.Error("the context goes on")
	}
	if want := "ztplan: standard output: no space left: finishing the running edit\n"; stderr.String() != want {
		t.Errorf("it says %q", &stderr)
	}
	stop()
	if a.Stdout != io.Writer(out) {
		t.Error("standard output is not as it was")
	}
}
