package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/redact"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/evidence"
)

// A place that a report cannot be written to is found out before anything is
// contacted: the addresses of this plan's cluster would fail with another code.
func TestReportToAPlaceWithoutRoom(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "evidence.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, place := range map[string]string{"below a file": filepath.Join(file, "report"), "a file": file, "a name is taken": taken, "not for files": "/proc/self"} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := execute([]string{"run", "../../plans/lab.yaml", "--report", place, "--kubeconfig", filepath.Join(dir, "none")}, nil, &stdout, &stderr)
			if code != cli.Invalid || !strings.Contains(stderr.String(), "--report: ") || !strings.Contains(stderr.String(), "nothing was contacted") {
				t.Errorf("exit status %d\n%s", code, stderr.String())
			}
		})
	}
}

func TestRoomLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report")
	r, err := takeRoom(dir)
	if err != nil {
		t.Fatal(err)
	}
	r.release()
	r.release()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// spoilt is the reporting of a run whose directory became unusable while it ran.
func spoilt(t *testing.T, out *bytes.Buffer) *reporting {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "report")
	room, err := takeRoom(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := &reporting{dir: dir, out: out, room: room, kill: t.Context(), env: engine.Env{Session: new(engine.Session)}}
	r.collector = evidence.NewCollector(evidence.Plan{Name: "p", Digest: evidence.Digest(nil)}, evidence.Run{Mode: evidence.ModeApply})
	r.event(engine.Event{Action: engine.ActionPlan, Step: "a", Kind: "applyManifest", Plan: "p"})
	r.event(engine.Event{Action: engine.ActionUnchanged, Step: "a", Kind: "applyManifest", Plan: "p"})
	r.event(engine.Event{Action: engine.ActionEnd, Plan: "p", Summary: &engine.Summary{Result: engine.ResultConverged, Unchanged: 1}})
	return r
}

// Evidence that its directory cannot take is written to another one, which the
// run names, and that is an error.
func TestEvidenceGoesElsewhere(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	err := spoilt(t, &out).write(t.Context(), &run.Result{Redactor: new(redact.Redactor)})
	if err == nil || !strings.HasPrefix(err.Error(), "--report: ") {
		t.Fatalf("error %v", err)
	}
	found, _ := filepath.Glob(filepath.Join(os.TempDir(), "ztplan-report-*", "evidence.json"))
	if len(found) != 1 || !strings.Contains(engine.HintOf(err), filepath.Dir(found[0])) {
		t.Fatalf("hint %q, evidence in %v", engine.HintOf(err), found)
	}
	if data, _ := os.ReadFile(found[0]); !bytes.Contains(data, []byte(`"applyManifest"`)) {
		t.Errorf("the evidence is\n%s", data)
	}
}

func TestEvidenceIsPrintedAtLast(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	var out bytes.Buffer
	err := spoilt(t, &out).write(t.Context(), &run.Result{Redactor: new(redact.Redactor)})
	if err == nil || !strings.Contains(out.String(), `"applyManifest"`) {
		t.Errorf("error %v, printed\n%s", err, out.String())
	}
}
