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
	for _, c := range []struct {
		only, skip []string
		flags      string
	}{
		{nil, []string{"a", "b"}, "--skip a,b"}, {[]string{"b"}, []string{"b"}, "--only b --skip b"}, {[]string{"b"}, []string{"b", "a"}, "--only b --skip b,a"},
	} {
		want := "no step is left: " + c.flags + " leaves out all that were chosen\n  name a step that is not left out: a run of nothing shows nothing"
		if _, err := p.Select(c.only, c.skip); err == nil || err.Error() != want {
			t.Errorf("--only %q --skip %q: got %v, want %s", c.only, c.skip, err, want)
		}
	}
	none := load(t, "steps: [{id: a, uses: vaultInit, when: false}]")
	if _, err := none.Select(nil, nil); err != nil {
		t.Errorf("a plan of which no step runs, and nothing was chosen: %v", err)
	}
	if _, err := none.Select([]string{"a"}, nil); err == nil || !strings.HasPrefix(err.Error(), "no step is left: --only a leaves out") {
		t.Errorf("--only a step that does not run: %v", err)
	}
	for _, c := range []struct{ only, skip []string }{{}, {skip: []string{"a"}}, {[]string{"b"}, []string{"a"}}, {[]string{"a", "b"}, []string{"b"}}} {
		if _, err := p.Select(c.only, c.skip); err != nil {
			t.Errorf("--only %q --skip %q: %v", c.only, c.skip, err)
		}
	}
}

// TestSelectReasons: a step that does not run for several reasons has the first of them: that
// there is none, that the step which it closes is left out, that it has no values, its when.
func TestSelectReasons(t *testing.T) {
	p, err := closingPlan(t, `
- {id: token, uses: vaultInit}
- {id: none, uses: curlTLS, forEach: [], when: false, with: {url: "${steps.token.version}"}}
- {id: opened, uses: open, when: "${steps.token.count} == 1 && false", with: {server: "${steps.token.version}", end: close}}
- {id: never, uses: curlTLS, when: false, with: {url: "${steps.token.version}"}}
- {id: other, uses: curlTLS, with: {url: u}}
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	sel, err := p.Select(nil, []string{"token"})
	if err != nil {
		t.Fatal(err)
	}
	const version = "refers to ${steps.token.version}, and token is left out"
	want := map[string]string{
		"token": "--skip", "none": "forEach is empty: there is no instance", "opened": "refers to ${steps.token.count}, and token is left out",
		"opened.end": "belongs to opened, and opened is left out", "never": version,
	}
	if d := cmp.Diff(want, sel.Left); d != "" {
		t.Error(d)
	}
	sel, err = p.Select([]string{"other", "none"}, []string{"none"})
	if err != nil || sel.Left["none"] != "--skip" || sel.Left["never"] != "not among --only and what that needs" {
		t.Errorf("left %v, %v", sel, err)
	}
}
