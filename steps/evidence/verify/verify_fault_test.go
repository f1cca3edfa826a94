package verify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/steps/evidence"
)

// A proof that broke something holds only if the restart was over when every old
// pod was gone, and the renewal fell into the absence.
func TestFaultIsComputedAgain(t *testing.T) {
	without := func(r *evidence.Rotation, name string) {
		r.Rules = slices.DeleteFunc(r.Rules, func(rule evidence.Rule) bool { return rule.Name == name })
	}
	tests := map[string]struct {
		change func(*evidence.Rotation)
		says   string
	}{
		"as it was":                  {func(*evidence.Rotation) {}, ""},
		"an old pod gone later":      {func(r *evidence.Rotation) { r.Fault.Deletions[0].Gone = after(4.5) }, "was there until later"},
		"an old pod never gone":      {func(r *evidence.Rotation) { r.Fault.Deletions[0].Gone = time.Time{} }, "was there until later"},
		"nothing was deleted":        {func(r *evidence.Rotation) { r.Fault.Deletions = nil }, "proved without a deletion"},
		"another pod was deleted":    {func(r *evidence.Rotation) { r.Fault.Deletions[0].Pod = "vault/vault-1" }, "recorded [vault/vault-0]"},
		"one pod twice":              {func(r *evidence.Rotation) { twice(&r.Fault) }, "deleted twice"},
		"away after the request":     {func(r *evidence.Rotation) { r.Fault.Away = after(3.505) }, "the rule saw true"},
		"not away after the request": {func(r *evidence.Rotation) { r.Fault.StillAway = after(3.49) }, "the rule saw true"},
		"deleted after the request":  {func(r *evidence.Rotation) { late(&r.Fault) }, "was deleted when vault was away"},
		"no word of the absence":     {func(r *evidence.Rotation) { without(r, "askedAway") }, "without rule askedAway"},
		"a gateway that was away":    {func(r *evidence.Rotation) { r.Fault.Part = "gateway"; without(r, "askedAway") }, "the gateway was away"},
		"a rule about nothing":       {func(r *evidence.Rotation) { r.Fault.Part = "gateway" }, "rule askedAway without a fault"},
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

// twice records one deletion two times.
func twice(f *evidence.Fault) {
	f.Deletions, f.Pods = append(f.Deletions, f.Deletions[0]), append(f.Pods, f.Pods[0])
}

// late records a deletion after the renewal was asked for.
func late(f *evidence.Fault) {
	d := f.Deletions[0]
	d.UID, d.Deleted, d.Gone = "uid-2", after(3.6), after(3.7)
	f.Deletions, f.Pods = append(f.Deletions, d), append(f.Pods, d.Pod)
}
