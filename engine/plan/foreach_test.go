package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
)

func ids(steps []*plan.Step) (out []string) {
	for _, s := range steps {
		out = append(out, s.ID)
	}
	return out
}

const many = `
vars:
  certs: {shop: {name: shop.local}, pay: {name: pay.local}}
steps:
  - {id: certs, uses: pkiRoot, forEach: "${vars.certs}", with: {commonName: "${each.value.name}"}}
  - id: sites
    uses: curlTLS
    forEach: ${vars.certs}
    when: ${steps.certs[each.key].ready}
    with: {url: "https://${each.value.name}/${each.key}", trust: "${steps.certs[each.key].certificate}"}
  - {id: all, uses: curlTLS, needs: [certs], with: {url: u, trust: '${steps.certs["pay"].certificate}'}}
  - {id: list, uses: pkiRoot, forEach: [a, b], needs: ['certs["shop"]'], with: {commonName: "${each.value}", keyBits: "${each.key}"}}
`

// TestForEach: every item is a step of its own, and references and needs name one of them
// or all.
func TestForEach(t *testing.T) {
	p := load(t, many)
	want := []string{`certs["shop"]`, `certs["pay"]`, `sites["shop"]`, `sites["pay"]`, "all", "list[0]", "list[1]"}
	if d := cmp.Diff(want, ids(p.Steps)); d != "" {
		t.Fatal(d)
	}
	for id, want := range map[string]string{
		`certs["shop"]`: "map[commonName:shop.local] []",
		`sites["pay"]`:  `map[trust:(known after certs["pay"]) url:https://pay.local/pay] [certs["pay"]]`,
		"all":           `map[trust:(known after certs["pay"]) url:u] [certs["shop"] certs["pay"]]`,
		"list[1]":       `map[commonName:b keyBits:1] [certs["shop"]]`,
	} {
		s := p.Step(id)
		if got := fmt.Sprint(s.Literal(), " ", s.Needs); got != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
	}
	s := p.Step(`sites["shop"]`)
	if s.Group != "sites" || s.Position.String() != "plan.yaml:9:5" {
		t.Errorf("group %q at %s", s.Group, s.Position)
	}
	outputs := func(id string) (any, bool) {
		return rootOutputs{Certificate: "of " + id, Ready: true}, true
	}
	if ok, err := s.When.Eval(outputs); !ok || err != nil {
		t.Errorf("when is %v, %v", ok, err)
	}
	inputs, err := s.Spec(outputs)
	if err != nil || inputs.(*probe).Trust != `of certs["shop"]` || inputs.(*probe).URL != "https://shop.local/shop" {
		t.Errorf("got %+v, %v", inputs, err)
	}
	if !s.Knows(`certs["shop"]`, rootOutputs{Certificate: "c", Ready: true}) || s.Knows(`certs["shop"]`, rootOutputs{Ready: true}) {
		t.Error("what the step refers to is not found in the outputs")
	}
}

// TestForEachOutputs: an output of one instance has a name, and one of all has none.
func TestForEachOutputs(t *testing.T) {
	p := load(t, many)
	out, err := p.Output(`certs["shop"].names.common`)
	if err != nil || out.Step.ID != `certs["shop"]` {
		t.Fatal(out, err)
	}
	if v, err := out.Value(rootOutputs{Names: names{Common: "x"}}); err != nil || v != "x" {
		t.Errorf("got %v, %v", v, err)
	}
	for name, want := range map[string]string{
		"certs.certificate":        `certs["shop"]`,
		`certs["sho"].certificate`: `did you mean certs["shop"]?`,
		`certs[0].certificate`:     `its instances are certs["pay"] and certs["shop"]`,
	} {
		if _, err := p.Output(name); err == nil || !strings.Contains(engine.HintOf(err), want) {
			t.Errorf("%s: got %v (%s), want %s", name, err, engine.HintOf(err), want)
		}
	}
}

// TestForEachSelect: the id without a key is all instances.
func TestForEachSelect(t *testing.T) {
	p := load(t, many)
	for _, tc := range []struct{ only, skip, want string }{
		{"certs", "", `certs["shop"] certs["pay"]`},
		{`certs["pay"]`, "", `certs["pay"]`},
		{"sites", `sites["shop"]`, `certs["shop"] certs["pay"] sites["pay"]`},
		{"", "certs", "list[0] list[1]"},
		{"", `certs["shop"]`, `certs["pay"] sites["pay"] all list[0] list[1]`},
		{"certs", "certs", ""},
		{`certs["sho"]`, "", ""},
	} {
		split := func(s string) []string { return slices.DeleteFunc([]string{s}, func(s string) bool { return s == "" }) }
		sel, err := p.Select(split(tc.only), split(tc.skip))
		if err != nil {
			if tc.want != "" {
				t.Errorf("%+v: %v", tc, err)
			}
			continue
		}
		if got := strings.Join(ids(sel.Steps), " "); got != tc.want {
			t.Errorf("%+v: got %s", tc, got)
		}
	}
}

