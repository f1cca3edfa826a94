package helminstall_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
	"github.com/ztplan/ztplan/steps/session"
)

// crashVariable holds the task of the process that is going to be killed.
const crashVariable = "ZTPLAN_HELMINSTALL_CRASH"

type crashOrder struct {
	Kubeconfig, CacheDir, Repo, Namespace string
}

// crash installs the chart slow, which never ends, until it is killed.
func crash() {
	var o crashOrder
	if err := json.Unmarshal([]byte(os.Getenv(crashVariable)), &o); err != nil {
		fmt.Println(err)
		return
	}
	quiet := func(string, ...any) {}
	env := &engine.Env{
		Plan: "test", Step: "crash", CacheDir: o.CacheDir,
		Settings: session.Settings{Cluster: session.Cluster{Kubeconfig: o.Kubeconfig}},
		Session:  &engine.Session{}, Now: time.Now, Logf: quiet, Statusf: quiet, Warnf: quiet,
		Conceal: func(...engine.Secret) {},
	}
	s := helminstall.Kind.New().(*helminstall.Spec)
	s.Repo, s.Chart, s.Version, s.Namespace = o.Repo, "slow", "1.0.0", o.Namespace
	ctx, cancel := context.WithTimeout(engine.AllowWrites(context.Background()), 2*time.Minute)
	defer cancel()
	_, edits, err := s.Inspect(ctx, env)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("applying")
	fmt.Println(edits[0].Apply(ctx))
}

// A killed run is continued by the next one, at once, and nothing is lost.
func TestKilledInstall(t *testing.T) {
	w := newFixture(t)
	repo := charttest.Serve(t, slow())
	order, err := json.Marshal(crashOrder{session.Of(w.env).Cluster.Kubeconfig, w.env.CacheDir, repo.URL, w.namespace})
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashVariable+"="+string(order))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill(); _ = child.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); strings.TrimSpace(line) != "applying" {
		t.Fatalf("the process to be killed says %q: %v", line, err)
	}
	w.awaitStatus("sh.helm.release.v1.slow.v1", "pending-install")
	w.awaitJob("slow-wait")

	s := w.spec(repo, "slow", "1.0.0")
	if e := only(t, w.edits(s)); e.Apply != nil {
		t.Fatalf("while the other process lives: %+v", e)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()

	s.Values = map[string]any{"job": false}
	before := w.configMap("slow").UID
	e := only(t, w.edits(s))
	if e.Apply == nil || !strings.Contains(e.Note, "cut off") || !strings.Contains(e.Note, "nothing is deleted") {
		t.Fatalf("after it was killed: %+v", e)
	}
	got, _ := w.converge(s)
	if got.Revision != 2 || w.configMap("slow").UID != before {
		t.Errorf("revision %d, want 2; the ConfigMap is the same one: %v", got.Revision, w.configMap("slow").UID == before)
	}
}
