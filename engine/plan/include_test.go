package plan_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
)

const fragmentHead = "apiVersion: ztplan.dev/v1\nkind: Fragment\n"

// including loads a plan that includes fragments, which are files by their names.
func including(t testing.TB, body string, files map[string]string) (*plan.Plan, error) {
	t.Helper()
	in := fragments(t, files)
	in.Data = []byte(head + body)
	return plan.Load(in)
}

// fragments writes files beside a plan; those that are fragments get their head.
func fragments(t testing.TB, files map[string]string) plan.Input {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".yaml") && !strings.HasPrefix(text, "#") {
			text = fragmentHead + text
		}
		if err := os.WriteFile(file, []byte(strings.TrimPrefix(text, "#")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return plan.Input{
		File: filepath.Join(dir, "plan.yaml"), Kinds: kinds(), Connections: connections(),
		Env: func(string) (string, bool) { return "hvs.from-outside", true },
	}
}

// problemsOf returns the lines of an error's problems, with the directory of the plan left
// out: place and summary, detail and hint.
func problemsOf(err error) []string {
	var problems *source.Problems
	if !errors.As(err, &problems) {
		return []string{fmt.Sprint(err)}
	}
	var out []string
	for _, p := range problems.List() {
		dir := filepath.Dir(p.File)
		for filepath.Base(dir) == "parts" || filepath.Base(dir) == "deep" {
			dir = filepath.Dir(dir)
		}
		text := p.Error()
		for _, more := range []string{p.Detail, p.Hint} {
			if more != "" {
				text += " | " + strings.ReplaceAll(more, "\n", " / ")
			}
		}
		out = append(out, strings.ReplaceAll(text, dir+"/", ""))
	}
	return out
}

const (
	appPlan = `
connections: {vault: {address: "https://${vars.host}", caFile: ca.pem}}
vars:
  host: vault.local
  names: {shop: shop.local, pay: pay.local}
  token: {secret: true, env: TOKEN}
steps:
  - {id: init, uses: vaultInit, with: {shares: 1}}
  - id: base
    include: parts/app.yaml
    needs: init
    with: {name: base.local, token: "${vars.token}", version: "${steps.init.version}", key: "${steps.init.rootToken}"}
  - id: apps
    include: parts/app.yaml
    forEach: ${vars.names}
    when: ${steps.base.ready}
    with: {name: "${each.value}", token: "${vars.token}", version: "${steps.base.common}", key: "${steps.base.key}"}
  - {id: last, uses: curlTLS, needs: [base], with: {url: 'https://${steps.apps["pay"].common}', trust: "${steps.base.certificate}"}}
`
	appFragment = `
vars:
  name: {required: true, type: string}
  token: {secret: true}
  version:
  key: {secret: true}
  hosts: [a, b]
steps:
  - {id: certificate, uses: pkiRoot, with: {commonName: "${vars.name}", vault: {token: "${vars.key}"}, mount: "${plan.name}"}}
  - id: proofs
    uses: curlTLS
    forEach: ${vars.hosts}
    needs: certificate
    when: ${vars.version} != "0"
    with: {url: "https://${each.value}.${vars.name}/${vars.version}", token: "${vars.token}"}
outputs:
  certificate: ${steps.certificate.certificate}
  common: ${steps.certificate.names.common}
  key: ${steps.certificate.key}
  port: ${steps.certificate.port}
  ready: ${steps.certificate.ready}
  names: ${steps.certificate.names}
`
)

func apps(t testing.TB) *plan.Plan {
	t.Helper()
	p, err := including(t, appPlan, map[string]string{"parts/app.yaml": appFragment, "ca.pem": "x", "parts/ca.pem": "other"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestInclude: the steps of a fragment are steps of the plan, with ids below that of the
// entry. They have the values of with; outputs go in and out, with their edges.
func TestInclude(t *testing.T) {
	p := apps(t)
	want := []string{"init", "base.certificate", "base.proofs[0]", "base.proofs[1]",
		`apps["shop"].certificate`, `apps["shop"].proofs[0]`, `apps["shop"].proofs[1]`,
		`apps["pay"].certificate`, `apps["pay"].proofs[0]`, `apps["pay"].proofs[1]`, "last"}
	if d := cmp.Diff(want, ids(p.Steps)); d != "" {
		t.Fatal(d)
	}
	for id, want := range map[string]string{
		"base.certificate":        `map[commonName:base.local mount:test vault:map[address:https://vault.local caFile:ca.pem token:(known after init)]] [init]`,
		"base.proofs[1]":          `map[token:(secret) url:https://b.base.local/(known after init)] [init base.certificate]`,
		`apps["pay"].certificate`: `map[commonName:pay.local mount:test vault:map[address:https://vault.local caFile:ca.pem token:(known after base.certificate)]] [base.certificate]`,
		`apps["shop"].proofs[0]`:  `map[token:(secret) url:https://a.shop.local/(known after base.certificate)] [base.certificate apps["shop"].certificate]`,
		"last":                    `map[trust:(known after base.certificate) url:https://(known after apps["pay"].certificate)] [base.certificate base.proofs[0] base.proofs[1] apps["pay"].certificate]`,
	} {
		s := p.Step(id)
		if got := fmt.Sprint(s.Literal(), " ", s.Needs); got != want {
			t.Errorf("%s:\n got %s\nwant %s", id, got, want)
		}
	}
	s := p.Step(`apps["shop"].proofs[1]`)
	if at := s.Position; filepath.Base(at.File) != "app.yaml" || at.Line != 12 || s.PositionOf("url").Line != 17 || s.Group != "proofs" {
		t.Errorf("at %s, url at %s, group %s", at, s.PositionOf("url"), s.Group)
	}
	if at := p.Step("base.certificate").PositionOf("vault.address"); filepath.Base(at.File) != "plan.yaml" || at.Line != 5 {
		t.Errorf("an address from the connections is at %s", at)
	}
}

// TestIncludeResolves: values of outputs reach the steps of a fragment through its
// variables, and others through its outputs.
func TestIncludeResolves(t *testing.T) {
	p := apps(t)
	token := engine.NewSecret("hvs.canary")
	known := outputs(map[string]any{
		"init":                    initOutputs{RootToken: token, Version: "1.2"},
		"base.certificate":        rootOutputs{Certificate: "PEM", Names: names{Common: "8200"}, Ready: true, Key: token},
		`apps["pay"].certificate`: rootOutputs{Names: names{Common: "pay"}},
	})
	inputs, err := p.Step("base.certificate").Spec(known)
	if err != nil {
		t.Fatal(err)
	}
	if r := inputs.(*root); !r.Vault.Token.Equal(token) || r.Vault.CAFile.Path != filepath.Join(p.Dir, "ca.pem") {
		t.Errorf("got %+v", r.Vault)
	}
	if inputs, err = p.Step(`apps["pay"].proofs[1]`).Spec(known); err != nil || inputs.(*probe).URL != "https://b.pay.local/8200" {
		t.Errorf("got %+v, %v", inputs, err)
	}
	if inputs, err = p.Step("last").Spec(known); err != nil || inputs.(*probe).URL != "https://pay" || inputs.(*probe).Trust != "PEM" {
		t.Errorf("got %+v, %v", inputs, err)
	}
	if _, err := p.Step("base.certificate").Spec(outputs(nil)); err == nil || err.Error() != "${vars.key}: step init has no outputs: it did not run" {
		t.Errorf("without outputs: %v", err)
	}
}

// TestIncludeWhen: the condition of an entry holds for every step of the fragment, beside
// their own.
func TestIncludeWhen(t *testing.T) {
	p := apps(t)
	for _, tc := range []struct {
		ready         bool
		version, want string
	}{{true, "1", "true true"}, {false, "1", "false false"}, {true, "0", "true false"}} {
		known := outputs(map[string]any{"base.certificate": rootOutputs{Ready: tc.ready, Names: names{Common: tc.version}}, `apps["pay"].certificate`: rootOutputs{}})
		var got []string
		for _, id := range []string{`apps["pay"].certificate`, `apps["pay"].proofs[0]`} {
			ok, err := p.Step(id).When.Eval(known)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(ok))
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%+v: got %v", tc, got)
		}
	}
}

// TestIncludeSelect: the id of an entry is all steps of its fragments.
func TestIncludeSelect(t *testing.T) {
	p := apps(t)
	for _, tc := range []struct{ only, skip, want string }{
		{"base", "", "init base.certificate base.proofs[0] base.proofs[1]"},
		{"base.proofs", "base.proofs[0]", "init base.certificate base.proofs[1]"},
		{`apps["pay"]`, "base.proofs", `init base.certificate apps["pay"].certificate apps["pay"].proofs[0] apps["pay"].proofs[1]`},
		{"apps.certificate", "", `init base.certificate apps["shop"].certificate apps["pay"].certificate`},
		{`apps["pay"].proofs`, "", `init base.certificate apps["pay"].certificate apps["pay"].proofs[0] apps["pay"].proofs[1]`},
		{"", "base", "init"},
		{"", "apps", "init base.certificate base.proofs[0] base.proofs[1]"},
		{"app", "", ""},
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
	want := []string{"init", "base", "base.certificate", "base.proofs", "base.proofs[0]", "base.proofs[1]", "apps", `apps["shop"]`, "apps.certificate", `apps["shop"].certificate`}
	if d := cmp.Diff(want, p.IDs()[:len(want)]); d != "" {
		t.Error(d)
	}
}

// TestIncludeOutputs: an output has the name that a reference has, and those that the
// fragment does not show have the id of their step.
func TestIncludeOutputs(t *testing.T) {
	p := apps(t)
	for name, want := range map[string]string{
		"base.certificate":             "base.certificate certificate",
		"base.names.common":            "base.certificate names.common",
		`apps["pay"].common`:           `apps["pay"].certificate names.common`,
		"base.certificate.certificate": "base.certificate certificate",
		`apps["pay"].proofs[0].serial`: `apps["pay"].proofs[0] serial`,
		"base.key":                     "base.certificate key secret",
		"base":                         "base names a fragment and no output of it (its outputs are certificate, common, key, names, port and ready)",
		"base.certificat":              `base.certificat: fragment parts/app.yaml has no output "certificat" (did you mean "certificate"?)`,
		"apps.common":                  "apps.common: step apps has forEach: which of its instances is meant? (write ${steps.apps[\"shop\"].NAME} for one of them, and ${steps.apps[each.key].NAME} in a step with the same forEach)",
	} {
		out, err := p.Output(name)
		got := ""
		if err != nil {
			got = strings.ReplaceAll(err.Error(), p.Dir+"/", "") + " (" + engine.HintOf(err) + ")"
		} else {
			got = out.Step.ID
			for _, path := range []string{"certificate", "names.common", "serial", "key"} {
				if v, err := out.Value(map[string]any{
					"certificate": rootOutputs{Certificate: path}, "names.common": rootOutputs{Names: names{Common: path}},
					"serial": probeOutputs{Serial: path}, "key": rootOutputs{Key: engine.NewSecret(path)},
				}[path]); err == nil && v != nil {
					got += " " + path
				}
			}
			if out.Secret {
				got += " secret"
			}
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

// TestIncludeFiles: a path is relative to the document that writes it.
func TestIncludeFiles(t *testing.T) {
	files := map[string]string{
		"parts/app.yaml": `
vars: {values: {required: true}, own: own.yml, more: []}
steps:
  - {id: chart, uses: helmInstall, with: {chart: ./c, valuesFiles: [beside.yml, "${vars.own}", "${vars.values}", "./${vars.own}"]}}
  - {id: each, uses: helmInstall, forEach: "${vars.more}", with: {chart: c, valuesFiles: ["${each.value.file}"]}}
  - {id: below, include: deep/app.yaml, with: {values: "${vars.values}", own: "${vars.own}"}}
`,
		"parts/deep/app.yaml": `
vars: {values: , own: }
steps:
  - {id: chart, uses: helmInstall, with: {chart: c, valuesFiles: ["${vars.values}", "${vars.own}", ../own.yml]}}
`,
		"given.yml": "", "parts/beside.yml": "", "parts/own.yml": "",
	}
	p, err := including(t, `
vars: {file: given.yml}
steps:
  - {id: a, include: parts/app.yaml, with: {values: "${vars.file}", more: [{file: given.yml}]}}
`, files)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		"a.chart":       "parts/beside.yml parts/own.yml given.yml parts/own.yml",
		"a.each[0]":     "given.yml",
		"a.below.chart": "given.yml parts/own.yml parts/own.yml",
	} {
		inputs, _ := p.Step(id).Draft()
		var got []string
		for _, f := range inputs.(*chart).Files {
			if f.Path != filepath.Join(p.Dir, f.Name) {
				t.Errorf("%s: %s is %s", id, f.Name, f.Path)
			}
			got = append(got, f.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %s", id, got)
		}
	}
	if inputs, _ := p.Step("a.chart").Draft(); inputs.(*chart).Name != "parts/c" {
		t.Errorf("the directory of a chart is %s", inputs.(*chart).Name)
	}
	var got []string
	for _, f := range p.Fragments() {
		got = append(got, f.Name)
	}
	if strings.Join(got, " ") != "parts/app.yaml parts/deep/app.yaml" {
		t.Errorf("fragments %s", got)
	}
}

// TestIncludeProblems: each problem has the place where it is mended, once.
func TestIncludeProblems(t *testing.T) {
	for _, tt := range []struct {
		name, plan string
		files      map[string]string
		want       []string
	}{
		{"values", `
vars: {n: 1, secret: {secret: true, default: hvs.abcdef}}
steps:
  - {id: init, uses: vaultInit}
  - id: a
    include: parts/a.yaml
    uses: curlTLS
    retry: {attempts: 1}
    with: {nme: x, size: x, text: "${steps.init.version}!", list: "${steps.init.version}", plain: "${vars.secret}", no: "${steps.init.versio}"}
  - {id: b, include: parts/a.yaml, with: [1]}
`, map[string]string{"parts/a.yaml": `
vars: {name: {required: true}, size: 1, text: x, list: {type: list, default: []}, plain: x, no: x}
steps:
  - {id: r, uses: curlTLS, with: {url: "${vars.plain}"}}
`}, []string{
			`plan.yaml:10:5: step a: uses and include exclude each other | an entry is a step, with uses, or a fragment, with include`,
			`plan.yaml:11:5: step a: retry and include exclude each other | write it at the steps of the fragment`,
			`plan.yaml:12:11: step a: with: name is missing: fragment parts/a.yaml has no default for it | add name: … below with`,
			`plan.yaml:12:12: step a: with: fragment parts/a.yaml has no variable "nme" | did you mean "name"?`,
			`plan.yaml:12:26: step a: with.size: want a number, have the text "x"`,
			`plan.yaml:12:36: step a: with.text: ${steps.init.version}: no output can be used here: an output is passed as a whole value | give it to a variable of its own, NAME: ${steps.ID.OUTPUT}, and put it together in the fragment`,
			`plan.yaml:12:67: step a: with.list: want a list, and ${steps.init.version} is text`,
			`plan.yaml:12:122: step a: with.no: ${steps.init.versio}: step init (vaultInit) has no output "versio" | did you mean "version"?`,
			`plan.yaml:13:5: step b: with: name is missing: fragment parts/a.yaml has no default for it | add name: … below with`,
			`plan.yaml:13:42: step b: with: want a mapping, have a list | write with: {name: value}`,
			`parts/a.yaml:6:41: step a.r (curlTLS): url: ${vars.plain} is a secret, and this input is not: it would be shown | included at plan.yaml:9:14 | ztplan explain curlTLS shows which inputs take secrets`,
		}},
		{"names", `
vars: {outer: 1}
steps:
  - {id: init, uses: vaultInit}
  - {id: a, include: parts/a.yaml, forEach: [x], needs: [a, none, init.x], when: "1"}
  - {id: b, uses: curlTLS, needs: ["a[0].r", a.r], with: {url: "${steps.a[0].none}${steps.a[0].bad}${steps.a[1].u}"}}
`, map[string]string{"parts/a.yaml": `
steps:
  - {id: r, uses: curlTLS, needs: init, with: {url: "${vars.outer}${steps.init.version}${each.key}"}}
outputs: {u: "${steps.r.serial}", bad: x, 1: "${steps.r.serial}", worse: "${steps.r.none}"}
`}, []string{
			`plan.yaml:8:58: step a[0]: needs: a step cannot need itself`,
			`plan.yaml:8:61: step a[0]: needs: there is no step "none" | the steps are a, a[0], b and init`,
			`plan.yaml:8:67: step a[0]: needs: there is no step "init.x" | did you mean "init"?`,
			`plan.yaml:8:82: step a[0]: when: a condition is true or false, and this is a number | compare it: … == 1`,
			`plan.yaml:9:36: step b (curlTLS): needs: a[0].r is a step within a fragment | a fragment is needed as a whole; a reference to an output of it needs the step that has the output`,
			`plan.yaml:9:46: step b (curlTLS): needs: a.r is a step within a fragment | a fragment is needed as a whole; a reference to an output of it needs the step that has the output`,
			`plan.yaml:9:65: step b (curlTLS): url: ${steps.a[0].none}: fragment parts/a.yaml has no output "none" | its outputs are 1, bad, u and worse`,
			`plan.yaml:9:100: step b (curlTLS): url: ${steps.a[1].u}: there is no step a[1]: forEach has no such key | its instances are a[0]`,
			`parts/a.yaml:5:35: step a[0].r (curlTLS): needs: there is no step "init" | included at plan.yaml:8:22 | a fragment sees its own steps only: declare a variable, and pass the output below with of the entry that includes it`,
			`parts/a.yaml:5:54: step a[0].r (curlTLS): url: ${vars.outer}: there is no variable "outer" | included at plan.yaml:8:22 | a fragment sees its own variables only: declare it in the fragment, and give it below with of the entry that includes it`,
			`parts/a.yaml:5:67: step a[0].r (curlTLS): url: ${steps.init.version}: there is no step "init" | included at plan.yaml:8:22 | a fragment sees its own steps only: declare a variable, and pass the output below with of the entry that includes it`,
			`parts/a.yaml:5:88: step a[0].r (curlTLS): url: ${each.key}: there is an item only inside a step with forEach | included at plan.yaml:8:22 | declare a variable in the fragment, and give it the item below with of the entry that includes it`,
			`parts/a.yaml:6:40: outputs.bad: want an output of a step, have the text "x" | included at plan.yaml:8:22 | write ${steps.ID.OUTPUT}`,
			`parts/a.yaml:6:43: outputs: "1" is not a name for an output | included at plan.yaml:8:22 | use letters, digits, _ and -, beginning with a letter`,
			`parts/a.yaml:6:75: outputs.worse: ${steps.r.none}: step a[0].r (curlTLS) has no output "none" | included at plan.yaml:8:22 | there is serial`,
		}},
		{"files", `
steps:
  - {id: a, include: parts/b.yaml}
  - {id: b, include: "parts/${vars.x}.yaml"}
  - {id: c, include: [x]}
  - {id: d, include: parts/empty.yaml}
  - {id: e, include: parts/plan.yaml}
  - {id: f, include: parts/list.yaml}
  - {id: g, include: parts/keys.yaml}
  - {id: h, include: parts/other.yaml}
  - {id: i, include: parts}
  - {id: j, uses: curlTLS, needs: a, with: {url: "${steps.a.x}"}}
`, map[string]string{
			"parts/a.yaml":     "steps: [{id: r, uses: vaultInit}]\n",
			"parts/empty.yaml": "#",
			"parts/plan.yaml":  "#apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: x}\nsteps: [{id: r, uses: vaultInit}]\n",
			"parts/list.yaml":  "steps: []\noutputs: [1]\n",
			"parts/keys.yaml":  "metadata: {name: x}\nconnections: {}\nstpes: []\nvars: {a: {env: X}}\n",
			"parts/other.yaml": "#a: 1\n",
		}, []string{
			`plan.yaml:6:22: step a: include: file "parts/b.yaml": no such file or directory | did you mean "parts/a.yaml"?`,
			`plan.yaml:7:22: step b: include: a path cannot hold references | write the path of a file; when: chooses between two entries`,
			`plan.yaml:8:22: step c: include: want text, have a list`,
			`plan.yaml:14:22: step i: include: file "parts": is a directory`,
			`parts/empty.yaml:1:1: the fragment is empty | a fragment begins with apiVersion: ztplan.dev/v1 and kind: Fragment`,
			`parts/keys.yaml:1:1: steps are missing: a fragment has at least one | add steps: [{id: …, uses: …}]`,
			`parts/keys.yaml:3:1: unknown key "metadata" | it has no name: the id of the entry that includes it is in the ids of its steps`,
			`parts/keys.yaml:4:1: unknown key "connections" | its steps have the connections of the plan; a step may override them below with`,
			`parts/keys.yaml:5:1: unknown key "stpes" | did you mean "steps"?`,
			`parts/list.yaml:3:8: steps: the list is empty: a fragment has at least one | add steps: [{id: …, uses: …}]`,
			`parts/list.yaml:4:10: outputs: want a mapping, have a list | write outputs: {certificate: "${steps.ID.OUTPUT}"}`,
			`parts/other.yaml:1:1: apiVersion is missing | add apiVersion: ztplan.dev/v1`,
			`parts/other.yaml:1:1: kind is missing | add kind: Fragment`,
			`parts/plan.yaml:2:7: kind: want Fragment, have the text "Plan" | write kind: Fragment`,
			`parts/plan.yaml:3:1: unknown key "metadata" | it has no name: the id of the entry that includes it is in the ids of its steps`,
		}},
		{"shared by all uses", `
steps:
  - {id: a, include: parts/a.yaml, with: {url: x}}
  - {id: b, include: parts/a.yaml, forEach: [x, z], with: {url: "${each.value}"}}
`, map[string]string{"parts/a.yaml": `
vars: {url: , never: {env: X}}
steps:
  - {id: r, uses: curlTLS, with: {url: "${vars.url}", expect: {status: 1}, ulr: x}}
  - {id: s, uses: curlTSL}
`}, []string{
			`parts/a.yaml:4:23: vars.never.env: a fragment reads no environment variable | included at plan.yaml:6:22 | declare it in the plan, and give it below with of the entry that includes the fragment`,
			`parts/a.yaml:6:72: step a.r (curlTLS): expect.status: 1 is less than the minimum 100 | included at plan.yaml:6:22 / the same with b[0].r and b[1].r`,
			`parts/a.yaml:6:76: step a.r (curlTLS): unknown key "ulr" | included at plan.yaml:6:22 / the same with b[0].r and b[1].r | did you mean "url"?`,
			`parts/a.yaml:7:19: step a.s: there is no kind "curlTSL" | included at plan.yaml:6:22 / the same with b[0].s and b[1].s | did you mean "curlTLS"?`,
		}},
		{"circles", `
steps:
  - {id: a, include: parts/a.yaml}
  - {id: c, include: parts/c.yaml, with: {x: "${steps.d.serial}"}}
  - {id: d, include: parts/c.yaml, with: {x: "${steps.c.serial}"}}
`, map[string]string{
			"parts/a.yaml": "steps:\n  - {id: b, include: b.yaml}\n",
			"parts/b.yaml": "steps:\n  - {id: a, include: ../parts/a.yaml}\n",
			"parts/c.yaml": "vars: {x: }\nsteps: [{id: c, uses: curlTLS, with: {url: \"${vars.x}\"}}]\noutputs: {serial: \"${steps.c.serial}\"}\n",
		}, []string{
			`parts/b.yaml:4:22: step a.b.a: include: fragments include each other in a circle: parts/a.yaml -> parts/b.yaml -> parts/a.yaml | included at parts/a.yaml:4:22, included at plan.yaml:6:22`,
			`parts/c.yaml:4:45: steps need each other in a circle: c.c -> d.c -> c.c | c.c needs d.c: parts/c.yaml:4:45, ${vars.x} / d.c needs c.c: parts/c.yaml:4:45, ${vars.x} | remove one of these`,
		}},
		{"known before the run", `
steps:
  - {id: init, uses: vaultInit}
  - {id: a, include: parts/a.yaml, with: {list: "${steps.init.shares}"}}
`, map[string]string{"parts/a.yaml": `
vars: {list: , other: {default: "${vars.list}"}}
steps:
  - {id: a, uses: curlTLS, forEach: "${vars.list}", timeout: "${vars.list}", with: {url: x}}
`}, []string{
			`parts/a.yaml:4:34: vars.other: ${vars.list}: no output can be used here: variables have their values before any step runs; step a passes it ${steps.init.shares}, plan.yaml:7:49 | included at plan.yaml:7:22 | give it a value that is known before any step runs`,
			`parts/a.yaml:6:38: step a.a: forEach: ${vars.list}: no output can be used here: forEach decides which steps there are, which is known before any step runs; step a passes it ${steps.init.shares}, plan.yaml:7:49 | included at plan.yaml:7:22 | give it a value that is known before any step runs`,
			`parts/a.yaml:6:63: step a.a (curlTLS): timeout: ${vars.list}: no output can be used here: how a step is tried is known before any step runs; step a passes it ${steps.init.shares}, plan.yaml:7:49 | included at plan.yaml:7:22 | give it a value that is known before any step runs`,
		}},
	} {
		_, err := including(t, tt.plan, tt.files)
		if d := cmp.Diff(tt.want, problemsOf(err)); d != "" {
			t.Errorf("%s:\n%s", tt.name, d)
		}
	}
}

// TestIncludeEmpty: a fragment without instances leaves steps that never run.
func TestIncludeEmpty(t *testing.T) {
	p, err := including(t, `
steps:
  - {id: apps, include: parts/app.yaml, forEach: [], with: {name: "${each.value.name}", hosts: "${each.value.hosts}", token: x, key: k, version: "1"}}
  - {id: after, uses: curlTLS, needs: [apps], with: {url: u}}
`, map[string]string{"parts/app.yaml": appFragment})
	if err != nil {
		t.Fatal(err)
	}
	sel, err := p.Select(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(ids(p.Steps), " ") + ", left: " + sel.Left["apps.certificate"] + ", " + sel.Left["apps.proofs"]
	if want := "apps.certificate apps.proofs after, left: forEach is empty: there is no instance, forEach is empty: there is no instance"; got != want {
		t.Errorf("got %s", got)
	}
	if _, unknown := p.Step("apps.certificate").Draft(); engine.Known("commonName", unknown) {
		t.Error("the inputs count as known")
	}
}

// TestFragmentAlone: a fragment by itself is no plan, and the problem names it a fragment.
func TestFragmentAlone(t *testing.T) {
	_, err := plan.Load(plan.Input{File: "app.yaml", Data: []byte(fragmentHead + appFragment), Kinds: kinds(), Connections: connections()})
	want := []string{"app.yaml:2:7: this is a fragment: a plan includes it | write include: with the path of this file at an entry of steps in a plan, and check that plan"}
	if d := cmp.Diff(want, problemsOf(err)); d != "" {
		t.Error(d)
	}
}

// TestFragmentChecked: a fragment is checked by itself where that is asked for: variables
// without a default, the connections and the name of the plan are not known, and no
// problems follow from that.
func TestFragmentChecked(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{fragmentHead + appFragment, []string{"<nil>"}},
		{fragmentHead + `
vars: {host: {required: true, type: number}, any: , port: 443, unused: x, hosts: }
steps:
  - {id: init, uses: vaultInit, with: {shares: "${vars.host}", vault: {mount: "${vars.nothing}"}}}
  - {id: root, uses: pkiRoot, with: {commonName: "${plan.name} ${vars.any}", mont: x}}
  - {id: many, uses: curlTLS, forEach: "${vars.hosts}", with: {url: "${each.value}", trust: "${steps.root.certificat}"}}
  - {id: site, uses: curlTLS, when: "${vars.any} == 1 && ${steps.root.ready}", needs: [many, rot], with: {url: "${vars.any}", trust: x, expect: {status: "${vars.port}"}}}
outputs:
  certificate: ${steps.root.certificat}
  other: text
`, []string{
			`app.yaml:6:80: step init (vaultInit): ${vars.nothing}: there is no variable "nothing" | the variables are any, host, hosts, port and unused`,
			`app.yaml:7:78: step root (pkiRoot): unknown key "mont" | did you mean "mount"?`,
			`app.yaml:8:94: step many (curlTLS): trust: ${steps.root.certificat}: step root (pkiRoot) has no output "certificat" | did you mean "certificate"?`,
			`app.yaml:9:94: step site (curlTLS): needs: there is no step "rot" | did you mean "root"?`,
			`app.yaml:11:16: outputs.certificate: ${steps.root.certificat}: step root (pkiRoot) has no output "certificat" | did you mean "certificate"?`,
			`app.yaml:12:10: outputs.other: want an output of a step, have the text "text" | write ${steps.ID.OUTPUT}`,
		}},
	} {
		p, err := plan.Load(plan.Input{File: "app.yaml", Data: []byte(tt.text), Fragment: true, Kinds: kinds(), Connections: connections()})
		if d := cmp.Diff(tt.want, problemsOf(err)); d != "" {
			t.Error(d)
		}
		if err == nil && (p == nil || !p.Fragment || len(p.Steps) == 0) {
			t.Errorf("got %+v", p)
		}
	}
}

// TestIncludeUnused: a variable of a fragment is unused if no use of it refers to it.
func TestIncludeUnused(t *testing.T) {
	p, err := including(t, `
steps:
  - {id: a, include: parts/a.yaml, with: {used: x, in: [a]}}
  - {id: b, include: parts/a.yaml, with: {used: x}}
`, map[string]string{"parts/a.yaml": `
vars: {used: , never: 1, in: [], inner: x}
steps:
  - {id: r, uses: curlTLS, with: {url: "${vars.used}"}}
  - {id: s, uses: curlTLS, forEach: "${vars.in}", with: {url: "${vars.inner}"}}
`})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for at, name := range p.Unused() {
		got = append(got, fmt.Sprintf("%s %s:%d", name, filepath.Base(at.File), at.Line))
	}
	if strings.Join(got, ", ") != "never a.yaml:4" {
		t.Errorf("got %s", got)
	}
}

// TestIncludeIsBounded: fragments are read once, their depth and the steps that they make
// have bounds.
func TestIncludeIsBounded(t *testing.T) {
	files := map[string]string{"wide11.yaml": "steps: [{id: r, uses: vaultInit}]\n", "deep11.yaml": "steps: [{id: r, uses: vaultInit}]\n"}
	for i := range 11 {
		files[fmt.Sprintf("deep%d.yaml", i)] = fmt.Sprintf("steps: [{id: r, include: deep%d.yaml}]\n", i+1)
		files[fmt.Sprintf("wide%d.yaml", i)] = fmt.Sprintf("steps: [{id: r, include: wide%d.yaml, forEach: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}]\n", i+1)
	}
	for first, want := range map[string]string{
		"deep0": "fragments include each other more than 10 deep",
		"wide0": "more than 100000 steps, or 10000 fragments, are included",
	} {
		_, err := including(t, "steps: [{id: r, include: "+first+".yaml}]\n", files)
		got := strings.Join(problemsOf(err), "\n")
		if strings.Count(got, want) != 1 || !strings.Contains(got, want+" | included at ") || !strings.Contains(got, "included at "+first+".yaml:3:26, included at plan.yaml:4:26") {
			t.Errorf("%s: got %s", first, got)
		}
	}
	var b strings.Builder
	b.WriteString("steps:\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "  - {id: s%d, include: app.yaml, with: {name: n%d, token: x, key: k, version: \"1\"}}\n", i, i)
	}
	p, err := including(t, b.String(), map[string]string{"app.yaml": appFragment})
	if err != nil || len(p.Steps) != 3000 || len(p.Sources()) != 2 {
		t.Fatal(err)
	}
}

// TestIncludeSecretOutput: an output that is given to a secret variable is a secret.
func TestIncludeSecretOutput(t *testing.T) {
	_, err := including(t, "steps:\n  - {id: init, uses: vaultInit}\n  - {id: a, include: a.yaml, with: {s: \"${steps.init.version}\"}}\n",
		map[string]string{"a.yaml": "vars: {s: {secret: true}}\nsteps: [{id: r, uses: curlTLS, with: {url: \"${vars.s}\", token: \"${vars.s}\"}}]\n"})
	if got := problemsOf(err); len(got) != 1 || !strings.Contains(got[0], "a.r (curlTLS): url: ${vars.s} is a secret, and this input is not") {
		t.Errorf("got %q", got)
	}
}
