package ui_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/ui"
	"github.com/ztplan/ztplan/engine"
)

// hostile is a possible text in a certificate's name, a header, a body or a
// message of the cluster: commands for terminals and for CI systems, on lines of
// their own and behind white space, and lines that look like those of a run.
const hostile = "CN=x\x1b[2J\x1b]0;owned\x07\u009b31m\x9b1m\u202eb\x7f\r::error::one\n::add-mask::two\n \u00a0::set-output name=a::b\n##[error]three ##vso[task.complete]\n✓ root     proved 0.01s\n</details><script>alert(1)</script>\n```\n"

// attacked is a run in which every text from outside is hostile.
func attacked() []engine.Event {
	tree := map[string]any{"metadata/labels/" + hostile: hostile, "text": "a\n" + hostile, "list": []any{hostile}}
	other := map[string]any{"text": "a\n" + hostile + "more\n", "list": []any{}}
	var out []engine.Event
	for _, e := range []engine.Event{
		{Action: engine.ActionPlan, Kind: "helmInstall", Position: "plan.yaml:9:5"},
		{Action: engine.ActionStart},
		{Action: engine.ActionDiffers, Path: "ConfigMap/" + hostile, Have: tree, Want: other, Message: hostile},
		{Action: engine.ActionWarn, Message: hostile},
		{Action: engine.ActionApply, Path: hostile},
		{Action: engine.ActionEvidence, Name: "denial", Data: map[string]any{"what": hostile, "refused": true, "answer": hostile}},
		{Action: engine.ActionApplied, Path: hostile},
		{Action: engine.ActionUnknown, Path: hostile, Error: hostile},
		{Action: engine.ActionStatus, Message: hostile},
		{Action: engine.ActionLog, Message: hostile},
		{Action: engine.ActionWait, Message: hostile},
		{Action: engine.ActionRetry, Path: hostile, Error: hostile, Hint: hostile},
		{Action: engine.ActionAfter, Needs: []string{"other"}, Want: tree},
		{Action: engine.ActionWould, Message: hostile},
		{Action: engine.ActionWould, Path: hostile, Want: tree, Message: hostile},
		{Action: engine.ActionSkip, Message: hostile},
		{Action: engine.ActionFinding, Path: hostile, Have: hostile, Want: tree, Message: hostile},
		{Action: engine.ActionViolated, Path: hostile, Have: tree, Message: hostile},
		{Action: engine.ActionFail, Position: "plan.yaml:9:5", Error: hostile, Hint: hostile},
	} {
		e.Step, e.Kind = "step", "helmInstall"
		out = append(out, e)
	}
	return append(out, engine.Event{Action: engine.ActionWarn, Plan: "lab", Message: hostile},
		engine.Event{Action: engine.ActionEnd, Plan: "lab", Summary: &engine.Summary{Result: engine.ResultFailed, Failed: 1}})
}

// Nothing of a text from outside is a command for a terminal or a CI system, or
// passes for a line of ours, in any form of output.
func TestForeignText(t *testing.T) {
	for name, show := range map[string]func(io.Writer) func(engine.Event){
		"text":        func(w io.Writer) func(engine.Event) { return ui.NewText(w, ui.Style{}, false, false).Event },
		"verbose":     func(w io.Writer) func(engine.Event) { return ui.NewText(w, ui.Style{}, true, false).Event },
		"dry run":     func(w io.Writer) func(engine.Event) { return ui.NewText(w, ui.Style{}, true, true).Event },
		"github":      func(w io.Writer) func(engine.Event) { return ui.NewGitHub(w, true, false).Event },
		"github, dry": func(w io.Writer) func(engine.Event) { return ui.NewGitHub(w, true, true).Event },
		"json":        func(w io.Writer) func(engine.Event) { return ui.NewJSON(w).Event },
		"summary": func(w io.Writer) func(engine.Event) {
			s := ui.NewSummary(func(text string) error { _, err := io.WriteString(w, text); return err })
			return func(e engine.Event) { _ = s.Event(e) }
		},
		"live": func(w io.Writer) func(engine.Event) {
			l := ui.NewLive(w, ui.Style{}, true, true, func() (int, int) { return 80, 24 })
			return func(e engine.Event) {
				l.Event(e)
				if e.Action == engine.ActionEnd {
					l.Say(hostile)
					_ = l.Close()
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			each(attacked(), show(&b))
			got := b.String()
			if strings.Count(got, "owned") < 5 {
				t.Fatalf("the text is not shown:\n%s", got)
			}
			if name == "live" {
				got = render(got) // without its own sequences; any other is still there
			}
			if i := strings.IndexFunc(got, unseen); i >= 0 {
				t.Errorf("%q at %d of\n%q", got[i], i, got)
			}
			if strings.Contains(got, "\x9b1m") {
				t.Error("a byte that is no UTF-8 and C1")
			}
			checkLines(t, name, got)
		})
	}
}

func unseen(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\u202e'
}

func checkLines(t *testing.T, name, log string) {
	stopped := ""
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		own, isOwn := strings.CutPrefix(line, "::")
		command, _, isCommand := strings.Cut(own, "::")
		command, _, _ = strings.Cut(command, " ")
		switch {
		case stopped != "" && line == "::"+stopped+"::":
			stopped = ""
		case isOwn && isCommand && stopped == "" && strings.HasPrefix(name, "github") && (command == "group" || command == "endgroup" || command == "error" || command == "warning"):
			if strings.HasPrefix(line, "::error::one") {
				t.Errorf("executed: %q", line)
			}
		case strings.HasPrefix(line, "::stop-commands::"):
			stopped = strings.TrimPrefix(line, "::stop-commands::")
		case isOwn && isCommand:
			t.Errorf("a command: %q", line)
		}
		if name != "json" && (strings.Contains(line, "##[") || strings.Contains(line, "##vso[")) {
			t.Errorf("a command: %q", line)
		}
	}
	if stopped != "" {
		t.Error("commands stay off")
	}
	if name == "summary" && strings.Count(log, "\n```\n\n</details>") != strings.Count(log, "```diff") {
		t.Error("a text ended the block that it is in")
	}
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "✓ root") && name != "summary" { // there it is inside a block
			t.Errorf("passes for a line of the run: %q", line)
		}
	}
}

// The values of JSON are as they came.
func TestForeignTextInJSON(t *testing.T) {
	var b bytes.Buffer
	e := engine.Event{Action: engine.ActionLog, Message: strings.ToValidUTF8(hostile, "")}
	ui.NewJSON(&b).Event(e)
	var got engine.Event
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || got.Message != e.Message {
		t.Errorf("%v: %q, want %q", err, got.Message, e.Message)
	}
}
