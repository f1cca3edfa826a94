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
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// full reports whether the whole tables are asked for.
func full() bool { return os.Getenv("ZTPLAN_FULL") != "" }

// parallel lets a test that has a lab of its own run beside others. The whole tables
// print times: they run alone.
func parallel(t *testing.T) {
	if !full() {
		t.Parallel()
	}
}

// binary returns the path of a shipped binary.
func binary(t testing.TB, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("drives the binaries on a lab of its own; skipped under -short")
	}
	dir := os.Getenv("ZTPLAN_BIN")
	if dir == "" {
		dir = "../../../bin"
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v: run make build, or set ZTPLAN_BIN to the directory of the binaries", err)
	}
	return path
}

// A world is a lab with a working directory that holds a copy of plans/.
type world struct {
	t             testing.TB
	ztplan, ztlab string
	dir           string // of the lab
	work          string // working directory of ztplan
	home          string // its HOME: journal and cache
	temp          string // its TMPDIR, below home
	limit         time.Duration
	status        labStatus
	clients       clients
	root          string   // a root token that the tests made with the shares
	first         string   // the root token in Vault's answer to init
	args          []string // of every run and status
	signing       *signing // the plan with an external parent, nil before there is one
}

type labStatus struct {
	Mirrors    map[string]string `json:"mirrors"`
	Kubeconfig string            `json:"kubeconfig"`
	Audit      string            `json:"audit"`
	Components []struct {
		Name    string `json:"name"`
		Address string `json:"address"`
		State   string `json:"state"`
	} `json:"components"`
}

// newWorld starts a lab that records API requests; it ends with the test.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, ztplan: binary(t, "ztplan"), ztlab: binary(t, "ztlab"), home: t.TempDir(), work: t.TempDir(), limit: runLimit}
	w.temp = filepath.Join(w.home, "tmp")
	if err := os.Mkdir(w.temp, 0o700); err != nil {
		t.Fatal(err)
	}
	// Not below t.TempDir: the paths of sockets have to be short.
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		t.Fatal(err)
	}
	w.dir = dir
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("ZTPLAN_KEEP") != "" {
			t.Logf("kept: ztplan … --lab --lab-dir %s, in %s", w.dir, w.work)
			return
		}
		w.lab("down", "--purge")
		_ = os.RemoveAll(w.dir)
	})
	w.copyPlans()
	w.up()
	return w
}

func (w *world) copyPlans() {
	w.t.Helper()
	if err := os.CopyFS(filepath.Join(w.work, "plans"), os.DirFS("../../../plans")); err != nil {
		w.t.Fatal(err)
	}
}

// sub runs f as a subtest, which faults of the world fail.
func (w *world) sub(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		before := w.t
		w.t = t
		defer func() { w.t = before }()
		f(t)
	})
}

func (w *world) up(more ...string) {
	w.t.Helper()
	w.lab("up", append([]string{"--audit"}, more...)...)
	w.look()
}

// fresh forgets the lab's world and begins with an empty one.
func (w *world) fresh() {
	w.t.Helper()
	w.lab("down")
	w.root = ""
	if err := os.RemoveAll(filepath.Join(w.dir, "secrets")); err != nil {
		w.t.Fatal(err)
	}
	w.up("--fresh")
}

func (w *world) lab(verb string, more ...string) []byte {
	w.t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(w.ztlab, append([]string{verb, "--lab-dir", w.dir}, more...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("ztlab %s %v: %v\n%s%s", verb, more, err, out, stderr.Bytes())
	}
	return out
}

// look reads the lab's status anew: the address of a part changes when it is
// started again.
func (w *world) look() {
	w.t.Helper()
	cmd := exec.Command(w.ztlab, "status", "--lab-dir", w.dir, "--output", "json")
	out, _ := cmd.Output() // exit status 1 while a part is on its way
	w.status = labStatus{}
	if err := json.Unmarshal(out, &w.status); err != nil {
		w.t.Fatalf("ztlab status: %v\n%s", err, out)
	}
	w.clients = clients{}
}

// until asks again and again until a condition holds that nothing announces.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	for began := time.Now(); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > runLimit {
			w.t.Fatalf("after %v it is not so that %s", runLimit, what)
		}
	}
}

// lookUntil reads the lab's status until a condition holds.
func (w *world) lookUntil(what string, holds func() bool) {
	w.t.Helper()
	w.until(what, func() bool { w.look(); return holds() })
}

// keys is the path of the file with the unseal keys.
func (w *world) keys() string { return filepath.Join(w.dir, "secrets", "vault-cluster-keys.json") }

// An outcome is that of one invocation of ztplan.
type outcome struct {
	code   int
	events []engine.Event
	lines  []string // the same as they were printed
	stdout string
	stderr string
	wall   time.Duration
}

