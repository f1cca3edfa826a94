package verify_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/steps/evidence"
)

// The row, its interruptions and the doubt are computed again from the samples.
func TestDoubtIsComputedAgain(t *testing.T) {
	rule := func(r *evidence.Rotation, saw float64) {
		i := slices.IndexFunc(r.Rules, func(rule evidence.Rule) bool { return rule.Name == "maxDoubt" })
		r.Rules[i].Saw = saw
	}
	tests := map[string]struct {
		change func(*evidence.Rotation)
		says   string
	}{
		"as it was": {func(*evidence.Rotation) {}, ""},
		"a longer row": {func(r *evidence.Rotation) {
			r.Coverage[0].Row, r.Coverage[0].Doubt, r.Coverage[0].Handshakes = 60, evidence.Doubt(2, 60, 0), 60
		}, "30 new handshakes in a row are on record, not 60"},
		"an old one in the row": {func(r *evidence.Rotation) {
			r.Endpoints[0].Samples = slices.Clone(r.Endpoints[0].Samples)
			r.Endpoints[0].Samples[70].Cert = 0
		}, "9 new handshakes in a row are on record, not 29"},
		"an interruption left out": {func(r *evidence.Rotation) {
			r.Endpoints[0].Samples = slices.Clone(r.Endpoints[0].Samples)
			r.Endpoints[0].Samples[51].Cert = 0
		}, "1 handshakes showed another certificate after the new one, recorded 0"},
		"fewer servers":             {func(r *evidence.Rotation) { r.Coverage[0].Servers = 1 }, "the doubt is 0.000000, recorded"},
		"a smaller doubt":           {func(r *evidence.Rotation) { r.Coverage[1].Doubt = 0; rule(r, r.Coverage[0].Doubt) }, "the doubt is 0.000000, recorded 0.000000"},
		"another doubt in the rule": {func(r *evidence.Rotation) { rule(r, 0.0005) }, "the rule saw 0.0005"},
		"no rule": {func(r *evidence.Rotation) {
			r.Rules = slices.DeleteFunc(slices.Clone(r.Rules), func(rule evidence.Rule) bool { return rule.Name == "maxDoubt" })
		}, "there is no rule for the doubt"},
		"an address left out": {func(r *evidence.Rotation) { r.Coverage = r.Coverage[1:] }, "at 127.0.0.1:30443: the step is proved without a doubt on record"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			said := verifyChanged(t, tt.change)
			if tt.says == "" && said != "" || !strings.Contains(said, tt.says) {
				t.Errorf("said:\n%s\nwant it to contain %q", said, tt.says)
			}
		})
	}
}