// TestForEachEmpty: a collection without items leaves a step that never runs, so that all
// lists of the steps of a run have it.
func TestForEachEmpty(t *testing.T) {
	for _, collection := range []string{"[]", "{}", "null", "'${vars.none}'", "'${vars.map.no}'"} {
		p := load(t, `
vars: {none: {type: list, default: []}, map: {no: null}}
steps:
  - {id: certs, uses: pkiRoot, forEach: `+collection+`, with: {commonName: "${each.value.name}", keyType: ed25519, keyBits: "${each.value.bits}", mount: sys}}
  - {id: after, uses: curlTLS, needs: [certs], with: {url: u}}
`)
		sel, err := p.Select(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(ids(sel.Steps), " ") + ", left: " + sel.Left["certs"]; got != "after, left: forEach is empty: there is no instance" {
			t.Errorf("%s: got %s", collection, got)
		}
		s := p.Step("certs")
		if _, unknown := s.Draft(); !s.Empty || engine.Known("commonName", unknown) {
			t.Errorf("%s: the inputs count as known", collection)
		}
	}
}

// TestForEachKeepsSecretsApart: a secret in one value of a collection that is written out
// makes no other value secret.
func TestForEachKeepsSecretsApart(t *testing.T) {
	p := load(t, `
vars: {token: {secret: true, default: hvs.abcdefgh}}
steps:
  - {id: sites, uses: curlTLS, forEach: {a: {url: u, token: "${vars.token}"}}, with: {url: "${each.value.url}", token: "${each.value.token}"}}
`)
	if got := fmt.Sprint(p.Steps[0].Literal()); got != "map[token:(secret) url:u]" {
		t.Errorf("got %s", got)
	}
	if inputs, _ := p.Steps[0].Draft(); inputs.(*probe).Token.Reveal() != "hvs.abcdefgh" {
		t.Errorf("the token is %q", inputs.(*probe).Token.Reveal())
	}
}

// TestForEachProblems: a collection that cannot be read has one problem, whatever
// refers to its instances, and so has a reference to what an item does not have.
func TestForEachProblems(t *testing.T) {
	const vars = "vars: {token: {secret: true, default: hvs.abcdefgh}}\n"
	const after = `- {id: b, uses: curlTLS, needs: ['a["k"]'], with: {url: '${steps.a["l"].serial}'}}` + "\n"
	for _, tt := range []struct{ forEach, url, want string }{
		{`"${vars.none}"`, "u", `plan.yaml:6:21: step a: forEach: ${vars.none}: there is no variable "none" | the variables are token`},
		{`{k: "${vars.none}"}`, "u", `plan.yaml:6:25: step a: forEach: ${vars.none}: there is no variable "none" | the variables are token`},
		{`{k: 1, null: 2}`, "u", "plan.yaml:6:27: step a: forEach: a key has no name: write it in quotes"},
		{`{k: 1, l: 1}`, "${each}", `plan.yaml:6:62: step a["k"] (curlTLS): url: ${each}: an item has a key and a value | the same with a["l"] | write ${each.key} and ${each.value}`},
		{`{k: 1, l: 1}`, "${each.kay}", `plan.yaml:6:62: step a["k"] (curlTLS): url: ${each.kay}: an item has a key and a value | the same with a["l"] | write ${each.key} and ${each.value}`},
		{`{k: 1, l: 1}`, "${each.key.x}", `plan.yaml:6:62: step a["k"] (curlTLS): url: ${each.key.x}: a key has no parts | the same with a["l"] | write ${each.key}`},
		{`{k: u, l: [u]}`, "${each.value}", `plan.yaml:6:63: step a["l"] (curlTLS): url: want text, and ${each.value} is a list`},
		{`{k: {url: u}, l: {url: [u]}}`, "${each.value.url}", `plan.yaml:6:77: step a["l"] (curlTLS): url: want text, and ${each.value.url} is a list`},
		{`{k: {url: u}, l: {ulr: u}}`, "${each.value.url}", `plan.yaml:6:38: item "l" lacks url, which 1 of the 2 items has | used at plan.yaml:6:76 | write url instead of ulr`},
		{`{k: {url: u, token: "${vars.token}"}, l: {token: "${vars.token}"}}`, "${each.value.url}", `plan.yaml:6:116: step a["l"] (curlTLS): url: ${each.value.url}: each.value has no key "url" | it has token`},
	} {
		_, err := plan.Load(plan.Input{
			File: "plan.yaml", Data: []byte(head + vars + "steps:\n- {id: a, forEach: " + tt.forEach + ", uses: curlTLS, with: {url: \"" + tt.url + "\"}}\n" + after),
			Kinds: kinds(), Connections: connections(),
		})
		if d := cmp.Diff([]string{tt.want}, problemsOf(err)); d != "" {
			t.Errorf("%s, %s:\n%s", tt.forEach, tt.url, d)
		}
	}
}

// TestForEachClosing: each instance has its own closing step.
func TestForEachClosing(t *testing.T) {
	p, err := closingPlan(t, "- {id: init, uses: open, forEach: {a: close, b: keep}, with: {end: \"${each.value}\"}}\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(ids(p.Steps), " "); got != `init["a"] init["b"] init["a"].end` {
		t.Errorf("got %s", got)
	}
}

// TestForEachIsBounded: there are at most a thousand instances, and a thousand that each
// need one other are read at once.
func TestForEachIsBounded(t *testing.T) {
	body := func(n int) string {
		return "vars: {n: [" + strings.Repeat("x, ", n) + "]}\nsteps:\n" +
			"  - {id: a, uses: pkiRoot, forEach: \"${vars.n}\", with: {commonName: \"${each.value}\"}}\n" +
			"  - {id: b, uses: pkiRoot, forEach: \"${vars.n}\", with: {commonName: \"${steps.a[each.key].issuerID}\"}}\n"
	}
	if p := load(t, body(1000)); len(p.Steps) != 2000 {
		t.Errorf("%d steps", len(p.Steps))
	}
	_, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(head + body(1001)), Kinds: kinds(), Connections: connections()})
	if err == nil || !strings.Contains(err.Error(), "step a: forEach: has 1001 items, and at most 1000 are run") {
		t.Errorf("got %v", err)
	}
}
