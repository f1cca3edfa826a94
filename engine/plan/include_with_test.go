package plan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine/plan"
)

// TestIncludeNull: null gives a variable of a fragment no value, so that it has its default,
// and one without a default is missing.
func TestIncludeNull(t *testing.T) {
	files := map[string]string{"part.yaml": `
vars: {name: default, must: {required: true}}
steps: [{id: r, uses: curlTLS, with: {url: "${vars.name} ${vars.must}"}}]
`}
	for with, want := range map[string]string{
		"{must: x}":                              "default x",
		"{must: x, name: own}":                   "own x",
		"{must: x, name: null}":                  "default x",
		`{must: x, name: "${vars.map.nothing}"}`: "default x",
	} {
		p, err := including(t, "vars: {map: {nothing: null}}\nsteps: [{id: a, include: part.yaml, with: "+with+"}]\n", files)
		if err != nil {
			t.Errorf("%s: %v", with, err)
			continue
		}
		if got := p.Step("a.r").Literal()["url"]; got != want {
			t.Errorf("%s: got %s", with, got)
		}
	}
	for _, with := range []string{"null", "{}", "{must: null}", `{must: "${vars.map.nothing}"}`} {
		_, err := including(t, "vars: {map: {nothing: null}}\nsteps: [{id: a, include: part.yaml, with: "+with+"}]\n", files)
		got := problemsOf(err)
		if len(got) != 1 || !strings.Contains(got[0], "step a: with: must is missing: fragment part.yaml has no default for it | add must: … below with") {
			t.Errorf("%s: got %q", with, got)
		}
	}
}

// TestIncludePasses: an output goes through the variables of several fragments, and only a
// variable that has it passes it on.
func TestIncludePasses(t *testing.T) {
	p, err := including(t, `
steps:
  - {id: init, uses: vaultInit}
  - {id: a, include: outer.yaml, with: {name: "${steps.init.version}", count: "${steps.init.count}"}}
`, map[string]string{
		"outer.yaml": `
vars: {name: {type: string}, count: {type: number}, plain: w}
steps:
  - {id: in, include: inner.yaml, with: {name: "${vars.name}", count: "${vars.count}", plan: "${plan.name}", plain: "${vars.plain}"}}
`,
		"inner.yaml": `
vars: {name: {type: string}, count: {type: number}, plan: , plain: }
steps:
  - {id: r, uses: curlTLS, timeout: 5s, with: {url: "${vars.name}/${vars.plan}/${vars.plain}", expect: {status: "${vars.count}"}}}
  - {id: each, uses: curlTLS, forEach: ["${vars.plan}", "${vars.plain}"], with: {url: "${each.value}"}}
`})
	if err != nil {
		t.Fatal(err)
	}
	want := "map[expect:map[status:(known after init)] url:(known after init)/test/w]"
	if got := fmt.Sprint(p.Step("a.in.r").Literal()); got != want {
		t.Errorf("got %s", got)
	}
	inputs, err := p.Step("a.in.r").Spec(outputs(map[string]any{"init": initOutputs{Version: "v1", Count: 204}}))
	if err != nil || inputs.(*probe).URL != "v1/test/w" || inputs.(*probe).Expect.Status != 204 {
		t.Errorf("got %+v, %v", inputs, err)
	}
	if got := fmt.Sprint(p.Step("a.in.each[0]").Literal(), p.Step("a.in.each[1]").Literal()); got != "map[url:test] map[url:w]" {
		t.Errorf("got %s", got)
	}
}

