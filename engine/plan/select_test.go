package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine/plan"
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

func TestSelect(t *testing.T) {
	p := load(t, `
steps:
  - {id: vault, uses: helmInstall, with: {chart: vault}}
  - {id: init, uses: vaultInit, needs: [vault]}
  - {id: root, uses: pkiRoot, with: {commonName: x, vault: {token: "${steps.init.rootToken}"}}}
  - {id: after, uses: helmInstall, needs: [root], with: {chart: after}}
  - {id: site, uses: curlTLS, with: {url: x, trust: "${steps.root.certificate}"}}
  - {id: never, uses: pkiRoot, when: false, with: {commonName: x}}
  - {id: on-never, uses: curlTLS, with: {url: "${steps.never.issuerID}"}}
  - {id: after-never, uses: helmInstall, needs: never, with: {chart: x}}
  - {id: other, uses: helmInstall, with: {chart: other}}
`)
	const refInit, refRoot = "refers to ${steps.init.rootToken}, and init is left out", "refers to ${steps.root.certificate}, and root is left out"
	never := map[string]string{"never": "when: false", "on-never": "refers to ${steps.never.issuerID}, and never is left out"}
	const not = "not among --only and what that needs"
	for _, tt := range []struct {
		name       string
		only, skip []string
		steps      []string
		left       map[string]string
	}{
		{"all", nil, nil, []string{"vault", "init", "root", "after", "site", "after-never", "other"}, never},
		{"only one and what it needs", []string{"root"}, nil, []string{"vault", "init", "root"},
			map[string]string{"after": not, "site": not, "never": not, "on-never": not, "after-never": not, "other": not}},
		{"skip: those that refer to it follow, those that come after it do not", nil, []string{"init"},
			[]string{"vault", "after", "after-never", "other"},
			map[string]string{"init": "--skip", "root": refInit, "site": refRoot, "never": never["never"], "on-never": never["on-never"]}},
		{"skip a step that nobody refers to", nil, []string{"vault"},
			[]string{"init", "root", "after", "site", "after-never", "other"},
			map[string]string{"vault": "--skip", "never": never["never"], "on-never": never["on-never"]}},
		{"both", []string{"site", "other"}, []string{"root"}, []string{"vault", "init", "other"},
			map[string]string{"root": "--skip", "site": refRoot, "after": not, "never": not, "on-never": not, "after-never": not}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sel, err := p.Select(tt.only, tt.skip)
			if err != nil {
				t.Fatal(err)
			}
			var steps []string
			for _, s := range sel.Steps {
				steps = append(steps, s.ID)
			}
			if d := cmp.Diff(tt.steps, steps); d != "" {
				t.Error("steps:", d)
			}
			if d := cmp.Diff(tt.left, sel.Left); d != "" {
				t.Error("left:", d)
			}
		})
	}
	_, err := p.Select([]string{"rot"}, []string{"init", "x"})
	const want = `--only rot: the plan has no such step
  did you mean "root"?

--skip x: the plan has no such step
  its steps are after, after-never, init, never, on-never, other, root, site and vault`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// A selection of nothing is refused, also where its needs would run.
func TestSelectNothing(t *testing.T) {
	p, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(head + "steps: [{id: a, uses: vaultInit}, {id: b, uses: vaultInit, needs: [a]}]"), Kinds: kinds(), Connections: connections()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ only, skip []string }{{skip: []string{"a", "b"}}, {[]string{"b"}, []string{"b"}}, {[]string{"b"}, []string{"b", "a"}}} {
		if _, err := p.Select(c.only, c.skip); err == nil || !strings.Contains(err.Error(), "no step is left") {
			t.Errorf("--only %q --skip %q: %v", c.only, c.skip, err)
		}
	}
	for _, c := range []struct{ only, skip []string }{{}, {skip: []string{"a"}}, {[]string{"b"}, []string{"a"}}, {[]string{"a", "b"}, []string{"b"}}} {
		if _, err := p.Select(c.only, c.skip); err != nil {
			t.Errorf("--only %q --skip %q: %v", c.only, c.skip, err)
		}
	}
}
