package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// A moment is when a run is killed, relative to one edit.
type moment string

const (
	before moment = "before" // as soon as the edit is announced
	during moment = "during" // after a random part of the time that the edit took elsewhere
	after  moment = "after"  // as soon as it is known to be applied
)

// A chain kills run after run of one plan on one lab, each at an edit at which
// none before it was killed, until a run comes to its end. So every edit is
// cut off once, in a world that has been cut off at all edits before it.
type chain struct {
	plan   func(each func(engine.Event, *os.Process)) *outcome // runs it
	when   func(at string) moment                              // "" means not at this edit
	took   map[string]time.Duration
	killed map[string]bool
	tb     *table
}

func newChain(plan func(each func(engine.Event, *os.Process)) *outcome, points map[string]moment, took map[string]time.Duration, tb *table) *chain {
	return &chain{plan: plan, when: func(at string) moment { return points[at] }, took: took, killed: make(map[string]bool), tb: tb}
}

// run kills until a run comes to its end, and returns that one.
func (c *chain) run() *outcome {
	for {
		point, o := c.once()
		if point == "" {
			return o
		}
		c.tb.add(string(c.when(point)), point, o.cut(), fmt.Sprintf("%.1f", o.wall.Seconds()))
	}
}

// once runs the plan and kills it at the first edit that is new. It returns
// the edit, or "" if the run ended by itself.
func (c *chain) once() (point string, o *outcome) {
	var timer *time.Timer
	o = c.plan(func(e engine.Event, p *os.Process) {
		at := place(e)
		if point != "" || c.killed[at] {
			return
		}
		m := c.when(at)
		switch {
		case e.Action == engine.ActionApply && (m == before || m == during):
		case e.Action == engine.ActionApplied && m == after:
		default:
			return
		}
		point = at
		c.killed[at] = true
		if m == during {
			timer = time.AfterFunc(time.Duration(rand.Float64()*float64(c.took[at])), func() { _ = p.Kill() })
			return
		}
		_ = p.Kill()
	})
	if timer != nil {
		timer.Stop()
	}
	if o.code > 0 {
		point = "" // it was faster, and failed or awaits something
	}
	return point, o
}

// cut describes the work of a killed run at the kill.
func (o *outcome) cut() string {
	if o.code != -1 {
		return "was through before the kill"
	}
	begun := make(map[string]bool)
	var order []string
	for _, e := range o.events {
		switch at := place(e); e.Action {
		case engine.ActionApply:
			begun[at] = true
			order = append(order, at)
		case engine.ActionApplied:
			delete(begun, at)
		}
	}
	var cut []string
	for _, at := range order {
		if begun[at] {
			cut = append(cut, at)
		}
	}
	if len(cut) == 0 {
		return "killed between edits"
	}
	return "killed in " + strings.Join(cut, ", ")
}

// settle brings a world that was cut off to its end and checks that nothing is
// lost. o is the run that was not killed.
func (w *world) settle(t *testing.T, o *outcome, tb *table) {
	t.Helper()
	if o == nil {
		o = w.do(nil, "run", planFile)
	}
	must(t, "the run after the kills", o, 0)
	must(t, "status", w.check(), 0)
	w.look()
	w.whole(t)
	tb.add("", "the next run", "converged; one root, one intermediate, no orphan key, releases deployed, key file whole", fmt.Sprintf("%.1f", o.wall.Seconds()))
}

// whole checks the state that has to hold after any number of kills.
func (w *world) whole(t *testing.T) {
	t.Helper()
	for _, mount := range []string{"pki", "pki_int"} {
		w.onePKI(t, mount)
	}
	if issuers := w.list("pki/issuers"); len(issuers) != 1 {
		t.Errorf("pki has %d issuers, want 1", len(issuers))
	}
	for name, namespace := range map[string]string{"apisix": "ingress-apisix", "cert-manager": "cert-manager", "vault": "vault"} {
		w.released(t, name, namespace)
	}
	w.wholeKeys(t)
}

// wholeKeys checks the key file: its mode, its content, that its shares are those of this
// Vault, every one of them, that the root token was taken out of it, and that nothing is left
// beside it.
func (w *world) wholeKeys(t *testing.T) {
	t.Helper()
	info, err := os.Stat(w.keys())
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("key file: mode %04o", info.Mode().Perm())
	}
	text, err := os.ReadFile(w.keys())
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(bytes.TrimSpace(text)) {
		t.Error("key file: is not JSON")
	}
	k := w.readKeys()
	if len(k.Keys) != 5 || k.Threshold != 3 {
		t.Errorf("key file: %d shares, threshold %d; want 5 and 3", len(k.Keys), k.Threshold)
	}
	if k.RootToken != "" {
		t.Error("key file: still holds a root token")
	}
	for _, shares := range [][]int{{0, 1, 2}, {2, 3, 4}} {
		c := w.vaultAt()
		c.SetToken(w.generateRoot(shares...))
		if err := c.Auth().Token().RevokeSelfWithContext(t.Context(), ""); err != nil {
			t.Errorf("key file: the token that shares %v make: %v", shares, err)
		}
	}
	beside, err := os.ReadDir(filepath.Dir(w.keys()))
	if err != nil {
		t.Fatal(err)
	}
	if len(beside) != 1 {
		t.Errorf("the folder of the key file holds %v", beside)
	}
}