// TestIncludeWithProblems: a value that is wrong has one problem, of all instances, and none
// follows from it inside the fragment.
func TestIncludeWithProblems(t *testing.T) {
	const part = `
vars: {name: {required: true}, size: {type: number, default: 200}}
steps:
  - {id: r, uses: curlTLS, when: '${vars.name} != "x"', with: {url: "${vars.name}", expect: {status: "${vars.size}"}}}
  - {id: in, include: inner.yaml, with: {name: "${vars.name}"}}
outputs: {serial: "${steps.r.serial}"}
`
	const inner = "vars: {name: }\nsteps: [{id: r, uses: curlTLS, with: {url: \"${vars.name}\"}}]\n"
	for _, tt := range []struct{ entry, want string }{
		{`with: {name: "${steps.init.version"}`, "plan.yaml:7:47: step a: with.name: a reference is not closed: } is missing | write $${ for the text ${ itself"},
		{`with: {name: "a ${vars.none}"}`, `plan.yaml:7:49: step a: with.name: ${vars.none}: there is no variable "none" | the variables are of`},
		{`with: {name: "${vars}"}`, "plan.yaml:7:47: step a: with.name: ${vars}: a name is missing after vars | references are ${vars.NAME}, ${steps.ID.OUTPUT}, ${plan.name}, and with forEach ${each.key} and ${each.value}; write $${ for the text ${ itself"},
		{`with: {name: "${steps.init.shares[vars.none]}"}`, `plan.yaml:7:47: step a: with.name: ${vars.none}: there is no variable "none" | the variables are of`},
		{`with: {name: "${steps.none.version}"}`, `plan.yaml:7:47: step a: with.name: ${steps.none.version}: there is no step "none" | the steps are a and init`},
		{`with: {name: x, size: "${steps.init.versio}"}`, `plan.yaml:7:56: step a: with.size: ${steps.init.versio}: step init (vaultInit) has no output "versio" | did you mean "version"?`},
		{`with: {name: x, size: "${steps.init.version}"}`, "plan.yaml:7:55: step a: with.size: want a number, and ${steps.init.version} is text"},
		{`forEach: [x, z], with: {name: x, size: "${steps.init.version}"}`, "plan.yaml:7:72: step a[0]: with.size: want a number, and ${steps.init.version} is text | the same with a[1]"},
		{`forEach: [x, z], with: {name: x, sise: 1}`, `plan.yaml:7:66: step a[0]: with: fragment part.yaml has no variable "sise" | the same with a[1] | did you mean "size"?`},
		{`forEach: [x, z], needs: [init, ini], with: {name: x}`, `plan.yaml:7:64: step a[0]: needs: there is no step "ini" | the same with a[1] | did you mean "init"?`},
		{`forEach: [x, z]`, "plan.yaml:7:5: step a[0]: with: name is missing: fragment part.yaml has no default for it | the same with a[1] | add name: … below with"},
	} {
		_, err := including(t, "vars: {of: x}\nsteps:\n  - {id: init, uses: vaultInit}\n  - {id: a, include: part.yaml, "+tt.entry+"}\n", map[string]string{"part.yaml": part, "inner.yaml": inner})
		if d := cmp.Diff([]string{tt.want}, problemsOf(err)); d != "" {
			t.Errorf("%s:\n%s", tt.entry, d)
		}
	}
}

// TestIncludeNeedsInstance: an id in needs that names one instance of a fragment is all steps
// of that instance.
func TestIncludeNeedsInstance(t *testing.T) {
	p, err := including(t, `
steps:
  - {id: a, include: part.yaml, forEach: {k: 1, l: 2}}
  - {id: b, uses: vaultInit, needs: ['a["l"]']}
  - {id: c, uses: vaultInit, forEach: {k: 1, l: 2}, needs: ["a[each.key]"]}
  - {id: d, uses: vaultInit, needs: a}
`, map[string]string{"part.yaml": "steps:\n  - {id: r, uses: vaultInit}\n  - {id: s, uses: vaultInit, forEach: [x]}\n"})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string][]string{
		"b":      {`a["l"].r`, `a["l"].s[0]`},
		`c["k"]`: {`a["k"].r`, `a["k"].s[0]`},
		"d":      {`a["k"].r`, `a["k"].s[0]`, `a["l"].r`, `a["l"].s[0]`},
	} {
		if d := cmp.Diff(want, p.Step(id).Explicit); d != "" {
			t.Errorf("%s: %s", id, d)
		}
	}
}

