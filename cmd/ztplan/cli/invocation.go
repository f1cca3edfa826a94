// Package cli has the parts that the commands of ztplan share: their streams and common
// flags, exit codes, rules for arguments, and how they print problems.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/ztplan/ztplan/cmd/ztplan/ui"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// An Invocation is one command: its streams and the flags that every command has.
type Invocation struct {
	Stdin  io.Reader
	Stdout io.Writer // as it is: for renderers that make their text safe
	Text   io.Writer // standard output for plain text
	Stderr io.Writer // for plain text
	Screen io.Writer // standard error as it is

	Version string // of the program

	Kill context.Context // ends with the second interrupt
	Now  func() time.Time

	Kubeconfig string
	Context    string
	Output     string
	NoColor    bool
	Verbose    bool
	Yes        bool // ask nothing

	Contacted string // the systems contacted before problems are printed; empty for none

	Inputs *engine.Inputs // the files that this invocation reads

	voice atomic.Pointer[func(string)]
}

// Open sets the streams and the clock of an invocation.
func (a *Invocation) Open(stdin io.Reader, stdout, stderr io.Writer) {
	a.Stdin, a.Stdout, a.Screen, a.Now = stdin, stdout, stderr, time.Now
	a.Text, a.Stderr = display.Writer{W: stdout}, display.Writer{W: stderr}
	a.Saying(func(line string) { fmt.Fprintln(a.Stderr, line) })
}

// Say shows a line beside the events of a run: on standard error, or above the
// live view while there is one. It may be called from any goroutine.
func (a *Invocation) Say(line string) { (*a.voice.Load())(line) }

// Saying sets how Say shows lines, and returns how it did before.
func (a *Invocation) Saying(how func(string)) (before func(string)) {
	if old := a.voice.Swap(&how); old != nil {
		before = *old
	}
	return before
}

// Live returns the terminal on which a live view is wanted.
func (a *Invocation) Live() (*os.File, bool) {
	f, tty := Terminal(a.Stdout)
	return f, a.Output == "text" && tty && !a.NoColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// Style returns the style of text on w.
func (a *Invocation) Style(w io.Writer) ui.Style {
	_, tty := Terminal(w)
	return ui.NewStyle(tty, a.NoColor)
}

// Terminal returns the file behind w if it is a terminal.
func Terminal(stream any) (*os.File, bool) {
	if o, ok := stream.(*output); ok {
		stream = o.Writer
	}
	f, ok := stream.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// TerminalSize returns a function that measures a terminal in cells.
func TerminalSize(f *os.File) func() (width, height int) {
	return func() (int, int) {
		w, h, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 80, 24
		}
		return w, h
	}
}

// Problems prints the problems of a document: for people on standard error, and in the
// form that the output flag asks for on standard output. As JSON that is one object, like
// that of a valid document with valid false and the problems; more counts those beyond
// [source.MostShown].
func (a *Invocation) Problems(err error) {
	var ps *source.Problems
	list := []*source.Problem{{Summary: err.Error(), Hint: engine.HintOf(err)}}
	if errors.As(err, &ps) {
		list = ps.List()
	}
	n := len(list)
	list = list[:min(n, source.MostShown)]
	if a.Output == "json" {
		invalid := map[string]any{"valid": false, "problems": list}
		if n > len(list) {
			invalid["more"] = n - len(list)
		}
		_ = a.WriteJSON(invalid)
	}
	if ps == nil {
		fmt.Fprintln(a.Stderr, "ztplan: "+err.Error())
		return
	}
	if a.Output == "github" {
		ui.Problems(a.Stdout, githubProblems(list))
	}
	for i, p := range list {
		if i > 0 {
			fmt.Fprintln(a.Stderr)
		}
		_, _ = io.WriteString(a.Stderr, p.Text()+"\n")
	}
	if more := n - len(list); more > 0 {
		fmt.Fprintf(a.Stderr, "\n… and %d more, which are not shown\n", more)
	}
	what := "nothing"
	if a.Contacted != "" {
		what += " but " + a.Contacted
	}
	fmt.Fprintf(a.Stderr, "\n%s; %s was contacted\n", display.Count(n, "problem"), what)
}

func githubProblems(list []*source.Problem) []ui.Problem {
	var out []ui.Problem
	for _, p := range list {
		text := p.Summary
		for _, more := range []string{p.Detail, p.Hint} {
			if more != "" {
				text += "\n" + more
			}
		}
		out = append(out, ui.Problem{Position: p.Position.String(), Text: text})
	}
	return out
}

// WriteJSON writes v as a line of JSON to standard output.
func (a *Invocation) WriteJSON(v any) error {
	return json.NewEncoder(display.JSONWriter{W: a.Stdout}).Encode(v)
}

// GitHubSummary adds text to the page of a job of GitHub Actions; elsewhere it does nothing.
func GitHubSummary(text []byte) error { return appendGitHub("GITHUB_STEP_SUMMARY", text) }

// GitHubResult gives the result to the later steps of a job, with the output form github.
func (a *Invocation) GitHubResult(result string) error {
	if a.Output != "github" {
		return nil
	}
	return appendGitHub("GITHUB_OUTPUT", []byte("result="+result+"\n"))
}

// appendGitHub adds data to the end of the file that a variable of GitHub Actions names.
// Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
func appendGitHub(variable string, data []byte) error {
	name := os.Getenv(variable)
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.Write(data)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", variable, err)
	}
	return nil
}
