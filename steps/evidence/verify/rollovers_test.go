package verify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// rollOver adds to a run that passed a second rotation, in which a new
// intermediate takes the old one's place.
func (w *world) rollOver(t *testing.T, change func(*evidence.Rotation, *evidence.Rollover)) []engine.Event {
	t.Helper()
	next := issue(t, w.root, "Intermediate CA Lab", "next intermediate", 3, began, 5*365*24*time.Hour)
	leaf := issue(t, next, "*.example.local", "newest", 0x7c11, began.Add(4*time.Second), time.Hour)
	trial := func(by *authority, serial int64, at float64) *evidence.Certificate {
		r := issue(t, by, "hello.example.local", "trial", serial, after(at-30), 90*time.Second).record(by)
		return &r
	}
	r := w.rotation(0)
	r.Number, r.Trigger, r.Fault = 2, "intermediate", evidence.Fault{}
	r.Certs = []evidence.Certificate{w.new.record(w.intermediate), leaf.record(next)}
	r.Rules = slices.DeleteFunc(r.Rules, func(r evidence.Rule) bool {
		return slices.Contains([]string{"askedAway", "restored", "maxDown", "maxCatchUp"}, r.Name)
	})
	r.Hops = slices.DeleteFunc(r.Hops, func(h evidence.Hop) bool {
		return slices.Contains([]string{"fault", "unsealed", "restored", "caught-up"}, h.Name)
	})
	for name, at := range map[string]float64{"made": 3.1, "overlap": 3.2, "took-over": 3.3, "reissued": 6, "retired": 6.1} {
		r.Hops = append(r.Hops, evidence.Hop{Name: name, At: after(at)})
	}
	slices.SortFunc(r.Hops, func(a, b evidence.Hop) int { return a.At.Compare(b.At) })
	other := issue(t, next, "*.example.local", "other", 0x7c12, after(5), time.Hour)
	s := evidence.Rollover{
		Rotation: 2, Mount: "pki_int", Issuer: "intermediate-lab", Role: "example-dot-local", Server: r.Server, Trust: r.Trust,
		Old: w.intermediate.record(w.root), New: next.record(w.root),
		ByOld: trial(w.intermediate, 0x10, 3.2), ByNew: trial(next, 0x11, 3.2), Control: trial(next, 0x12, 6.1),
		Planned:  1,
		Reissued: []evidence.Reissued{{Namespace: "shop", Name: "shop-cert", Certificate: other.record(next), At: after(5.9)}},
		Status:   500, Answer: "the issuer may not sign", Expected: []evidence.Refusal{{Status: 500, Text: "may not sign"}}, Retired: after(6.1),
	}
	if change != nil {
		change(&r, &s)
	}
	var list []engine.Event
	for _, e := range w.events(t, 0) {
		list = append(list, e)
		if e.Action == engine.ActionEvidence && e.Name == evidence.RecordRotation {
			e.Data = r
			list = append(list, e)
			e.Name, e.Data = evidence.RecordRollover, s
			list = append(list, e)
		}
	}
	return list
}

