package plan_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// large are plans that took time quadratic in their size n, the number of
// their references, keys or steps.
var large = map[string]func(n int) string{
	"references": func(n int) string {
		return one(`"` + strings.Repeat("${steps.r.issuerID} ", n) + `"`)
	},
	"folded references": func(n int) string {
		return one(">\n" + strings.Repeat("          ${steps.r.issuerID} and\n          \\ ${steps.r.port}\n", n/2))
	},
	"escapes": func(n int) string {
		return one(`"` + strings.Repeat(`\U00000041${steps.r.issuerID}`, n) + `"`)
	},
	"hidden references": func(n int) string {
		return one(`"` + strings.Repeat(`\x24{steps.r.issuerID} `, n) + `"`)
	},
	"unknown references": func(n int) string {
		return one(`"` + strings.Repeat("${steps.r.nothing} ", n) + `"`)
	},
	"merge keys": func(n int) string {
		var b strings.Builder
		b.WriteString("vars:\n  a: &a\n")
		for i := range n {
			fmt.Fprintf(&b, "    k%d: 1\n", i)
		}
		b.WriteString("  b: {<<: *a, c: 1}\nsteps: [{id: r, uses: pkiRoot, with: {commonName: x}}]\n")
		return b.String()
	},
	"problems": func(n int) string {
		var b strings.Builder
		b.WriteString("steps:\n")
		for i := range n {
			fmt.Fprintf(&b, "  - {id: s%d, uses: pkiRoot, with: {commonNme: x}}\n", i)
		}
		return b.String()
	},
	"instances": func(n int) string {
		var b strings.Builder
		b.WriteString("vars:\n  items:\n")
		for i := range 100 {
			fmt.Fprintf(&b, "    k%d: {name: x}\n", i)
		}
		b.WriteString("steps:\n  - {id: s0, uses: pkiRoot, forEach: \"${vars.items}\", with: {commonName: \"${each.value.name}\"}}\n")
		for i := 1; i < n/100; i++ {
			fmt.Fprintf(&b, "  - {id: s%d, uses: pkiRoot, forEach: \"${vars.items}\", with: {commonName: \"${steps.s%d[each.key].issuerID}\", commonNme: x}}\n", i, i-1)
		}
		return b.String()
	},
	"chain": func(n int) string {
		var b strings.Builder
		b.WriteString("steps:\n  - {id: s0, uses: pkiRoot, with: {commonName: x}}\n")
		for i := 1; i < n; i++ {
			fmt.Fprintf(&b, "  - {id: s%d, uses: pkiRoot, needs: [s%d], with: {commonName: x}}\n", i, i-1)
		}
		return b.String()
	},
}

// one returns a plan with an input that holds a text.
func one(text string) string {
	return "steps:\n  - {id: r, uses: pkiRoot, with: {commonName: x}}\n  - id: s\n    uses: pkiRoot\n    with:\n        commonName: " + text + "\n"
}

// read reads a large plan, which may have problems of its own and no others.
func read(t testing.TB, body string) {
	t.Helper()
	_, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(head + body), Kinds: kinds(), Connections: connections()})
	var problems *source.Problems
	if err != nil && (!errors.As(err, &problems) || strings.Contains(problems.List()[0].Summary, "YAML")) {
		t.Fatal(err)
	}
}

// TestLargePlans takes a second or two. If a step of reading were quadratic again
// it would take minutes.
func TestLargePlans(t *testing.T) {
	for name, body := range large {
		n := 100_000
		if name == "problems" || name == "chain" || name == "instances" {
			n = 20_000 // each is a step
		}
		t.Run(name, func(t *testing.T) { read(t, body(n)) })
	}
}

// BenchmarkLarge reports how much longer a plan of twice the size takes: 2 is
// linear, 4 quadratic.
func BenchmarkLarge(b *testing.B) {
	for name, body := range large {
		b.Run(name, func(b *testing.B) {
			const n = 10_000
			half, whole := body(n), body(2*n)
			enginetest.Ratio(b, "t(2n)/t(n)", func() { read(b, half) }, func() { read(b, whole) })
		})
	}
}

// TestPlacesOfParts: each reference of a scalar has its own place, in the order of
// the text and when asked for again, however the source writes the text.
func TestPlacesOfParts(t *testing.T) {
	for text, want := range map[string]string{
		`a ${steps.r.port} ${steps.r.port} é ${steps.r.issuerID}`:                    "plan.yaml:9:23 plan.yaml:9:39 plan.yaml:9:57",
		`"a ${steps.r.port} ${steps.r.port}"`:                                        "plan.yaml:9:24 plan.yaml:9:40",
		`"\t ${steps.r.port}\U00000041\U00000041\U00000041${steps.r.port}"`:          "plan.yaml:9:25 plan.yaml:9:70",
		">\n          a ${steps.r.port}\n          ${steps.r.port}, ${steps.r.port}": "plan.yaml:10:13 plan.yaml:11:11 plan.yaml:11:28",
		"|\n          a ${steps.r.port}\n\n          é ${steps.r.port}":              "plan.yaml:10:13 plan.yaml:12:13",
		`"\x24{steps.r.port} ${steps.r.issuerID}"`:                                   "plan.yaml:9:22 plan.yaml:9:41",
	} {
		p := load(t, one(text))
		var got []string
		for _, r := range p.Steps[1].Refs {
			got = append(got, r.Position.String())
		}
		if have := strings.Join(got, " "); have != want {
			t.Errorf("%s\n got %s\nwant %s", text, have, want)
		}
	}
}

// TestLongLines: a line that is too long to be searched for secrets is not shown,
// and the lines beside it are.
func TestLongLines(t *testing.T) {
	long := "# " + strings.Repeat("password: hunter22 ", 5000)
	_, err := plan.Load(plan.Input{File: "plan.yaml", Kinds: kinds(), Connections: connections(), Data: []byte(head + "steps:\n" + long + "\n  - {id: r, uses: pkiRoot, with: {commonName: x, x: 1}}\n" + long + "\n")})
	if err == nil || strings.Contains(err.Error(), "hunter22") || !strings.Contains(err.Error(), "commonName: x, x: 1") {
		t.Errorf("got %v", err)
	}
	_, err = plan.Load(plan.Input{File: "plan.yaml", Kinds: kinds(), Connections: connections(), Data: []byte(head + "steps: [{id: r, uses: pkiRoot, with: {commonName: x, x: 1}}] " + long + "\n")})
	var problems *source.Problems
	if !errors.As(err, &problems) || problems.List()[0].Snippet != "" || problems.List()[0].Line != 4 {
		t.Errorf("got %v", err)
	}
}
