package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/audit"
	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/verdict"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

const hostile = "CN=owned\x1b[2J\x1b]0;t\x07\u009b31m\u202eb\x7f\r::error::one\n::add-mask::two\n##[error]three\n✓ signature     by key 00\n"

// executes fails if a terminal or a CI system would execute something in
// printed text, or if the text is not in it.
func executes(t *testing.T, printed string) {
	t.Helper()
	if !strings.Contains(printed, "owned") {
		t.Errorf("it is not shown:\n%s", printed)
	}
	if i := strings.IndexFunc(printed, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0x202e
	}); i >= 0 {
		t.Errorf("a control character at %d of %q", i, printed)
	}
	for line := range strings.Lines(printed) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "::error::one") || strings.HasPrefix(line, "::add-mask::") || strings.Contains(line, "##[") {
			t.Errorf("a command: %q", line)
		}
	}
}

func TestForeignTextInVerify(t *testing.T) {
	v := verdict.Verdict{Document: new(evidence.Document), Signature: verdict.Unsigned, Checks: []verify.Check{
		{Name: "certificates", Did: hostile}, {Name: "chains", Problems: []string{hostile}},
	}}
	v.Document.Run.Remark = hostile
	for _, output := range []string{"text", "json"} {
		t.Run(output, func(t *testing.T) {
			var b bytes.Buffer
			a := new(cli.Invocation)
			a.Open(nil, &b, io.Discard)
			a.Output = output
			if err := audit.Show(a, v); err == nil {
				t.Error("a check that does not hold is no error")
			}
			if output == "json" {
				if err := json.Unmarshal(b.Bytes(), new(struct{ Holds bool })); err != nil {
					t.Error(err)
				}
				b = *bytes.NewBufferString(strings.ReplaceAll(b.String(), "##[", "")) // inside a value, in one line
			}
			executes(t, b.String())
			if strings.Contains(b.String(), "\n✓ signature") {
				t.Errorf("a text passes for a check:\n%s", b.String())
			}
		})
	}
}

// A plan, and the name of its file, are text from outside in every command that
// shows parts of them.
func TestForeignTextInCommands(t *testing.T) {
	dir := t.TempDir()
	plan := filepath.Join(dir, "owned\x1b[2J\u009b1m.yaml")
	quoted, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	quoted = display.JSON(quoted) // YAML takes no control characters as they are
	text := "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: " + string(quoted) + "}\nvars: {" + string(quoted) + ": 1}\nsteps:\n" +
		"  - id: " + string(quoted) + "\n    uses: " + string(quoted) + "\n    needs: [" + string(quoted) + "]\n  # owned \u202e\n  - {id: a, uses: curlTLS, with: {url: \u202eowned}}\n"
	if err := os.WriteFile(plan, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"validate", plan}, {"validate", plan, "-o", "github"}, {"lint", plan}, {"graph", plan}, {"run", plan, "--dry-run"},
		{"run", filepath.Join(dir, hostile)}, {"verify", filepath.Join(dir, hostile)}, {"report", filepath.Join(dir, hostile), "-o", dir},
		{"explain", hostile}, {hostile}, {"run", "--owned" + hostile}, {"run", plan, "--var-file", filepath.Join(dir, hostile)},
	} {
		var stdout, stderr bytes.Buffer
		if code := execute(args, strings.NewReader(""), &stdout, &stderr); code == cli.OK {
			t.Errorf("%q succeeds", args)
		}
		t.Run(args[0], func(t *testing.T) { executes(t, stdout.String()+stderr.String()) })
	}
}