// TestIncludeOutputProblems: an output of a fragment is an output of one of its steps. One
// that is not has one problem, and what refers to it has none.
func TestIncludeOutputProblems(t *testing.T) {
	const body = `
steps:
  - {id: b, include: user.yaml, with: {given: "${steps.a.out}"}}
  - {id: a, include: outer.yaml}
  - {id: c, uses: curlTLS, with: {url: "${steps.a.out}"}}
`
	for output, want := range map[string]string{
		"${vars.x}":               `16: outputs.out: want an output of a step, have the text "${vars.x}" | INCLUDED | write ${steps.ID.OUTPUT}`,
		"${vars.x.y}":             `16: outputs.out: want an output of a step, have the text "${vars.x.y}" | INCLUDED | write ${steps.ID.OUTPUT}`,
		"${steps.r[vars.n].a}":    `17: outputs.out: ${vars.n}: there is no variable "n" | INCLUDED | did you mean "x"?`,
		"${plan.name}":            `16: outputs.out: want an output of a step, have the text "${plan.name}" | INCLUDED | write ${steps.ID.OUTPUT}`,
		"${steps.r}":              `16: outputs.out: want an output of a step, have the text "${steps.r}" | INCLUDED | write ${steps.ID.OUTPUT}`,
		"${steps.r.serial} again": `16: outputs.out: want an output of a step, have the text "${steps.r.serial} again" | INCLUDED | write ${steps.ID.OUTPUT}`,
		"${steps.r.seral}":        `17: outputs.out: ${steps.r.seral}: step a.in.r (curlTLS) has no output "seral" | INCLUDED | did you mean "serial"?`,
		"${steps.q.serial}":       `17: outputs.out: ${steps.q.serial}: there is no step "q" | INCLUDED | did you mean "r"?`,
	} {
		_, err := including(t, body, map[string]string{
			"part.yaml":  "vars: {x: 1}\nsteps: [{id: r, uses: curlTLS, with: {url: u}}]\noutputs: {out: \"" + output + "\"}\n",
			"outer.yaml": "steps: [{id: in, include: part.yaml}]\noutputs: {out: \"${steps.in.out}\"}\n",
			"user.yaml":  "vars: {given: }\nsteps: [{id: r, uses: curlTLS, with: {url: \"${vars.given}\"}}]\n",
		})
		want = "part.yaml:5:" + strings.Replace(want, "INCLUDED", "included at outer.yaml:3:27, included at plan.yaml:7:22", 1)
		if d := cmp.Diff([]string{want}, problemsOf(err)); d != "" {
			t.Errorf("%s:\n%s", output, d)
		}
	}
}

