package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An attack is something that a run must hold against.
type attack struct {
	name  string // what was done
	guard string // the narrower test that fails without the mend
	quick bool   // is a part of make test
	do    func(t *testing.T, w *world) (broke string)
}

func attacks() []attack {
	return []attack{
		{"the reader of standard output goes away (| head)", "TestBrokenPipeStopsTheRun", true, func(t *testing.T, w *world) string { return w.brokenPipe("stdout") }},
		{"the reader of standard error goes away", "TestBrokenPipeStopsTheRun", false, func(t *testing.T, w *world) string { return w.brokenPipe("stderr") }},
		{"standard output on a full disk", "TestOutputOnAFullDisk", true, fullOutput},
		{"--report below a file", "TestReportToAPlaceWithoutRoom", true, func(t *testing.T, w *world) string { return w.reportTo("plan.yaml/report") }},
		{"--report where files cannot be made", "TestReportToAPlaceWithoutRoom", true, func(t *testing.T, w *world) string { return w.reportTo("/proc/self") }},
		{"--report is spoilt while the run writes", "TestEvidenceGoesElsewhere", false, spoiltReport},
		{"SIGQUIT, which Go ends with 2", "TestACrashIsNoExitCodeOfOurs", true, quit},
		{"a crash with exit code 2 in the GitHub Action", "TestScripts/github_action", true, crashedAction},
		{"unsigned evidence", "TestUnsignedIsInTheResult", true, unsigned},
		{"20,000 problems in one plan", "TestProblemsAreCapped", true, manyProblems},
		{"ztlab status and down on a directory that is no lab", "TestDirectoryThatIsNoLab", true, noLab},
		{"actions by tag", "TestAction, TestWorkflows", true, actionsByTag},
	}
}

// TestAttack makes the attacks of the table on the binaries and a lab.
func TestAttack(t *testing.T) {
	w := newWorld(t)
	tb := new(table)
	tb.add("ATTACK", "RESULT", "GUARDED BY", "s")
	held, all := 0, 0
	if full() {
		defer func() {
			tb.print()
			fmt.Printf("%d of %d attacks held\n", held, all)
		}()
	}
	for _, a := range attacks() {
		if !full() && !a.quick {
			continue
		}
		all++
		w.sub(t, strings.ReplaceAll(a.name, "/", "-"), func(t *testing.T) {
			began := time.Now()
			result := "held"
			defer func() { tb.add(a.name, result, a.guard, fmt.Sprintf("%.1f", time.Since(began).Seconds())) }()
			if broke := a.do(t, w); broke != "" {
				result = "BROKE"
				t.Error(broke)
				return
			}
			held++
		})
	}
}

// chainFile writes a plan of n objects, each after the one before, and returns its
// name.
func (w *world) chainFile(name string, n int) string {
	w.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: %s}\nsteps:\n", name)
	for i := range n {
		fmt.Fprintf(&b, "  - id: s%d\n    uses: applyManifest\n", i)
		if i > 0 {
			fmt.Fprintf(&b, "    needs: [s%d]\n", i-1)
		}
		fmt.Fprintf(&b, "    with: {namespace: default, manifests: {apiVersion: v1, kind: ConfigMap, metadata: {name: %s-%d}, data: {of: %q}}}\n", name, i, name)
	}
	file := name + ".yaml"
	if err := os.WriteFile(filepath.Join(w.work, file), []byte(b.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// resultOf returns the result in the evidence of a report, or why there is none.
func (w *world) resultOf(dir string) string {
	cmd := w.bare(context.Background(), "verify", dir, "--output", "json")
	out, err := cmd.Output()
	var v struct{ Result string }
	if jerr := json.Unmarshal(out, &v); err != nil || jerr != nil {
		return fmt.Sprintf("evidence that does not hold: %v %s", err, out)
	}
	return v.Result
}

func (w *world) brokenPipe(stream string) string {
	plan := w.chainFile("attack-"+stream, 30)
	cmd := w.command(context.Background(), "run", plan, "-v", "--report", "report-"+stream)
	r, pw, err := os.Pipe()
	if err != nil {
		return err.Error()
	}
	var other bytes.Buffer
	if cmd.Stdout, cmd.Stderr = pw, &other; stream == "stderr" {
		cmd.Stdout, cmd.Stderr = &other, pw
	}
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	_ = pw.Close()
	for lines := bufio.NewScanner(r); lines.Scan() && !strings.Contains(lines.Text(), "s1"); {
	}
	_ = r.Close()
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		return fmt.Sprintf("%v, want exit status 130\n%s", cmd.ProcessState, other.String())
	}
	if got := w.resultOf("report-" + stream); got != "interrupted" {
		return "the evidence says " + got
	}
	if o := w.do(nil, "run", plan); o.code != 0 {
		return "the next run: " + o.String()
	}
	return ""
}

func fullOutput(t *testing.T, w *world) string {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	cmd := w.command(t.Context(), "run", w.chainFile("attack-full", 1), "--report", "report-full")
	cmd.Stdout = full
	_ = cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		return fmt.Sprintf("%v, want exit status 130", cmd.ProcessState)
	}
	if got := w.resultOf("report-full"); got != "interrupted" {
		return "the evidence says " + got
	}
	return ""
}

