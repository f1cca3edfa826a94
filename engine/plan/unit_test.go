package plan_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// withoutDir leaves a directory out of messages.
func withoutDir(dir, text string) string { return strings.ReplaceAll(text, dir+"/", "") }

// TestFragmentNames: what a fragment refers to, and does not have.
func TestFragmentNames(t *testing.T) {
	for _, tt := range []struct {
		name, plan string
		files      map[string]string
		want       []string
	}{
		{"names that no document has", "vars: {outer: 1}\nsteps: [{id: a, include: a.yaml, with: {own: x}}, {id: b, uses: vaultInit}]\n", map[string]string{
			"a.yaml": "vars: {own: , other: 1}\nsteps:\n  - {id: r, uses: curlTLS, with: {url: \"${vars.ow}${vars.nothing}${steps.q.serial}${vars.own}\"}}\n",
		}, []string{
			`a.yaml:5:41: step a.r (curlTLS): url: ${vars.ow}: there is no variable "ow" | included at plan.yaml:5:26 | did you mean "own"?`,
			`a.yaml:5:51: step a.r (curlTLS): url: ${vars.nothing}: there is no variable "nothing" | included at plan.yaml:5:26 | the variables are other and own`,
			`a.yaml:5:66: step a.r (curlTLS): url: ${steps.q.serial}: there is no step "q" | included at plan.yaml:5:26 | did you mean "r"?`,
		}},
		{"a fragment without outputs", "steps: [{id: a, include: a.yaml}, {id: b, uses: curlTLS, with: {url: \"${steps.a}\", trust: \"${steps.a.x}\"}}]\n", map[string]string{
			"a.yaml": "steps: [{id: r, uses: vaultInit}]\n",
		}, []string{
			`plan.yaml:4:71: step b (curlTLS): url: ${steps.a} names a fragment and no output of it | it has none: add outputs to a.yaml`,
			`plan.yaml:4:92: step b (curlTLS): trust: ${steps.a.x}: fragment a.yaml has no output "x" | add outputs to it`,
		}},
		{"a step without an id", "steps: [{id: a, include: a.yaml}]\n", map[string]string{
			"a.yaml": "steps: [{uses: vaultInit, with: {shares: 50}}]\n",
		}, []string{
			`a.yaml:3:9: steps[0]: id is missing | included at plan.yaml:4:26 | add id: …`,
			`a.yaml:3:42: steps[0]: shares: 50 is more than the maximum 10 | included at plan.yaml:4:26`,
		}},
		{"the condition of an entry", "steps:\n  - {id: a, include: a.yaml, forEach: [x, z], when: \"${each.value}\"}\n", map[string]string{
			"a.yaml": "steps: [{id: r, uses: vaultInit}, {id: s, uses: vaultInit, with: {shares: 50}}]\n",
		}, []string{
			`plan.yaml:5:53: step a[0]: when: a condition is true or false, and this is text | the same with a[1] | compare it: … == "…"`,
			`a.yaml:3:75: step a[0].s (vaultInit): shares: 50 is more than the maximum 10 | included at plan.yaml:5:22 / the same with a[1].s`,
		}},
	} {
		_, err := including(t, tt.plan, tt.files)
		if d := cmp.Diff(tt.want, problemsOf(err)); d != "" {
			t.Errorf("%s:\n%s", tt.name, d)
		}
	}
}

// TestFilesAsWritten: the plan's paths keep their form; those of a fragment are relative to
// the plan, unless they are absolute. No path is no file.
func TestFilesAsWritten(t *testing.T) {
	p, err := including(t, `
steps:
  - {id: plain, uses: vaultInit, with: {keys: ./sub/../keys.json}}
  - {id: part, include: parts/a.yaml}
`, map[string]string{"parts/a.yaml": `
steps:
  - {id: beside, uses: vaultInit, with: {keys: ./keys.json}}
  - {id: absolute, uses: vaultInit, with: {keys: /tmp/keys.json}}
  - {id: none, uses: vaultInit, with: {keys: ""}}
  - {id: default, uses: vaultInit}
`})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]engine.File{
		"plain":         {Name: "./sub/../keys.json", Path: filepath.Join(p.Dir, "keys.json")},
		"part.beside":   {Name: "parts/keys.json", Path: filepath.Join(p.Dir, "parts", "keys.json")},
		"part.absolute": {Name: "/tmp/keys.json", Path: "/tmp/keys.json"},
		"part.none":     {},
		"part.default":  {Name: "keys.json", Path: filepath.Join(p.Dir, "keys.json")},
	} {
		inputs, _ := p.Step(id).Draft()
		if got := inputs.(*initialise).Keys; got.Name != want.Name || got.Path != want.Path {
			t.Errorf("%s: got %s, %s; want %s, %s", id, got.Name, got.Path, want.Name, want.Path)
		}
	}
}

