package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/action"

	"github.com/ztplan/ztplan/engine"
)

// An interruption is a part of the world that goes away in the middle of a run.
type interruption struct {
	step   string
	action engine.Action // the first of the step
	do     []string      // the command of ztlab
	// may matches the failure of a run that does not get over it.
	may *regexp.Regexp
	// quick interruptions are in make test, on a finished world in which step root has
	// something to mend.
	quick bool
}

var (
	// sealed matches the error for a Vault that was restarted.
	sealed = regexp.MustCompile(`[Vv]ault is sealed`)
	// cutOff matches the errors of a hook or a proof while the API server is away, and of a
	// login whose token Vault could not have reviewed there.
	cutOff = regexp.MustCompile(`connection refused|could not review the token: the API server did not answer|` + broken)
)

func interruptions() []interruption {
	restartVault, killVault := []string{"restart", "vault"}, []string{"kill", "vault"}
	killAPI, restartAPI := []string{"kill", "apiserver", "--for", "4s"}, []string{"restart", "apiserver"}
	return []interruption{
		{step: "unseal", action: engine.ActionApplied, do: restartVault, may: sealed},
		{step: "root", action: engine.ActionApply, do: restartVault, may: sealed, quick: true},
		{step: "root", action: engine.ActionApply, do: killVault, may: sealed},
		{step: "intermediate", action: engine.ActionApply, do: killVault, may: sealed},
		{step: "auth", action: engine.ActionApply, do: restartVault, may: sealed},
		{step: "issuer", action: engine.ActionStart, do: killVault, may: sealed},
		{step: "vault", action: engine.ActionApply, do: killAPI, may: cutOff},
		{step: "init", action: engine.ActionStart, do: killAPI, may: cutOff},
		{step: "cert-manager", action: engine.ActionApply, do: killAPI, may: cutOff},
		{step: "auth", action: engine.ActionApply, do: killAPI, may: cutOff},
		{step: "certificate", action: engine.ActionApply, do: restartAPI, may: cutOff},
		{step: "app", action: engine.ActionWait, do: killAPI, may: cutOff},
		{step: "rotation", action: engine.ActionStart, do: killAPI, may: cutOff, quick: true},
	}
}

// TestInterruptions restarts Vault and cuts off the API server in the middle of a
// run: the run goes on when they are back, or it fails with the reason and advice;
// the next run converges, and nothing is lost or made twice.
func TestInterruptions(t *testing.T) {
	if !full() {
		t.Skip("the quick interruptions are in TestRotations; all of them in make faults")
	}
	newWorld(t).interruptions(t)
}

// interruptions makes those of the table. Quick: Vault and the API server once each.
func (w *world) interruptions(t *testing.T) {
	// An API server that was killed while it established CRDs takes five minutes to
	// go on with that.
	w.limit = 8 * time.Minute
	defer func() { w.limit = runLimit }()
	w.writeHasty()
	tb := new(table)
	tb.add("DURING", "ZTLAB", "WHAT HAPPENED", "s")
	if full() {
		defer tb.print()
	}
	used := false
	for _, in := range interruptions() {
		if !full() && !in.quick {
			continue
		}
		at := strings.Join(in.do, " ")
		w.sub(t, in.step+"-"+string(in.action)+"/"+strings.ReplaceAll(at, " ", "-"), func(t *testing.T) {
			switch {
			case !full():
				w.write("pki/config/urls", fields{"issuing_certificates": "", "crl_distribution_points": ""})
			case used:
				w.fresh()
			}
			used = true
			said, took := w.interrupt(t, in)
			t.Log(said)
			tb.add(in.step+" "+string(in.action), at, said, fmt.Sprintf("%.1f", took.Seconds()))
		})
	}
}

// await returns when all parts of the lab are back.
func (w *world) await(t *testing.T) {
	t.Helper()
	w.until("the lab is back", func() bool { return exec.Command(w.ztlab, "status", "--lab-dir", w.dir).Run() == nil })
}

// hasty is the plan with less patience: a step that waits for a change of the next
// run would do that for minutes.
const hasty = "plans/hasty.yaml"

