package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine/plan"
)

// TestRetryDelays: the longest pause is not shorter than the first one; a default follows what
// the step gives. Nothing follows from a value that is wrong by itself.
func TestRetryDelays(t *testing.T) {
	for retry, want := range map[string]string{
		"{delay: 1m}":                        "<nil>",
		"{maxDelay: 1s}":                     "<nil>",
		"{delay: 1s, maxDelay: 1s}":          "<nil>",
		"{maxDelay: 500ms}":                  "<nil>",
		`{maxDelay: 1s, delay: "${vars.d}"}`: "plan.yaml:4:52: step a (vaultInit): retry.maxDelay: 1s is less than retry.delay, 1m",
		"{maxDelay: 1ms, delay: soon}":       `plan.yaml:4:64: step a (vaultInit): retry.delay: "soon" is not a duration: write a number and a unit, such as 30s, 5m, 24h or 30d`,
		"{maxDelay: soon, delay: 1s}":        `plan.yaml:4:52: step a (vaultInit): retry.maxDelay: "soon" is not a duration: write a number and a unit, such as 30s, 5m, 24h or 30d`,
		"{maxDelay: -1s, delay: 1s}":         `plan.yaml:4:52: step a (vaultInit): retry.maxDelay: -1s is less than the minimum 0s`,
	} {
		_, err := plan.Load(plan.Input{Kinds: kinds(), Data: []byte(head + "steps: [{id: a, uses: vaultInit, retry: " + retry + "}]\nvars: {d: 1m}\n")})
		if d := cmp.Diff([]string{want}, problemsOf(err)); d != "" {
			t.Errorf("%s:\n%s", retry, d)
		}
	}
}
