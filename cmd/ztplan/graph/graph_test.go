package graph_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/graph"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/engine/plan"
)

// A link is a step of a long chain.
type link struct{}

func (*link) Inspect(context.Context, *engine.Env) (out struct{}, edits []engine.Edit, err error) {
	return
}

// longChain returns a plan of n steps of which each needs the one before.
func longChain(t testing.TB, n int) *plan.Plan {
	t.Helper()
	var b strings.Builder
	b.WriteString("apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: chain}\nsteps:\n  - {id: s0, uses: link}\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "  - {id: s%d, uses: link, needs: [s%d]}\n", i, i-1)
	}
	kind := engine.NewKind("link", engine.Policy{}, func() *link { return new(link) })
	p, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(b.String()), Kinds: []*engine.Kind{kind}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var drawings = map[string]func(io.Writer, *plan.Plan) error{"text": graph.Text, "dot": graph.DOT, "mermaid": graph.Mermaid, "svg": graph.SVG, "json": graph.JSON}

// TestGraphOfLongChain: no drawing looks at every step again for every level, which is as
// many levels as steps here.
func TestGraphOfLongChain(t *testing.T) {
	p := longChain(t, 50_000)
	for name, draw := range drawings {
		if err := draw(io.Discard, p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGraphTextIsByLevels(t *testing.T) {
	var b strings.Builder
	if err := graph.Text(&b, longChain(t, 3)); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), " 0  s0  link\n 1  s1  link  ← s0\n 2  s2  link  ← s1\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Every drawing shows the condition of a step, in its own syntax.
func TestGraphShowsConditions(t *testing.T) {
	kind := engine.NewKind("link", engine.Policy{}, func() *link { return new(link) })
	const text = "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: p}\nvars: {n: x}\nsteps:\n  - {id: a, uses: link, when: '${vars.n} == \"x\"'}\n  - {id: b, uses: link}\n"
	p, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(text), Kinds: []*engine.Kind{kind}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"text": `link  when ${vars.n} == "x"`, "dot": `when ${vars.n} == \"x\""`, "mermaid": "when ${vars.n} == #quot;x#quot;</small>",
		"svg": "(link, when ${vars.n} == &#34;x&#34;)", "json": `"when":"${vars.n} == \"x\""`,
	} {
		var b strings.Builder
		if err := drawings[name](&b, p); err != nil {
			t.Fatal(err)
		}
		if strings.Count(b.String(), want) != 1 {
			t.Errorf("%s: want %s once in\n%s", name, want, b.String())
		}
	}
}

// BenchmarkGraph reports how much longer a chain of twice the length takes: 2 is
// linear, 4 quadratic.
func BenchmarkGraph(b *testing.B) {
	const n = 25_000
	half, whole := longChain(b, n), longChain(b, 2*n)
	for name, draw := range drawings {
		b.Run(name, func(b *testing.B) {
			of := func(p *plan.Plan) func() {
				return func() {
					if err := draw(io.Discard, p); err != nil {
						b.Fatal(err)
					}
				}
			}
			enginetest.Ratio(b, "t(2n)/t(n)", of(half), of(whole))
		})
	}
}