func (w *world) writeHasty() {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.work, planFile))
	if err != nil {
		w.t.Fatal(err)
	}
	text := string(b)
	for step, limit := range map[string]string{"issuer": "40s", "certificate": "40s", "rotation": "2m"} {
		was := "  - id: " + step + "\n"
		if !strings.Contains(text, was) {
			w.t.Fatalf("%s has no step %s", planFile, step)
		}
		text = strings.Replace(text, was, was+"    timeout: "+limit+"\n", 1)
	}
	if err := os.WriteFile(filepath.Join(w.work, hasty), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// A run makes usualRequests of the API server at most, and while it waits awaitRate a
// second: a wait that becomes a busy loop makes thousands.
const (
	usualRequests = 2000
	awaitRate     = 20.0
)

// interrupt makes an interruption and returns what became of the run, and its time.
func (w *world) interrupt(t *testing.T, in interruption) (string, time.Duration) {
	t.Helper()
	done := false
	args, still := []string{"run", hasty}, !full() && in.action == engine.ActionApply
	if still { // proofs would wait for a sealed Vault
		args = append(args, "--skip", "rotation,site-after,denials")
	}
	each := func(e engine.Event, p *os.Process) {
		if done || e.Step != in.step || e.Action != in.action {
			return
		}
		done = true
		if still { // on a finished world a run is through before Vault is restarted
			_ = p.Signal(syscall.SIGSTOP)
			defer func() { _ = p.Signal(syscall.SIGCONT) }()
		}
		args := append(append([]string(nil), in.do...), "--lab-dir", w.dir)
		if out, err := exec.Command(w.ztlab, args...).CombinedOutput(); err != nil {
			t.Errorf("ztlab %v: %v\n%s", in.do, err, out)
		}
	}
	var o *outcome
	requests := w.record("", func() { o = w.do(each, args...) }).api
	if most := usualRequests + int(awaitRate*o.wall.Seconds()); requests > most {
		t.Errorf("the run made %d requests of the API server in %s, and at most %d are wanted", requests, o.wall, most)
	}
	if !done {
		t.Errorf("the run, which should have been interrupted, never came to %s of %s", in.action, in.step)
	}
	said := fmt.Sprintf("the run went on and converged, %s, %d requests", counted(o.summary().Retries), requests)
	if o.code != 0 {
		var failures []string
		hinted := false
		for _, e := range o.events {
			if e.Action == engine.ActionFail {
				failures = append(failures, fmt.Sprintf("%s: %s (%s)", e.Step, e.Error, e.Hint))
				hinted = hinted || e.Hint != ""
			}
		}
		text := strings.Join(failures, "; ")
		if o.code != 1 || !in.may.MatchString(text) || !hinted {
			t.Errorf("failed without the reason or a hint: %v\n%s", o, text)
		}
		said = fmt.Sprintf("failed, %s, %d requests: ", counted(o.summary().Retries), requests) + strings.ReplaceAll(text, "\n", "; ") + "; the next run converged"
	}
	w.await(t)
	next := w.do(nil, "run", planFile)
	if next.code == 1 && lost.MatchString(strings.Join(next.differences(), "\n")) {
		// The connection broke with the one answer that cannot be asked for twice. The
		// run's error has the way to start over: do that.
		w.startOver()
		next = nil
	}
	w.settle(t, next, new(table))
	return said, o.wall
}

// lost matches the error for a Vault whose answer to init nobody has.
var lost = regexp.MustCompile(`vault is initialised, and its keys are not there: .* does not exist, nor is there an emergency file: a run of plan .* began to initialise it at .*, and ended before the answer was stored`)

// startOver follows vaultInit's advice for a new Vault whose keys are lost.
func (w *world) startOver() {
	w.t.Helper()
	down := action.NewUninstall(w.helm("vault"))
	down.Wait, down.Timeout = true, time.Minute
	if _, err := down.Run("vault"); err != nil {
		w.t.Fatal(err)
	}
	w.remove("PersistentVolumeClaim/vault/data-vault-0")
	w.root = ""
}