// random kills up to most runs at random moments, and returns how many.
func (w *world) random(t *testing.T, wall time.Duration, most int, tb *table) (kills int) {
	t.Helper()
	for kills < most {
		at := time.Duration(rand.Float64() * float64(wall))
		var timer *time.Timer
		o := w.doStarted(func(p *os.Process) { timer = time.AfterFunc(at, func() { _ = p.Kill() }) }, nil, "run", planFile)
		timer.Stop()
		if o.code != -1 {
			w.settle(t, o, tb)
			return kills + 1
		}
		kills++
		tb.add("random", fmt.Sprintf("%.3fs", at.Seconds()), o.cut(), fmt.Sprintf("%.1f", o.wall.Seconds()))
	}
	w.settle(t, nil, tb)
	return kills
}

// chains bounds how many worlds everyPoint begins. An edit can be missed in one:
// it is made between the moment that a kill is decided on and its effect, or
// the kill at an edit of another step cuts it off and the next run finds it made.
const chains = 5

// everyPoint kills a run at each edit of points, in as few worlds as do.
func (w *world) everyPoint(t *testing.T, points map[string]moment, took map[string]time.Duration, tb *table) {
	t.Helper()
	left := maps.Clone(points)
	for n := range chains {
		if n > 0 {
			w.fresh()
		}
		c := newChain(func(each func(engine.Event, *os.Process)) *outcome { return w.do(each, "run", planFile) }, left, took, tb)
		w.settle(t, c.run(), tb)
		for at := range c.killed {
			delete(left, at)
		}
		if len(left) == 0 || t.Failed() {
			return
		}
	}
	for at, m := range left {
		t.Errorf("no run was killed %s %s: has a path changed?", m, at)
	}
}

// place is where an edit is in every run of the plan: the certificates that proofs
// revoke have another serial number in each.
func place(e engine.Event) string {
	return e.Step + " " + serialNumber.ReplaceAllString(e.Path, "SERIAL")
}

var serialNumber = regexp.MustCompile(`\b[0-9a-f]{2}(:[0-9a-f]{2}){7,}\b`)

// TestCrash kills runs of the plan with SIGKILL and runs it again until it is
// through. Quick: at four edits; then the world that has come out of it shows failures and
// new intermediates, and its servers go wrong. Full: before, during and after each edit, and at ZTPLAN_KILLS
// random moments (default 20).
func TestCrash(t *testing.T) {
	parallel(t)
	w := newWorld(t)
	tb := new(table)
	tb.add("KILLED", "AT", "WHAT HAPPENED", "s")
	if !full() {
		points := map[string]moment{
			"init sys/init": after,
			"intermediate pki_int/issuer/intermediate-lab":   before,
			"cert-manager release/cert-manager/cert-manager": before,
			"init.rootToken auth/token/root":                 after,
		}
		w.everyPoint(t, points, nil, tb)
		if t.Failed() {
			return
		}
		w.sub(t, "failures", w.failures)
		device := w.auditVault()
		w.sub(t, "rollover", func(t *testing.T) { w.rollover(t, device) })
		w.sub(t, "faults", w.faults)
		return
	}
	defer tb.print()
	took := make(map[string]time.Duration)
	whole := w.do(func(e engine.Event, _ *os.Process) {
		if e.Action == engine.ActionApplied {
			took[place(e)] = time.Duration(e.Seconds * float64(time.Second))
		}
	}, "run", planFile)
	must(t, "a run that is not killed", whole, 0)
	for _, m := range []moment{before, during, after} {
		points := make(map[string]moment)
		for at := range took {
			points[at] = m
		}
		w.fresh()
		w.sub(t, string(m), func(t *testing.T) { w.everyPoint(t, points, took, tb) })
	}
	w.fresh()
	must(t, "the plan before that of the external parent", w.run(), 0)
	w.look()
	w.sub(t, "external parent", func(t *testing.T) { w.crashExternal(t, tb) })
	kills := 20
	if s := os.Getenv("ZTPLAN_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatalf("ZTPLAN_KILLS: %v", err)
		}
	}
	for done := 0; done < kills && !t.Failed(); {
		w.fresh()
		w.sub(t, "random", func(t *testing.T) { done += w.random(t, whole.wall, min(10, kills-done), tb) })
	}
}