// TestIncludeChains: messages give the files on the way to a fragment in the order in which
// they include each other, and a file that is elsewhere with its whole path.
func TestIncludeChains(t *testing.T) {
	far := filepath.Join(t.TempDir(), "far.yaml")
	if err := os.WriteFile(far, []byte(fragmentHead+"steps: 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := including(t, `
steps:
  - {id: a, include: one.yaml}
  - {id: b, include: unlike.yaml}
  - {id: c, include: `+far+`}
  - {id: d, include: broken.yaml}
  - {id: e, include: /nowhere/far.yaml}
`, map[string]string{
		"one.yaml": "steps: [{id: x, include: two.yaml}]\n", "two.yaml": "steps: [{id: y, include: three.yaml}]\n", "three.yaml": "steps: [{id: z, include: one.yaml}]\n",
		"broken.yaml": "steps:\n  - {id: r, uses: vaultInit]}\nvars: []\n",
	})
	want := []string{
		"plan.yaml:7:22: step b: include: file \"unlike.yaml\": no such file or directory | the path is relative to the directory of plan.yaml",
		"plan.yaml:10:22: step e: include: file \"/nowhere/far.yaml\": no such file or directory | the path is relative to the directory of plan.yaml",
		"far.yaml:3:8: steps: want a list, have the number 5 | write every step with a hyphen: - id: …",
		"broken.yaml:4:3: not valid YAML: did not find expected ',' or '}' | what begins in this line is not closed before line 5",
		"three.yaml:3:26: step a.x.y.z: include: fragments include each other in a circle: one.yaml -> two.yaml -> three.yaml -> one.yaml | included at two.yaml:3:26, included at one.yaml:3:26, included at plan.yaml:6:22",
	}
	if d := cmp.Diff(want, problemsOf(err)); d != "" {
		t.Error(d)
	}
	if !strings.Contains(err.Error(), "\n"+far+":3:8: ") {
		t.Errorf("got %v", err)
	}
}

// TestFragmentCheckedValues: a fragment that is checked by itself has the values of its
// defaults, reads no environment, and needs no plan.
func TestFragmentCheckedValues(t *testing.T) {
	in := plan.Input{File: "app.yaml", Fragment: true, Kinds: kinds(), Connections: connections()}
	in.Data = []byte(fragmentHead + "vars: {size: 3, name: \"n${vars.size}\"}\nsteps: [{id: r, uses: vaultInit}]\n")
	p, err := plan.Load(in)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]any{"size": 3, "name": "n3"}, p.Vars); d != "" {
		t.Error(d)
	}
	for text, want := range map[string]string{
		"vars: {a: {env: X}}\nsteps: [{id: r, uses: vaultInit}]\n": "app.yaml:3:12: vars.a.env: a fragment reads no environment variable | declare it in the plan, and give it below with of the entry that includes the fragment",
		"steps: 5\n": "app.yaml:3:8: steps: want a list, have the number 5 | write every step with a hyphen: - id: …",
		"vars: {}\n": "app.yaml:1:1: steps are missing: a fragment has at least one | add steps: [{id: …, uses: …}]",
	} {
		in.Data = []byte(fragmentHead + text)
		if _, err := plan.Load(in); cmp.Diff([]string{want}, problemsOf(err)) != "" {
			t.Error(cmp.Diff([]string{want}, problemsOf(err)))
		}
	}
}

// TestIncludeExplosions: what is put together from variables for a fragment, or for forEach,
// is bounded as variables themselves are.
func TestIncludeExplosions(t *testing.T) {
	var b strings.Builder
	b.WriteString("vars:\n  v0: [x, x, x, x]\n")
	for i := range 16 {
		fmt.Fprintf(&b, "  v%d: [\"${vars.v%d}\", \"${vars.v%d}\"]\n", i+1, i, i)
	}
	for _, tt := range []struct{ steps, want string }{
		{`[{id: a, include: part.yaml, with: {list: ["${vars.v16}", "${vars.v16}"]}}]`, "step a: with.list: has more than 1000000 values"},
		{`[{id: a, include: part.yaml, forEach: ["${vars.v16}"], with: {list: ["${each.value}", "${each.value}", "${each.value}"]}}]`, "step a[0]: with.list: has more than 1000000 values"},
		{`[{id: a, uses: vaultInit, forEach: ["${vars.v16}", "${vars.v16}"]}]`, "step a: forEach: has more than 1000000 values"},
	} {
		_, err := including(t, b.String()+"steps: "+tt.steps+"\n", map[string]string{
			"part.yaml": "vars: {list: {required: true}}\nsteps: [{id: r, uses: helmInstall, forEach: \"${vars.list}\", with: {chart: c}}]\n"})
		if got := problemsOf(err); len(got) != 1 || !strings.HasSuffix(got[0], tt.want) {
			t.Errorf("got %q", got)
		}
	}
}

// TestIncludeAgain: a plan that is read again with other variables shows the lines of its
// fragments in messages, too.
func TestIncludeAgain(t *testing.T) {
	first, err := including(t, "vars: {status: 200}\nsteps: [{id: a, include: part.yaml, with: {status: \"${vars.status}\"}}]\n", map[string]string{
		"part.yaml": "vars: {status: }\nsteps: [{id: r, uses: curlTLS, with: {url: u, expect: {status: \"${vars.status}\"}}}]\n"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = first.With(values(t, "{status: 1}"))
	if len(problemsOf(err)) != 1 || !strings.Contains(err.Error(), "> 4 | steps: [{id: r") {
		t.Errorf("got %v", err)
	}
}