// TestPassedThrough: an output goes through the variables of nested fragments. It is a secret
// if it is one, or if a variable on the way is declared one, the first or the last.
func TestPassedThrough(t *testing.T) {
	const inner = "vars: {v: %s}\nsteps: [{id: s, uses: curlTLS, with: {url: u, token: \"${vars.v}\", trust: \"%s\"}}]\n"
	const outer = "vars: {v: %s}\nsteps: [{id: in, include: in.yaml, with: {v: \"${vars.v}\"}}]\n"
	const body = "steps: [{id: init, uses: vaultInit}, {id: out, include: out.yaml, with: {v: \"${steps.init.%s}\"}}]\n"
	const refused = "in.yaml:4:75: step out.in.s (curlTLS): trust: ${vars.v} is a secret, and this input is not: it would be shown"
	for _, tt := range []struct{ output, outer, inner, want string }{
		{"version", "", "", ""},
		{"version", "{secret: true}", "", refused},
		{"version", "", "{secret: true}", refused},
		{"rootToken", "", "", refused},
	} {
		files := map[string]string{"out.yaml": fmt.Sprintf(outer, tt.outer), "in.yaml": fmt.Sprintf(inner, tt.inner, "${vars.v}")}
		_, err := including(t, fmt.Sprintf(body, tt.output), files)
		if got, _, _ := strings.Cut(problemsOf(err)[0], " | "); got != tt.want && (tt.want != "" || err != nil) {
			t.Errorf("%+v:\n got %s", tt, got)
		}
		files["in.yaml"] = fmt.Sprintf(inner, tt.inner, "x")
		p, err := including(t, fmt.Sprintf(body, tt.output), files)
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
			continue
		}
		s := p.Step("out.in.s")
		spec, err := s.Spec(outputs(map[string]any{"init": initOutputs{Version: "value", RootToken: engine.NewSecret("value")}}))
		if err != nil || spec.(*probe).Token.Reveal() != "value" {
			t.Errorf("%+v: got %+v, %v", tt, spec, err)
		}
		if ref := s.Refs[0]; len(s.Refs) != 1 || ref.Step != "init" || ref.Output != tt.output || ref.Secret != (tt.want != "") {
			t.Errorf("%+v: references %+v", tt, s.Refs)
		}
		if unused := p.Unused(); len(unused) != 0 {
			t.Errorf("%+v: unused %v", tt, unused)
		}
	}
}

// TestUnusedOfUses: a variable of a fragment is used if any of its uses refers to it, the
// first or another one.
func TestUnusedOfUses(t *testing.T) {
	const fragment = "vars: {in: , inner: x, never: 1}\nsteps:\n  - {id: p, uses: curlTLS, forEach: \"${vars.in}\", with: {url: x}}\n" +
		"  - {id: s, include: deep.yaml, forEach: \"${vars.in}\", with: {v: \"${vars.inner}\"}}\n"
	for _, lists := range [][]string{{"[a]", "[]", "[]"}, {"[]", "[a]", "[]"}, {"[]", "[]", "[a]"}} {
		p, err := including(t, fmt.Sprintf("steps:\n  - {id: a, include: a.yaml, with: {in: %s}}\n  - {id: b, include: a.yaml, with: {in: %s}}\n  - {id: c, include: a.yaml, with: {in: %s}}\n", lists[0], lists[1], lists[2]),
			map[string]string{"a.yaml": fragment, "deep.yaml": "vars: {v: , w: 1}\nsteps: [{id: s, uses: curlTLS, when: \"${vars.v} == \\\"x\\\"\", with: {url: x}}]\n"})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for at, name := range p.Unused() {
			got = append(got, fmt.Sprintf("%s %s:%d:%d", name, filepath.Base(at.File), at.Line, at.Column))
		}
		slices.Sort(got)
		if d := cmp.Diff([]string{"never a.yaml:3:24", "w deep.yaml:3:13"}, got); d != "" {
			t.Errorf("%v: %s", lists, d)
		}
	}
}