func (o *outcome) summary() engine.Summary {
	for _, e := range o.events {
		if e.Summary != nil {
			return *e.Summary
		}
	}
	return engine.Summary{}
}

// differences returns the differences, warnings and errors of the invocation, one
// line each.
func (o *outcome) differences() []string {
	var out []string
	for _, e := range o.events {
		switch e.Action {
		case engine.ActionDiffers:
			have, _ := json.Marshal(e.Have)
			want, _ := json.Marshal(e.Want)
			out = append(out, fmt.Sprintf("%s %s %s have %s want %s", e.Step, e.Path, e.Message, have, want))
		case engine.ActionWarn:
			out = append(out, fmt.Sprintf("%s warns: %s", e.Step, e.Message))
		case engine.ActionFail:
			out = append(out, fmt.Sprintf("%s %s fails: %s (%s)", e.Step, e.Path, e.Error, e.Hint))
		}
	}
	if o.code == 1 && len(out) == 0 {
		out = append(out, strings.TrimSpace(o.stderr))
	}
	return out
}

// state returns the last action of a step, with the needs that it is behind.
func (o *outcome) state(id string) string {
	said := ""
	for _, e := range o.events {
		if e.Step == id {
			if said = string(e.Action); len(e.Needs) > 0 {
				said += " behind " + strings.Join(e.Needs, " ")
			}
		}
	}
	return said
}

// String is the invocation's text for people.
func (o *outcome) String() string { return fmt.Sprintf("exit status %d\n%s", o.code, o.stderr) }

func (w *world) command(ctx context.Context, args ...string) *exec.Cmd {
	args = append(args, "--output", "json")
	if !strings.Contains(strings.Join(args, " "), "--kubeconfig") {
		args = append(args, "--lab", "--lab-dir", w.dir)
	}
	return w.bare(ctx, args...)
}

// bare is ztplan with these arguments alone.
func (w *world) bare(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, w.ztplan, args...)
	cmd.Dir = w.work
	cmd.Env = append(os.Environ(), "HOME="+w.home, "XDG_CACHE_HOME="+filepath.Join(w.home, "cache"),
		"XDG_STATE_HOME="+filepath.Join(w.home, "state"), "KUBECONFIG="+filepath.Join(w.home, "no-kubeconfig"),
		"TMPDIR="+w.temp)
	return cmd
}

// do runs ztplan to its end. each is called with every event as soon as it is
// read and may kill the process.
func (w *world) do(each func(engine.Event, *os.Process), args ...string) *outcome {
	w.t.Helper()
	return w.doStarted(nil, each, args...)
}

// doStarted is do, and calls started with the process before anything is read.
func (w *world) doStarted(started func(*os.Process), each func(engine.Event, *os.Process), args ...string) *outcome {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), w.limit)
	defer cancel()
	cmd := w.command(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	if started != nil {
		started(cmd.Process)
	}
	o := new(outcome)
	in := bufio.NewScanner(stdout)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var e engine.Event
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			continue // the last line of a killed process
		}
		o.events, o.lines = append(o.events, e), append(o.lines, in.Text())
		if each != nil {
			each(e, cmd.Process)
		}
	}
	err = cmd.Wait()
	o.wall, o.stderr, o.stdout = time.Since(began), stderr.String(), strings.Join(o.lines, "\n")
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("ztplan %v: %v", args, err)
	}
	o.code = cmd.ProcessState.ExitCode() // -1 when killed
	if ctx.Err() != nil {
		w.t.Fatalf("ztplan %v: not done after %v\n%s", args, w.limit, o.stderr)
	}
	return o
}

// runLimit is far more than one invocation takes, or anything that is waited for.
const runLimit = 3 * time.Minute

const planFile = "plans/lab.yaml"

// run, dryRun and check leave out the assertions that write: one triggers a
// renewal, one logs in and has certificates signed.
func (w *world) run(more ...string) *outcome {
	return w.do(nil, slices.Concat([]string{"run", planFile, "--skip", "rotation,site-after,denials"}, w.args, more)...)
}

func (w *world) dryRun() *outcome { return w.do(nil, "run", planFile, "--dry-run") }

func (w *world) check(more ...string) *outcome {
	return w.do(nil, slices.Concat([]string{"status", planFile, "--skip", "rotation,site-after,denials"}, w.args, more)...)
}

// must fails the test unless the invocation ended with code.
func must(t testing.TB, what string, o *outcome, code int) {
	t.Helper()
	if o.code != code {
		t.Fatalf("%s: want exit status %d, got %v\n%s", what, code, o, strings.Join(o.differences(), "\n"))
	}
}
