package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// denials are attempts that were refused as they had to be, one for each way in which the
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
		w.clientDenial(t, evidence.PresentsNone), w.clientDenial(t, evidence.PresentsForeign), w.clientDenial(t, evidence.PresentsExpired), w.clientDenial(t, evidence.PresentsOther),
	}
}

// clientDenial is an attempt with another client certificate.
func (w *world) clientDenial(t *testing.T, presents string) evidence.Denial {
	served := func() []evidence.ClientAnswer {
		return []evidence.ClientAnswer{{Address: "10.0.0.1:443", Count: 1, First: after(6.5), Asked: true, Status: 200}}
	}
	refused := []evidence.ClientAnswer{
		{Address: "10.0.0.1:443", Count: 15, First: after(7.1), Asked: true, Alert: "unknown_ca"},
		{Address: "10.0.0.1:443", Count: 1, First: after(7.15), Asked: true, Closed: true},
	}
	right := w.new.record(w.intermediate)
	d := evidence.Denial{
		What: "client " + presents, Refused: true, By: "hello.example.local", Answer: "15 × TLS alert unknown_ca", At: after(7.2),
		Method: "client", Control: "served", Server: "hello.example.local", ControlCertificate: &right,
		Client: &evidence.ClientDenial{Presents: presents, Before: served(), After: served(), Answers: refused},
	}
	switch presents {
	case evidence.PresentsForeign:
		impostor := issue(t, nil, "Intermediate CA Lab", "impostor of the intermediate", 1, began.Add(-time.Hour), time.Hour)
		foreign := issue(t, impostor, "*.example.local", "foreign", 3, began, time.Hour).record(impostor)
		d.Certificate = &foreign
	case evidence.PresentsExpired:
		expired := issue(t, w.intermediate, "*.example.local", "brief", 4, after(6), time.Second).record(w.intermediate)
		d.Certificate = &expired
	case evidence.PresentsOther:
		other := issue(t, w.intermediate, "*.example.local", "other", 5, began, time.Hour).record(w.intermediate)
		d.Certificate = &other
	}
	return d
}

