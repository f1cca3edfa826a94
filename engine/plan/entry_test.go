package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine/plan"
)

// draft reads what can be read of steps, and returns it with the problems.
func draft(steps string) (*plan.Plan, []string) {
	p, err := plan.Draft(plan.Input{File: "plan.yaml", Data: []byte(head + "steps:\n" + steps), Kinds: kinds(), Connections: connections()})
	return p, problemsOf(err)
}

// TestEntryProblems: a mistake in a step has one problem, and none follows from it.
func TestEntryProblems(t *testing.T) {
	const kindNames = "the kinds are curlTLS, helmInstall, pkiRoot and vaultInit"
	for _, tt := range []struct {
		name, steps string
		want        []string
	}{
		{"misspelt id", "- {idd: a, uses: vaultInit}", []string{
			`plan.yaml:5:4: steps[0]: unknown key "idd" | did you mean "id"?`}},
		{"misspelt uses", "- {id: a, use: nothing}", []string{
			`plan.yaml:5:11: step a: unknown key "use" | did you mean "uses"?`}},
		{"no uses", "- {id: a, with: {x: 1}}", []string{
			"plan.yaml:5:3: step a: uses is missing | " + kindNames}},
		{"uses is a list", "- {id: a, uses: [vaultInit]}", []string{
			"plan.yaml:5:17: step a: uses: want text, have a list"}},
		{"uses is empty", `- {id: a, uses: ""}`, []string{
			`plan.yaml:5:17: step a: there is no kind "" | ` + kindNames}},
		{"unknown kind and key", "- {id: a, uses: vaultIni, shares: 1}", []string{
			`plan.yaml:5:17: step a: there is no kind "vaultIni" | did you mean "vaultInit"?`,
			`plan.yaml:5:27: step a: unknown key "shares" | a step has forEach, id, include, needs, retry, timeout, uses, when and with`}},
		{"one id twice", "- {id: a, uses: vaultInit, forEach: [x]}\n- {id: a, uses: vaultInit}\n- {id: a, uses: vaultInit, forEach: [x, y]}\n- {id: zzzz, uses: vaultInit, needs: other}", []string{
			"plan.yaml:6:8: step a: another step has this id, in line 5 | give one of them another id",
			"plan.yaml:7:8: step a: another step has this id, in line 5 | give one of them another id",
			`plan.yaml:8:38: step zzzz (vaultInit): needs: there is no step "other" | the steps are a, a[0] and zzzz`}},
		{"misspelt forEach", "- {id: a, uses: pkiRoot, forEch: {k: x}, with: {commonName: \"${each.value.x}\"}}\n" +
			"- {id: b, uses: curlTLS, needs: ['a[\"k\"]', 'a[\"l\"]'], with: {url: '${steps.a[\"k\"].issuerID}'}}", []string{
			`plan.yaml:5:26: step a: unknown key "forEch" | did you mean "forEach"?`}},
		{"a wrong key", "- {id: a, uses: pkiRoot, forEach: {\"a b\": {x: 1}, k: {x: 1}}, with: {commonName: \"${each.value.y}\"}}\n" +
			"- {id: b, uses: curlTLS, with: {url: '${steps.a[\"l\"].issuerID}'}}", []string{
			`plan.yaml:5:36: step a: forEach: "a b" cannot be a key | use letters, digits and . _ - / : @ *, beginning with a letter or a digit: ids of steps hold the keys`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, got := draft(tt.steps); cmp.Diff(tt.want, got) != "" {
				t.Error(cmp.Diff(tt.want, got))
			}
		})
	}
}

