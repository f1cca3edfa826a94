package curltls_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/curltls"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// The record of a call verifies, whether its rules hold or not.
func TestEvidence(t *testing.T) {
	w := newGateway(t)
	tests := []struct {
		name   string
		spec   func(*curltls.Spec)
		broken []string
	}{
		{"plain", func(*curltls.Spec) {}, nil},
		{"every rule", func(s *curltls.Spec) {
			s.Expect.Status, s.Expect.TLS, s.Expect.Protocol = 200, "1.3", "h2"
			s.Expect.Certificate = curltls.Certificate{
				CommonName: "*.example.local", DNSNames: []string{"example.local"}, ChainLength: 2,
				MinRemaining: engine.Duration(time.Minute), MaxLifetime: engine.Duration(100 * 24 * time.Hour),
				Serial: strings.ToUpper(certs.Serial(w.pair.Leaf())), NotSerial: "01:02",
			}
		}, nil},
		{"missing", func(s *curltls.Spec) { s.URL += "/missing" }, []string{"maxStatus"}},
		{"another", func(s *curltls.Spec) {
			s.Expect.Status = 204
			s.Expect.Certificate = curltls.Certificate{
				CommonName: "x", DNSNames: []string{"x"}, ChainLength: 1,
				MaxLifetime: engine.Duration(time.Second), NotSerial: certs.Serial(w.pair.Leaf()),
			}
		}, []string{"status", "commonName", "containsName", "chainLength", "maxLifetime", "notSerial"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSpec(w.root)
			tt.spec(s)
			env, _ := newEnv()
			c := evidence.NewCollector(
				evidence.Plan{Name: "demo", File: "plan.yaml", Digest: strings.Repeat("cd", 32)},
				evidence.Run{Mode: evidence.ModeApply, Version: "v0", Platform: "linux/amd64"},
			)
			began := time.Now()
			say := func(e engine.Event) {
				e.Plan, e.Step, e.Kind, e.Time = "demo", "site", "curlTLS", time.Now()
				c.Event(e)
			}
			say(engine.Event{Action: engine.ActionPlan})
			say(engine.Event{Action: engine.ActionStart})
			env.Record = func(name string, data any) {
				say(engine.Event{Action: engine.ActionEvidence, Name: name, Data: data})
			}
			_, findings, _ := s.ProveAt(t.Context(), env, tlskit.Address(w.address))
			end := engine.Event{Action: engine.ActionProved, Seconds: time.Since(began).Seconds()}
			for _, f := range findings {
				action := engine.ActionFinding
				if !f.Holds {
					action, end.Action, end.Error = engine.ActionViolated, engine.ActionFail, "does not hold"
				}
				say(engine.Event{Action: action, Path: f.Rule, Have: f.Have, Want: f.Want})
			}
			say(end)
			doc, err := c.Document(true)
			if err != nil {
				t.Fatal(err)
			}
			b, err := doc.Encode()
			if err != nil {
				t.Fatal(err)
			}
			_, checks := verify.Evidence(b)
			for _, check := range checks {
				if check.Name == "run" { // the summary is the run's
					continue
				}
				for _, p := range check.Problems {
					t.Errorf("the evidence does not verify: %s: %s", check.Name, p)
				}
			}
			if len(doc.Handshakes) != 1 {
				t.Fatalf("%d handshakes on record", len(doc.Handshakes))
			}
			h := doc.Handshakes[0]
			if h.Address != w.address || h.TLS != "TLS 1.3" || h.Protocol != "h2" || len(h.Certificate.Chain) != 1 {
				t.Errorf("on record: %+v", h)
			}
			var broken []string
			for _, r := range h.Rules {
				if !r.Holds {
					broken = append(broken, r.Name)
				}
			}
			if d := cmp.Diff(tt.broken, broken); d != "" {
				t.Errorf("broken rules on record: -want +got:\n%s", d)
			}
		})
	}
}
