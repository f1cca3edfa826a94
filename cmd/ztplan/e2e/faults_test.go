package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/e2e/faultproxy"
	"github.com/ztplan/ztplan/engine"
)

// plantedPassword is a secret that the plans of these tests hand to a chart.
const plantedPassword = "planted-chart-password-93b1"

// faulty is a world whose servers go wrong.
type faulty struct {
	w           *world
	api, vault  *faultproxy.Proxy
	kubeconfig  string
	root, token string // of the lab's Vault
	cells       int
}

// TestFaults lets every kind meet every trouble: it converges, or it fails with
// the true cause within its timeout; nothing is made twice; the next run, without
// trouble, converges and then has nothing to do. No secret is in anything that a run
// shows or leaves, whatever happened to it.
func TestFaults(t *testing.T) {
	if !full() {
		t.Skip("the quick faults are met in TestCrash; all of them in make faults")
	}
	w := newWorld(t)
	w.sub(t, "secrets", func(t *testing.T) {
		w.secretBegin(t)
		w.secretive(t)
	})
	w.faults(t)
}

// faults lets kinds meet troubles on a finished world. Quick: troubles that differ for the
// client, once each.
func (w *world) faults(t *testing.T) {
	f := &faulty{w: w, token: w.generateRoot(0, 1, 2), root: w.read("pki/cert/ca")["certificate"].(string)}
	f.api, f.kubeconfig = w.apiProxy(t, time.Now().Add(-time.Minute))
	f.vault = vaultProxy(t, w.vaultAt().Address(), w.vaultTransport())

	tb := new(table)
	tb.add("KIND", "SERVER", "TROUBLE", "WHAT HAPPENED", "s")
	if full() {
		defer tb.print()
	}
	only := regexp.MustCompile(os.Getenv("ZTPLAN_CELLS"))
	for _, s := range subjects() {
		for _, tr := range troubles() {
			at := s.name + "/" + s.server + "/" + tr.name
			if !s.suits(tr) || !full() && !slices.Contains(tr.quick, s.name) || !only.MatchString(at) {
				continue
			}
			w.sub(t, strings.ReplaceAll(at, " ", "-"), func(t *testing.T) {
				began := time.Now()
				said := f.meet(t, &s, tr)
				if t.Failed() {
					said = "WRONG: " + said
				}
				tb.add(s.name, s.server, tr.name, strings.ReplaceAll(said, "\n", "; "), fmt.Sprintf("%.1f", time.Since(began).Seconds()))
			})
		}
	}
}

// meet lets a trouble happen to a subject and returns the result.
func (f *faulty) meet(t *testing.T, s *subject, tr trouble) string {
	t.Helper()
	c := f.cell(t, s, tr)
	fault := tr.fault
	fault.Match = s.matching(tr.on)
	if tr.busy != 0 {
		fault.Effect = tr.refusal(s.server)
	}
	c.proxy.Set(fault)
	defer c.proxy.Set()
	o := c.run(t)
	met, of := c.proxy.Happened()
	c.proxy.Set()
	if met == 0 {
		t.Errorf("no request of %d met the trouble", of)
	}
	said := c.verdict(t, tr, o)
	if strings.Contains(said, lostKeys) {
		again := c.run(t)
		if again.code != 1 || !lost.MatchString(strings.Join(again.differences(), "\n")) {
			t.Errorf("the next run does not say that the keys are lost: %v", again)
		}
		return said
	}
	if o.code != 0 {
		must(t, "the next run, without trouble", c.run(t), 0)
	}
	after := c.run(t)
	must(t, "the run after that", after, 0)
	if n := after.summary().Edits; n != 0 {
		t.Errorf("the run after that makes %d edits: %s", n, strings.Join(after.differences(), "\n"))
	}
	if s.whole != nil {
		s.whole(t, c)
	}
	return said
}

func (c *cell) run(t *testing.T) *outcome {
	t.Helper()
	report := filepath.Join(c.dir, "report")
	_ = os.RemoveAll(report)
	sinks := []string{filepath.Join(c.dir, "keys.json"), filepath.Join(c.dir, "vars.json"), filepath.Join(c.dir, "values.yaml")}
	return c.w.watched(t, c.dir, sinks, func() map[string]string { return c.secrets(t) }, func(started func(*os.Process)) *outcome {
		return c.w.doStarted(started, nil, append([]string{"run", "-v", "--report", report}, c.args...)...)
	})
}

// verdict checks how the run ended and puts it into words.
func (c *cell) verdict(t *testing.T, tr trouble, o *outcome) string {
	t.Helper()
	retries := 0
	var failure, hint string
	for _, e := range o.events {
		switch {
		case e.Action == engine.ActionRetry:
			retries++
		case e.Action == engine.ActionFail && e.Step == "step":
			failure, hint = e.Error, e.Hint
		}
	}
	if o.wall > c.limit {
		t.Errorf("took %v, more than the step's timeout:\n%s", o.wall, o.stdout)
	}
	switch o.code {
	case 0:
		if tr.forEver {
			t.Errorf("converged in spite of it")
		}
		return fmt.Sprintf("converged, %s", counted(retries))
	case 1:
		if c.s.tried && tr.fault.For > 0 {
			tr.mayFail = regexp.MustCompile(broken)
		}
		switch {
		case tr.mayFail == nil:
			t.Errorf("failed, and should converge: %s\n%v", failure, o)
		case !tr.mayFail.MatchString(failure):
			t.Errorf("failed without saying the cause: %s\n%v", failure, o)
		case tr.forEver && hint == "":
			t.Errorf("failed without a hint: %s", failure)
		}
		return fmt.Sprintf("failed, %s: %s (%s)", counted(retries), failure, hint)
	}
	t.Errorf("%v", o)
	return "exit status " + fmt.Sprint(o.code)
}

func counted(retries int) string {
	if retries == 1 {
		return "1 retry"
	}
	return fmt.Sprintf("%d retries", retries)
}

// secrets are those that a cell's runs know.
func (c *cell) secrets(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{plantedPassword: "the chart's password", plantedToken: "the kubeconfig's token", c.token: "the root token of the lab's Vault"}
	c.w.readKeys().secrets(out)
	if text, err := os.ReadFile(filepath.Join(c.dir, "keys.json")); err == nil {
		var k keyFile
		if err := json.Unmarshal(text, &k); err != nil {
			t.Fatal(err)
		}
		k.secrets(out)
	}
	return out
}

func (k keyFile) secrets(out map[string]string) {
	if k.RootToken != "" {
		out[k.RootToken] = "the root token"
	}
	for i, share := range k.Keys {
		out[share] = fmt.Sprintf("key share %d", i+1)
	}
}
