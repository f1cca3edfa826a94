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
)

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

// head has the run's text read by a program that ends after three lines.
func head(t *testing.T, w *world) string {
	cmd := w.bare(t.Context(), "run", w.chainFile("attack-head", 30), "--lab", "--lab-dir", w.dir, "--report", "report-head")
	shell := exec.CommandContext(t.Context(), "bash", append([]string{"-c", `"$0" "$@" | head -3; exit ${PIPESTATUS[0]}`}, cmd.Args...)...)
	shell.Env, shell.Dir = cmd.Env, cmd.Dir
	out, _ := shell.CombinedOutput()
	if code := shell.ProcessState.ExitCode(); code != 130 {
		return fmt.Sprintf("%v, want exit status 130\n%s", shell.ProcessState, out)
	}
	if got := w.resultOf("report-head"); got != "interrupted" {
		return "the evidence says " + got
	}
	if o := w.do(nil, "run", "attack-head.yaml"); o.code != 0 {
		return "the next run: " + o.String()
	}
	return ""
}

// fullReport has no room for a report.
func fullReport(t *testing.T, w *world) string {
	plan := filepath.Join(w.work, w.chainFile("attack-no-room", 1))
	out, code := w.ownFiles(t, "512k", `exec "$@"`, "run", plan, "--lab", "--lab-dir", w.dir, "--report", "report")
	if code != 3 || !strings.Contains(out, "no room for a report") {
		return fmt.Sprintf("exit status %d\n%s", code, out)
	}
	if o := w.do(nil, "run", plan, "--dry-run"); o.code != 2 {
		return "the run wrote: " + o.String()
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
	// With so little memory the Go runtime gives up, and ends with 2.
	script := fmt.Sprintf("#!/bin/sh\nulimit -v 400000\n%q \"$@\"\nstatus=$?\necho \"ztplan ended with $status\"\nexit $status\n", w.ztplan)
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
	if !strings.Contains(string(out), "ztplan ended with 2") {
		return "the program did not crash: " + string(out)
	}
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		return fmt.Sprintf("the action passes with %v\n%s", cmd.ProcessState, out)
	}
	return ""
}
