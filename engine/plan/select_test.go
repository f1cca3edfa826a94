package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestSelectAnyGraph checks the rules of a selection with random plans: steps that need
// earlier ones, refer to them, or have a condition.
func TestSelectAnyGraph(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 100 {
		n := 2 + r.IntN(9)
		var b strings.Builder
		b.WriteString("steps:\n")
		for i := range n {
			fmt.Fprintf(&b, "  - {id: s%d, uses: pkiRoot, with: {commonName: ", i)
			if i > 0 && r.IntN(3) == 0 {
				fmt.Fprintf(&b, "\"${steps.s%d.issuerID}\"}", r.IntN(i))
			} else {
				b.WriteString("x}")
			}
			if i > 0 && r.IntN(2) == 0 {
				fmt.Fprintf(&b, ", needs: [s%d]", r.IntN(i))
			}
			if r.IntN(6) == 0 {
				b.WriteString(", when: false")
			}
			b.WriteString("}\n")
		}
		p := load(t, b.String())
		var only, skip []string
		for i := range n {
			if r.IntN(5) == 0 {
				only = append(only, fmt.Sprint("s", i))
			}
			if r.IntN(5) == 0 {
				skip = append(skip, fmt.Sprint("s", i))
			}
		}
		sel, err := p.Select(only, skip)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "no step is left") {
				t.Fatalf("--only %v --skip %v: %v\n%s", only, skip, err, b.String())
			}
			continue
		}
		wanted := make(map[string]bool) // by --only, with all that it needs
		for i := n - 1; i >= 0; i-- {
			s := p.Steps[i]
			if wanted[s.ID] = wanted[s.ID] || len(only) == 0 || slices.Contains(only, s.ID); wanted[s.ID] {
				for _, id := range s.Needs {
					wanted[id] = true
				}
			}
		}
		for i, s := range p.Steps { // needs are earlier, so that their state is checked
			runs := wanted[s.ID] && !slices.Contains(skip, s.ID) && s.When == nil &&
				!slices.ContainsFunc(s.DataNeeds(), func(id string) bool { return !sel.Includes(id) })
			if sel.Includes(s.ID) != runs || (sel.Left[s.ID] == "") != runs || slices.Contains(sel.Steps, p.Steps[i]) != runs {
				t.Fatalf("--only %v --skip %v: step %s runs: %v (%q), want %v\n%s", only, skip, s.ID, sel.Includes(s.ID), sel.Left[s.ID], runs, b.String())
			}
		}
	}
}