// TestSourcesAreSorted: the plan comes first, then its fragments by their names.
func TestSourcesAreSorted(t *testing.T) {
	files, body := make(map[string]string), "steps:\n"
	var want []string
	for _, name := range []string{"e", "b", "h", "a", "g", "d", "f", "c"} {
		files[name+".yaml"] = "steps: [{id: r, uses: vaultInit}]\n"
		body += fmt.Sprintf("  - {id: %s, include: %s.yaml}\n", name, name)
		want = append(want, name+".yaml")
	}
	slices.Sort(want)
	p, err := including(t, body, files)
	if err != nil {
		t.Fatal(err)
	}
	var fragments, sources []string
	for _, f := range p.Fragments() {
		fragments = append(fragments, f.Name)
	}
	for _, f := range p.Sources() {
		sources = append(sources, filepath.Base(f.Name))
	}
	if d := cmp.Diff(want, fragments); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(append([]string{"plan.yaml"}, want...), sources); d != "" {
		t.Error(d)
	}
}

// TestProblemOfRunInFragment: a problem that shows in a run says where the fragment is
// included, as one does that shows before.
func TestProblemOfRunInFragment(t *testing.T) {
	p, err := including(t, "steps: [{id: root, uses: pkiRoot, with: {commonName: x}}, {id: f, include: a.yaml, with: {v: \"${steps.root.port}\"}}]\n",
		map[string]string{"a.yaml": "vars: {v: }\nsteps: [{id: s, uses: curlTLS, with: {url: x, expect: {status: \"${vars.v}\"}}}]\n"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Step("f.s").Spec(outputs(guideOutputs()))
	want := []string{"a.yaml:4:64: step f.s (curlTLS): expect.status: 8443 is more than the maximum 599 | included at plan.yaml:4:76"}
	if d := cmp.Diff(want, problemsOf(err)); d != "" || !errors.Is(err, engine.ErrPermanent) {
		t.Error(d)
	}
}

// TestUnknownKindIsNeeded: a step of an unknown kind has its place in the graph, and a
// reference to it no problem of its own.
func TestUnknownKindIsNeeded(t *testing.T) {
	p, err := plan.Draft(plan.Input{Kinds: kinds(), Connections: connections(), Data: []byte(head + `
connections: {vault: {token: "${steps.strange.token}"}}
steps:
  - {id: strange, uses: notAKind}
  - {id: a, uses: curlTLS, when: "${steps.strange.ready}", with: {url: "${steps.strange.url}"}}
  - {id: b, uses: pkiRoot, with: {commonName: x}}
`)})
	var problems *source.Problems
	if !errors.As(err, &problems) || len(problems.List()) != 1 {
		t.Fatalf("got %v", err)
	}
	for _, id := range []string{"a", "b"} {
		if s := p.Step(id); !slices.Equal(s.Needs, []string{"strange"}) || !slices.Equal(s.DataNeeds(), []string{"strange"}) {
			t.Errorf("%s needs %v, %v", id, s.Needs, s.DataNeeds())
		}
	}
}

// TestConnectWithoutOutputs: a step has no outputs if it says so, whatever it returns, and
// also if it returns none.
func TestConnectWithoutOutputs(t *testing.T) {
	p := load(t, "connections: {vault: {token: \"${steps.init.rootToken}\"}}\nsteps: [{id: init, uses: vaultInit}]\n")
	for _, known := range []func(string) (any, bool){
		func(string) (any, bool) { return nil, false },
		func(string) (any, bool) { return nil, true },
		func(string) (any, bool) { return initOutputs{RootToken: engine.NewSecret("hvs.former")}, false },
	} {
		var got connection
		err := p.Connect("vault", &got, known)
		want := []string{"plan.yaml:4:31: connections.vault.token: ${steps.init.rootToken}: step init has no outputs: it did not run"}
		if d := cmp.Diff(want, problemsOf(err)); d != "" || got.Token.Reveal() != "" {
			t.Error(d, got)
		}
	}
}
