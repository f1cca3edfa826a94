package lint_test

import (
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/lint"
)

// TestOncePerStep: a finding of all instances of a step is one, and names the others.
func TestOncePerStep(t *testing.T) {
	const text = "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: p}\nsteps:\n" +
		"  - {id: init, uses: vaultInit, forEach: {a: 1, b: 2, c: 3}, with: {rootToken: keep, keys: {file: \"${each.key}.json\"}}}\n"
	var got []string
	for _, f := range lint.Examine(draft(t, text), lint.Options{}).Findings {
		if f.Rule == "root-token-kept" {
			got = append(got, f.Step+": "+f.Message)
		}
	}
	if len(got) != 1 || !strings.HasPrefix(got[0], `init["a"]: `) || !strings.HasSuffix(got[0], `; the same with init["b"] and init["c"]`) {
		t.Errorf("got %q", got)
	}
}
