package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
)

// binary is the ztlab that every test drives: $ZTLAB, or one built from this
// tree. ztplan lies beside it, for its image. Tests meet the lab only as users do,
// through its commands.
var binary = sync.OnceValues(func() (string, error) {
	_ = os.Getenv("ZTLAB_BUILD") // Go keeps results for the environment that a test reads
	if path := os.Getenv("ZTLAB"); path != "" {
		return filepath.Abs(path)
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("ztlab-e2e-%d", os.Getpid()))
	for module, program := range map[string]string{"..": ".", "../../..": "./cmd/ztplan"} {
		out, err := exec.Command("go", "build", "-C", module, "-o", dir+"/", program).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("go build: %w\n%s", err, out)
		}
	}
	return filepath.Join(dir, "ztlab"), nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if sharedDir != "" {
		// A plain test function cannot do this: the lab outlives every test.
		path, err := binary()
		if err == nil {
			err = exec.Command(path, "down", "--purge", "--lab-dir", sharedDir).Run()
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "shared lab: %v\n", err)
			code = 1
		}
		os.RemoveAll(filepath.Dir(sharedDir))
	}
	if path, err := binary(); err == nil && os.Getenv("ZTLAB") == "" {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// ztlab runs one command and returns its output.
func ztlab(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err = cmd.Run(); err != nil {
		err = fmt.Errorf("ztlab %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), err
}

// A lab is one that is up.
type lab struct {
	dir    string
	config *rest.Config
	api    kubernetes.Interface
}

// sharedDir is the directory of the lab that tests share; they run one after
// another.
var sharedDir string

// shared returns a lab for tests that leave it as they found it but for their
// own objects. It is started by the first of them.
func shared(t *testing.T) *lab {
	t.Helper()
	if sharedDir == "" {
		parent, err := os.MkdirTemp("", "ztlab-e2e-shared-")
		if err != nil {
			t.Fatal(err)
		}
		sharedDir = filepath.Join(parent, "lab")
	}
	l := &lab{dir: sharedDir}
	l.start(t, "--audit")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the supervisor's log:\n%s", l.log("supervisor"))
		}
	})
	return l
}

// up starts a lab that is stopped and forgotten when the test ends. The test goes on
// beside others that have a lab of their own.
func up(t *testing.T, args ...string) *lab {
	t.Helper()
	t.Parallel()
	return another(t, args...)
}

// another starts one more lab for a test that has called up.
func another(t *testing.T, args ...string) *lab {
	t.Helper()
	l := &lab{dir: filepath.Join(t.TempDir(), "lab")}
	t.Cleanup(func() { l.down(t) })
	l.start(t, args...)
	return l
}

func (l *lab) start(t *testing.T, args ...string) {
	t.Helper()
	out, err := ztlab(t, append([]string{"up", "--lab-dir", l.dir}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, l.log("supervisor"))
	}
	kubeconfig := strings.TrimSpace(out)
	if want := filepath.Join(l.dir, "kubeconfig"); kubeconfig != want {
		t.Fatalf("ztlab up printed %q, want %q", kubeconfig, want)
	}
	if l.config, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
		t.Fatal(err)
	}
	l.config.QPS, l.config.Burst = -1, -1
	if l.api, err = kubernetes.NewForConfig(l.config); err != nil {
		t.Fatal(err)
	}
}

// down stops the lab and checks that none of its processes is left.
func (l *lab) down(t *testing.T) {
	t.Helper()
	if t.Failed() {
		t.Logf("the supervisor's log:\n%s", l.log("supervisor"))
	}
	if out, err := ztlab(t, "down", "--purge", "--lab-dir", l.dir); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if left := l.processes(t); len(left) > 0 {
		t.Errorf("left after down: %v", left)
	}
}

func (l *lab) log(name string) string {
	data, err := os.ReadFile(filepath.Join(l.dir, "log", name+".log"))
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func (l *lab) status(t *testing.T) labstate.Status {
	t.Helper()
	out, err := ztlab(t, "status", "--output", "json", "--lab-dir", l.dir)
	var s labstate.Status
	if jsonErr := json.Unmarshal([]byte(out), &s); jsonErr != nil {
		t.Fatalf("status: %v\n%s", errors.Join(err, jsonErr), out)
	}
	return s
}

// component returns the named component of the lab's status.
func (l *lab) component(t *testing.T, name string) labstate.Component {
	t.Helper()
	for _, c := range l.status(t).Components {
		if c.Name == name {
			return c
		}
	}
	return labstate.Component{}
}

// processes lists the processes that have the lab's directory in their
// command line or as working directory.
func (l *lab) processes(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Skip("processes are counted through /proc")
	}
	var found []string
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		cwd, _ := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if bytes.Contains(line, []byte(l.dir)) || strings.HasPrefix(cwd, l.dir) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// waitFor polls the outside of a process until ok; there is nothing to watch.
func waitFor(t *testing.T, what string, ok func() bool) {
	defer func(s time.Time) { t.Logf("%6.2fs %s", time.Since(s).Seconds(), what) }(time.Now())
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}