func (w *world) reportTo(place string) string {
	plan := w.chainFile("attack-report", 1)
	if err := os.WriteFile(filepath.Join(w.work, "plan.yaml"), nil, 0o600); err != nil {
		return err.Error()
	}
	if o := w.do(nil, "run", plan, "--report", place); o.code != 3 || len(o.events) > 0 {
		return "the run began: " + o.String()
	}
	return ""
}

func spoiltReport(t *testing.T, w *world) string {
	dir := filepath.Join(w.work, "report-spoilt")
	cmd := w.command(t.Context(), "run", w.chainFile("attack-spoilt", 20), "--report", dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err.Error()
	}
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	spoilt := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if !spoilt && strings.Contains(lines.Text(), `"applied"`) {
			spoilt = true
			if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
				return err.Error()
			}
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		return fmt.Sprintf("%v, want exit status 1\n%s", cmd.ProcessState, stderr.String())
	}
	found, _ := filepath.Glob(filepath.Join(w.temp, "ztplan-report-*"))
	if len(found) != 1 || !strings.Contains(stderr.String(), found[0]) {
		return fmt.Sprintf("the evidence is in %v\n%s", found, stderr.String())
	}
	if got := w.resultOf(found[0]); got != "converged" {
		return "the evidence says " + got
	}
	return ""
}

func quit(t *testing.T, w *world) string {
	cmd := w.command(t.Context(), "run", w.chainFile("attack-quit", 20))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err.Error()
	}
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	bufio.NewScanner(out).Scan()
	_ = exec.Command("kill", "-QUIT", fmt.Sprint(cmd.Process.Pid)).Run()
	_ = out.Close()
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return fmt.Sprintf("%v, want an end by a signal", cmd.ProcessState)
	}
	return ""
}

func crashedAction(t *testing.T, w *world) string {
	dir := filepath.Join(w.work, "crashed")
	script := "#!/bin/sh\necho 'fatal error: planted' >&2\nexit 2\n"
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "ztplan"), []byte(script), 0o700)); err != nil {
		return err.Error()
	}
	path, err := filepath.Abs("../../../.github/action/run.sh")
	if err != nil {
		return err.Error()
	}
	cmd := exec.CommandContext(t.Context(), path)
	cmd.Dir = w.work
	cmd.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"), "GITHUB_OUTPUT="+filepath.Join(dir, "output"),
		"ZTPLAN_PLAN=plan.yaml", "ZTPLAN_REPORT=report-action", "ZTPLAN_LAB=false", "ZTPLAN_DRY_RUN=true", "ZTPLAN_ALLOW_DIFFERENCES=true")
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		return fmt.Sprintf("the action passes with %v\n%s", cmd.ProcessState, out)
	}
	return ""
}

func unsigned(_ *testing.T, w *world) string {
	if o := w.do(nil, "run", w.chainFile("attack-unsigned", 1), "--report", "report-unsigned"); o.code != 0 {
		return o.String()
	}
	out, err := w.bare(context.Background(), "verify", "report-unsigned").Output()
	if err != nil || !strings.Contains(string(out), "the evidence holds, UNSIGNED") {
		return fmt.Sprintf("%v\n%s", err, out)
	}
	return ""
}

func manyProblems(_ *testing.T, w *world) string {
	var b strings.Builder
	b.WriteString("apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: p}\nsteps:\n")
	for i := range 20_000 {
		fmt.Fprintf(&b, "  - {id: s%d, uses: nothing, with: {}}\n", i)
	}
	if err := os.WriteFile(filepath.Join(w.work, "problems.yaml"), []byte(b.String()), 0o600); err != nil {
		return err.Error()
	}
	cmd := w.bare(context.Background(), "validate", "problems.yaml")
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 3 || len(out) > 100_000 || !strings.Contains(string(out), "20000 problems") {
		return fmt.Sprintf("%v, %d bytes", cmd.ProcessState, len(out))
	}
	return ""
}

func noLab(t *testing.T, w *world) string {
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "other"), nil, 0o600), os.Chmod(dir, 0o755)); err != nil {
		return err.Error()
	}
	for _, verb := range []string{"status", "down"} {
		_ = exec.Command(w.ztlab, verb, "--lab-dir", dir).Run()
		entries, _ := os.ReadDir(dir)
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 || len(entries) != 1 {
			return fmt.Sprintf("ztlab %s: %v, %v, %v", verb, info.Mode(), entries, err)
		}
	}
	return ""
}

func actionsByTag(t *testing.T, _ *world) string {
	files, err := filepath.Glob("../../../.github/workflows/*.yml")
	if err != nil {
		return err.Error()
	}
	for _, file := range append(files, "../../../action.yml") {
		data, err := os.ReadFile(file)
		if err != nil {
			return err.Error()
		}
		for line := range strings.Lines(string(data)) {
			_, name, uses := strings.Cut(line, "uses: ")
			_, ref, at := strings.Cut(strings.Fields(name + " .")[0], "@")
			if uses && at && len(ref) != 40 {
				return file + ": " + strings.TrimSpace(line)
			}
		}
	}
	return ""
}
