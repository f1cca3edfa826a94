package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// denials are what had to be refused and was, one for each way in which the
// verdict is computed.
func (w *world) denials(t *testing.T) []evidence.Denial {
	short, shown := w.new.record(w.intermediate), w.new.record(w.intermediate)
	impostor := issue(t, nil, "Root CA Lab", "impostor", 1, began.Add(-time.Hour), time.Hour)
	dial := evidence.Denial{
		Refused: true, By: "this client", Method: "dial", Control: "accepted", At: after(7.2),
		Server: "hello.example.local", Certificate: &shown, ControlTrust: []string{w.root.pem()},
	}
	root, expired := dial, dial
	root.What, root.Answer, root.Trust, root.Clock = "another root", "unknown authority", []string{impostor.pem()}, after(7.2)
	expired.What, expired.Answer, expired.Trust, expired.Clock = "an expired certificate", "expired", dial.ControlTrust, w.new.cert.NotAfter.Add(time.Second)
	return []evidence.Denial{
		{
			What: "another namespace", Refused: true, By: "Vault", Answer: "namespace not authorized", At: after(7.2),
			Method: "login", Control: "a token", Status: 403, Expected: []evidence.Refusal{{Status: 403, Text: "namespace not authorized"}},
		},
		{
			What: "access to pki/root", Refused: true, By: "Vault", Answer: "permission denied", At: after(7.2),
			Method: "access", Control: "help", Status: 403, Expected: []evidence.Refusal{{Status: 403, Text: "permission denied"}},
		},
		{
			What: "a foreign name", Refused: true, By: "Vault", Answer: "common name evil not allowed by this role", At: after(7.2),
			Method: "sign", Control: "a certificate", Status: 400, Expected: []evidence.Refusal{{Status: 400, Text: "not allowed by this role"}},
		},
		{
			What: "a longer life", Refused: true, By: "Vault", Answer: "shortened", At: after(7.2),
			Method: "sign", Control: "a certificate", Status: 200, Certificate: &short, MaxSeconds: 3600,
		},
		root, expired,
	}
}

// A record whose verdict does not follow from the rest of it does not verify,
// whatever its digests say.
func TestWrongDenials(t *testing.T) {
	for name, c := range map[string]struct {
		what   string // which denial
		change func(w *world, d *evidence.Denial)
		want   string
	}{
		"another answer":     {"another namespace", func(_ *world, d *evidence.Denial) { d.Answer = "Vault is sealed" }, "was refused: false, recorded true"},
		"another status":     {"access to pki/root", func(_ *world, d *evidence.Denial) { d.Status = 503 }, "was refused: false, recorded true"},
		"a grant denied":     {"another namespace", func(_ *world, d *evidence.Denial) { d.Refused = false }, "was refused: true, recorded false"},
		"no control":         {"a foreign name", func(_ *world, d *evidence.Denial) { d.Control = "" }, "there is no control"},
		"unknown method":     {"a foreign name", func(_ *world, d *evidence.Denial) { d.Method = "guess" }, `there is no method "guess"`},
		"a long life":        {"a longer life", func(_ *world, d *evidence.Denial) { d.MaxSeconds = 3599 }, "was refused: false, recorded true"},
		"a name signed":      {"a longer life", func(_ *world, d *evidence.Denial) { d.MaxSeconds = 0 }, "was refused: false, recorded true"},
		"the trusted root":   {"another root", func(w *world, d *evidence.Denial) { d.Trust = []string{w.intermediate.pem()} }, "was refused: false, recorded true"},
		"before the end":     {"an expired certificate", func(_ *world, d *evidence.Denial) { d.Clock = after(8) }, "was refused: false, recorded true"},
		"a wrong control":    {"another root", func(_ *world, d *evidence.Denial) { d.ControlTrust = d.Trust }, "the control does not hold"},
		"another server":     {"an expired certificate", func(_ *world, d *evidence.Denial) { d.Server = "elsewhere.example.org" }, "the control does not hold"},
		"nothing shown":      {"another root", func(_ *world, d *evidence.Denial) { d.Certificate = nil }, "what the server showed is missing"},
		"before it was made": {"an expired certificate", func(w *world, d *evidence.Denial) { d.Clock = w.new.cert.NotBefore.Add(-time.Hour) }, "was refused: false, recorded true"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			events := w.events(t, 0)
			changed := false
			for i, e := range events {
				if d, ok := e.Data.(evidence.Denial); ok && d.What == c.what && e.Action == engine.ActionEvidence {
					c.change(w, &d)
					events[i].Data, changed = d, true
				}
			}
			_, checks := verify.Evidence(encoded(t, collect(t, events)))
			if got := strings.Join(problems(checks), "\n"); !changed || !strings.Contains(got, c.want) {
				t.Errorf("problems: %s\nwant one with %q", got, c.want)
			}
		})
	}
}