// A record whose verdict does not follow from the rest of it does not verify, also with the
// right digests.
func TestWrongDenials(t *testing.T) {
	// presents replaces the certificate by one that an authority of that name has signed with
	// a key. Signed with the right one, it does not name its authority.
	presents := func(authority, keyName, name string) func(*world, *evidence.Denial) {
		return func(_ *world, d *evidence.Denial) {
			signer := issue(t, nil, authority, keyName, 1, began.Add(-time.Hour), time.Hour)
			if keyName == "intermediate" {
				signer.cert.SubjectKeyId = nil
			}
			made := issue(t, signer, name, "presented", 7, after(6), time.Second).record(signer)
			d.Certificate = &made
		}
	}
	for name, c := range map[string]struct {
		what   string // which denial
		change func(w *world, d *evidence.Denial)
		want   string
	}{
		"another answer":   {"another namespace", func(_ *world, d *evidence.Denial) { d.Answer = "Vault is sealed" }, "was refused: false, recorded true"},
		"another status":   {"access to pki/root", func(_ *world, d *evidence.Denial) { d.Status = 503 }, "was refused: false, recorded true"},
		"a grant denied":   {"another namespace", func(_ *world, d *evidence.Denial) { d.Refused = false }, "was refused: true, recorded false"},
		"no control":       {"a foreign name", func(_ *world, d *evidence.Denial) { d.Control = "" }, "there is no control"},
		"unknown method":   {"a foreign name", func(_ *world, d *evidence.Denial) { d.Method = "guess" }, `there is no method "guess"`},
		"a long life":      {"a longer life", func(_ *world, d *evidence.Denial) { d.MaxSeconds = 3599 }, "was refused: false, recorded true"},
		"a name signed":    {"a longer life", func(_ *world, d *evidence.Denial) { d.MaxSeconds = 0 }, "was refused: false, recorded true"},
		"the trusted root": {"another root", func(w *world, d *evidence.Denial) { d.Trust = []string{w.intermediate.pem()} }, "was refused: false, recorded true"},
		"before the end":   {"an expired certificate", func(_ *world, d *evidence.Denial) { d.Clock = after(8) }, "was refused: false, recorded true"},
		"a wrong control":  {"another root", func(_ *world, d *evidence.Denial) { d.ControlTrust = d.Trust }, "the control does not hold"},
		"another server":   {"an expired certificate", func(_ *world, d *evidence.Denial) { d.Server = "elsewhere.example.org" }, "the control does not hold"},
		"nothing shown":    {"another root", func(_ *world, d *evidence.Denial) { d.Certificate = nil }, "what the server showed is missing"},
		"a client let in": {"client none", func(_ *world, d *evidence.Denial) {
			d.Client.Answers[1].Closed, d.Client.Answers[1].Status = false, 200
		}, "was refused: false, recorded true"},
		"an alert of its own":    {"client none", func(_ *world, d *evidence.Denial) { d.Client.Answers[0].Alert = "internal_error" }, "was refused: false, recorded true"},
		"a close without asking": {"client none", func(_ *world, d *evidence.Denial) { d.Client.Answers[1].Asked = false }, "was refused: false, recorded true"},
		"another HTTP status":    {"client none", func(_ *world, d *evidence.Denial) { d.Client.Answers[0].Alert, d.Client.Answers[0].Status = "", 404 }, "was refused: false, recorded true"},
		"no attempt":             {"client none", func(_ *world, d *evidence.Denial) { d.Client.Answers = nil }, "there is no attempt"},
		"no connections":         {"client none", func(_ *world, d *evidence.Denial) { d.Client = nil }, "the connections are missing"},
		"not served before":      {"client none", func(_ *world, d *evidence.Denial) { d.Client.Before[0].Status = 503 }, "the control does not hold: not every connection before"},
		"refused after":          {"client none", func(_ *world, d *evidence.Denial) { d.Client.After[0].Status = 503 }, "the control does not hold: not every connection after"},
		"not served after":       {"client none", func(_ *world, d *evidence.Denial) { d.Client.After = nil }, "the control does not hold: not every connection after"},
		"no address in common":   {"client none", func(_ *world, d *evidence.Denial) { d.Client.Answers[0].Address = "10.0.0.9:443" }, "10.0.0.9:443 has no control"},
		"a certificate for none": {"client none", func(_ *world, d *evidence.Denial) { d.Certificate = d.ControlCertificate }, "the attempt was without one"},
		"no right certificate":   {"client none", func(_ *world, d *evidence.Denial) { d.ControlCertificate = nil }, "the legitimate certificate is missing"},
		"nothing presented":      {"client foreign", func(_ *world, d *evidence.Denial) { d.Certificate = nil }, "the certificate that was presented is missing"},
		"not another":            {"client other", func(_ *world, d *evidence.Denial) { d.Certificate = d.ControlCertificate }, "the certificate that was presented is the legitimate one"},
		"not foreign":            {"client foreign", func(_ *world, d *evidence.Denial) { d.Certificate = d.ControlCertificate }, "the foreign certificate names the authority of the legitimate one"},
		"still valid":            {"client expired", func(_ *world, d *evidence.Denial) { d.Client.Answers[0].First = after(6.9) }, "was still valid when it was presented"},
		"never accepted": {"client expired", func(_ *world, d *evidence.Denial) {
			d.Client.Before = []evidence.ClientAnswer{d.Client.Before[0]}
			d.Client.Before[0].First = after(7.1)
		}, "was not accepted while it was valid"},
		"no control before":    {"client none", func(_ *world, d *evidence.Denial) { d.Client.Before[0].Count = 0 }, "the control does not hold: not every connection before"},
		"no control after":     {"client none", func(_ *world, d *evidence.Denial) { d.Client.After[0].Count = 0 }, "the control does not hold: not every connection after"},
		"answers to nothing":   {"client none", func(_ *world, d *evidence.Denial) { d.Client.Answers[0].Count = 0 }, "10.0.0.1:443 answered 0 connections"},
		"another subject":      {"client foreign", presents("Intermediate CA Lab", "impostor", "other.example.local"), "has other names than the legitimate one"},
		"another issuer":       {"client foreign", presents("Another CA Lab", "impostor", "*.example.local"), "has other names than the legitimate one"},
		"the right signature":  {"client foreign", presents("Intermediate CA Lab", "intermediate", "*.example.local"), "is signed by the authority of the legitimate one"},
		"of its namesake":      {"client expired", presents("Intermediate CA Lab", "impostor", "*.example.local"), "is not of the legitimate one's authority"},
		"of another authority": {"client expired", func(w *world, d *evidence.Denial) { c := w.intermediate.record(w.root); d.Certificate = &c }, "is not of the legitimate one's authority"},
		"a word of its own":    {"client other", func(_ *world, d *evidence.Denial) { d.Client.Presents = "borrowed" }, `nothing is called "borrowed"`},
		"before it was made":   {"an expired certificate", func(w *world, d *evidence.Denial) { d.Clock = w.new.cert.NotBefore.Add(-time.Hour) }, "was refused: false, recorded true"},
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