// Each statement of a rollover is computed again from the certificates.
func TestWrongRollovers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, r *evidence.Rotation, s *evidence.Rollover)
		want   string // "" if it verifies
	}{
		"as it was":          {func(*world, *evidence.Rotation, *evidence.Rollover) {}, ""},
		"the same one":       {func(_ *world, _ *evidence.Rotation, s *evidence.Rollover) { s.New = s.Old }, "have the same key"},
		"another subject":    {func(w *world, _ *evidence.Rotation, s *evidence.Rollover) { s.Old = w.root.record() }, "the subject changed"},
		"no overlap":         {func(_ *world, _ *evidence.Rotation, s *evidence.Rollover) { s.ByOld = nil }, "without overlap or control"},
		"one signed for two": {func(_ *world, _ *evidence.Rotation, s *evidence.Rollover) { s.ByOld = s.ByNew }, "what the old one signed: x509"},
		"the old one signed": {func(_ *world, _ *evidence.Rotation, s *evidence.Rollover) { s.Control = s.ByOld }, "what the new one signed in the end: x509"},
		"no control":         {func(_ *world, _ *evidence.Rotation, s *evidence.Rollover) { s.Control = nil }, "without overlap or control"},
		"granted":            {func(_ *world, _ *evidence.Rotation, s *evidence.Rollover) { s.Status = 200 }, `the old one answered 200`},
		"another refusal":    {func(_ *world, _ *evidence.Rotation, s *evidence.Rollover) { s.Answer = "Vault is sealed" }, `answered 500 "Vault is sealed"`},
		"one left out":       {func(_ *world, _ *evidence.Rotation, s *evidence.Rollover) { s.Planned = 2 }, "1 of 2 certificates"},
		"one of the old one's": {func(w *world, _ *evidence.Rotation, s *evidence.Rollover) {
			s.Reissued[0].Certificate = w.new.record(w.intermediate)
		}, "certificate shop/shop-cert: x509"},
		"another server":   {func(_ *world, _ *evidence.Rotation, s *evidence.Rollover) { s.Server = "elsewhere.example.org" }, "server or trust is not that"},
		"another rotation": {func(_ *world, _ *evidence.Rotation, s *evidence.Rollover) { s.Rotation = 3 }, "rotation 3 is not on record"},
		"retired never":    {func(_ *world, _ *evidence.Rotation, s *evidence.Rollover) { s.Retired = time.Time{} }, "hop retired is at"},
		"retired before":   {func(_ *world, _ *evidence.Rotation, s *evidence.Rollover) { s.Retired = after(5) }, "hop retired is at"},
		"signed by the old": {func(w *world, r *evidence.Rotation, _ *evidence.Rollover) {
			r.Certs[1] = w.old.record(w.intermediate)
		}, "another authority signed the new certificate"},
		"not said": {func(_ *world, r *evidence.Rotation, _ *evidence.Rollover) { r.Trigger = "renew" }, "trigger renew, a new intermediate on record: true"},
		"no hop": {func(_ *world, r *evidence.Rotation, _ *evidence.Rollover) {
			r.Hops = slices.DeleteFunc(r.Hops, func(h evidence.Hop) bool { return h.Name == "reissued" })
		}, "hop reissued: false"},
		"retired first": {func(_ *world, r *evidence.Rotation, s *evidence.Rollover) {
			for i := range r.Hops {
				if r.Hops[i].Name == "retired" {
					r.Hops[i].At = after(3)
				}
			}
			s.Retired = after(3)
		}, "hop retired is before hop"},
		"an old trial": {func(w *world, _ *evidence.Rotation, s *evidence.Rollover) {
			old := issue(t, w.intermediate, "hello.example.local", "trial", 0x13, began.Add(-time.Hour), time.Minute).record(w.intermediate)
			s.ByOld = &old
		}, "is not from the time of the rotation"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			d := collect(t, w.rollOver(t, func(r *evidence.Rotation, s *evidence.Rollover) { c.change(w, r, s) }))
			_, checks := verify.Evidence(encoded(t, d))
			got := strings.Join(problems(checks), "\n")
			if len(d.Rollovers) != 1 || (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("problems: %s\nwant %q", got, c.want)
			}
		})
	}
}

// A forger who computes the digests anew is found.
func TestForgedRollovers(t *testing.T) {
	must := []string{
		".step", ".rotation", ".server", ".trust[0]", ".old.fingerprint", ".new.fingerprint", ".byOld.fingerprint", ".byNew.fingerprint", ".control.fingerprint",
		".planned", ".reissued[0].certificate.fingerprint", ".status", ".answer", ".expected[0].status", ".expected[0].text", ".retired",
	}
	v := generic(t, encoded(t, collect(t, newWorld(t).rollOver(t, nil))))
	seen := make(map[string]bool)
	walk("", v, nil, func(path string, leaf any, set func(any)) {
		name, ok := strings.CutPrefix(path, ".rollovers[0]")
		if !ok {
			return
		}
		for _, reseal := range []bool{false, true} {
			set(flip(leaf))
			if _, checks := verify.Evidence(retyped(v, reseal)); problems(checks) != nil {
				seen[name] = seen[name] || reseal
			} else if !reseal {
				t.Errorf("%s can be changed", path)
			}
			set(leaf)
		}
	})
	for _, name := range must {
		if !seen[name] {
			t.Errorf("%s can be forged", name)
		}
	}
}