// TestInstanceProblems: a reference, and an id in needs, has to name an instance that there
// is. What the author can have meant is suggested, and the key of an item is not taken for a
// misspelt one.
func TestInstanceProblems(t *testing.T) {
	const steps = `
- {id: apps, uses: pkiRoot, forEach: {shop: s, pay: p}, with: {commonName: "${each.value}"}}
- {id: none, uses: pkiRoot, forEach: [], with: {commonName: x}}
- {id: one, uses: pkiRoot, with: {commonName: x}}
- {id: use, uses: curlTLS, forEach: {sho: x}, `
	const same = "write ${steps.none[each.key].NAME} in a step with the same forEach"
	const some = `its instances are apps["pay"] and apps["shop"]`
	for step, want := range map[string]string{
		`with: {url: "${steps.apps}"}`: "url: ${steps.apps}: step apps has forEach: which of its instances is meant? | " +
			`write ${steps.apps["shop"].NAME} for one of them, and ${steps.apps[each.key].NAME} in a step with the same forEach`,
		`with: {url: "${steps.none}"}`:                    "url: ${steps.none}: step none has forEach: which of its instances is meant? | " + same,
		`with: {url: "${steps.none.issuerID}"}`:           "url: ${steps.none.issuerID}: step none has forEach: which of its instances is meant? | " + same,
		`with: {url: "${steps.none[0].issuerID}"}`:        "url: ${steps.none[0].issuerID}: there is no step none[0]: forEach of none is empty",
		`with: {url: '${steps.apps["sho"].issuerID}'}`:    `url: ${steps.apps["sho"].issuerID}: there is no step apps["sho"]: forEach has no such key | did you mean apps["shop"]?`,
		`with: {url: "${steps.apps[each.key].issuerID}"}`: `url: ${steps.apps[each.key].issuerID}: there is no step apps["sho"]: forEach has no such key | ` + some,
		`with: {url: "${steps.apps[0].issuerID}"}`:        `url: ${steps.apps[0].issuerID}: there is no step apps[0]: forEach has no such key | ` + some,
		`needs: ['apps["sho"]'], with: {url: u}`:          `needs: apps["sho"]: there is no step apps["sho"]: forEach has no such key | did you mean apps["shop"]?`,
		`needs: ["apps[each.key]"], with: {url: u}`:       `needs: apps[each.key]: there is no step apps["sho"]: forEach has no such key | ` + some,
		`needs: ['apps["pay"]["x"]'], with: {url: u}`:     `needs: there is no step "apps[\"pay\"][\"x\"]" | did you mean apps["pay"]?`,
		`needs: ['apps["pay"].issuerID'], with: {url: u}`: `needs: there is no step "apps[\"pay\"].issuerID" | did you mean "apps"?`,
		`needs: ["one[0]"], with: {url: u}`:               `needs: there is no step "one[0]" | did you mean "one"?`,
		`needs: ["one.issuerID"], with: {url: u}`:         `needs: there is no step "one.issuerID" | did you mean "one"?`,
		`needs: ["none[0]"], with: {url: u}`:              "needs: none[0]: there is no step none[0]: forEach of none is empty",
		`needs: ["use[each.key]"], with: {url: u}`:        "needs: a step cannot need itself",
		`needs: ["${steps.one}"], with: {url: u}`:         `needs: "${steps.one}" is not the id of a step | write one: needs holds ids of steps, and no references`,
		`needs: ["steps.one"], with: {url: u}`:            `needs: "steps.one" is not the id of a step | write one: needs holds ids of steps, and no references`,
		`needs: {one: x}, with: {url: u}`:                 "needs: want text, have a mapping | write the ids of steps: needs: [a, b]",
		`needs: [7], with: {url: u}`:                      `needs: want text, have the number 7 | write it in quotes: "7"`,
	} {
		_, got := draft(steps + step + "}")
		for i := range got {
			_, got[i], _ = strings.Cut(got[i], `step use["sho"] (curlTLS): `)
		}
		if d := cmp.Diff([]string{want}, got); d != "" {
			t.Errorf("%s:\n%s", step, d)
		}
	}
}

// TestDraftEntries: a draft has all steps that are written. Its ids are those of the first
// step with an id, and what could not be read counts neither as known nor as empty.
func TestDraftEntries(t *testing.T) {
	p, _ := draft(`
- {id: a, uses: vaultInit}
- {id: a, uses: pkiRoot}
- {uses: vaultInit}
- {id: none, uses: vaultInit, forEach: []}
- {id: wrong, uses: vaultInit, forEach: 5}
- {id: keys, uses: vaultInit, forEach: {"a b": 1}}
- {id: refers, uses: vaultInit, forEach: "${vars.none}"}
`)
	if d := cmp.Diff([]string{"a", "a", "", "none", "wrong", "keys", "refers"}, ids(p.Steps)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"a", "none", "wrong", "keys", "refers"}, p.IDs()); d != "" {
		t.Error(d)
	}
	if p.Step("a") != p.Steps[0] || p.Step("") != nil {
		t.Errorf("step a is of kind %s", p.Step("a").Kind.Name)
	}
	for _, s := range p.Steps {
		if s.Group != "" || s.Empty != (s.ID == "none") {
			t.Errorf("step %s: group %q, empty %t", s.ID, s.Group, s.Empty)
		}
	}
}

// TestDraftFragments: steps of a fragment that has no id, or the id of an earlier entry, are
// in a draft, and no id stands for them.
func TestDraftFragments(t *testing.T) {
	in := fragments(t, map[string]string{
		"part.yaml": "steps: [{id: r, uses: vaultInit}]\n",
		"deep.yaml": "steps: [{include: part.yaml}, {id: s, uses: vaultInit}]\n",
	})
	in.Data = []byte(head + `
steps:
  - {id: r, uses: pkiRoot, with: {commonName: x}}
  - {id: a, include: part.yaml}
  - {id: a, include: part.yaml}
  - {include: part.yaml}
  - {id: d, include: deep.yaml}
`)
	p, err := plan.Draft(in)
	if d := cmp.Diff([]string{"r", "a.r", "a.r", "r", "r", "d.s"}, ids(p.Steps)); d != "" {
		t.Error(d, err)
	}
	if d := cmp.Diff([]string{"r", "a", "a.r", "d", "d.s"}, p.IDs()); d != "" {
		t.Error(d)
	}
	if p.Step("r") != p.Steps[0] || p.Step("a.r") != p.Steps[1] {
		t.Errorf("r is of kind %s", p.Step("r").Kind.Name)
	}
}
