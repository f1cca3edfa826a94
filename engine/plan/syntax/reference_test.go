package syntax_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// TestReferences: what stands between ${ and }, and the path that it is.
func TestReferences(t *testing.T) {
	key := keypath.Key
	quoted := func(name string) keypath.Elem { return keypath.Elem{Name: name, Index: -1, Quoted: true} }
	by := func(ref string) keypath.Elem { return keypath.Elem{Index: -1, By: ref} }
	for raw, want := range map[string][]keypath.Elem{
		`${vars}`:                     nil,
		`${vars.a}`:                   {key("a")},
		`${ vars.a-b_2 }`:             {key("a-b_2")},
		`${vars[0]}`:                  {keypath.Item(0)},
		`${vars.a[0].b}`:              {key("a"), keypath.Item(0), key("b")},
		`${vars.a[1][12]}`:            {key("a"), keypath.Item(1), keypath.Item(12)},
		`${vars.a["b"]}`:              {key("a"), quoted("b")},
		`${vars.a["0"].c}`:            {key("a"), quoted("0"), key("c")},
		`${vars.a["x.y/z[1]"]["b}"]}`: {key("a"), quoted("x.y/z[1]"), quoted("b}")},
		`${vars.a[""]}`:               {key("a"), quoted("")},
		`${vars.a["R&D (x=1)"]}`:      {key("a"), quoted("R&D (x=1)")},
		`${vars.a[each.key].b}`:       {key("a"), by("each.key"), key("b")},
		`${vars.a[vars.first]}`:       {key("a"), by("vars.first")},
		`${vars.a[2147483647]}`:       {key("a"), keypath.Item(2147483647)},
	} {
		ref, bad := syntax.ParseReference(raw)
		if bad != nil {
			t.Errorf("%s: %s", raw, bad.Message)
			continue
		}
		if ref.Raw != raw || ref.Root != "vars" || !slices.Equal(ref.Path, want) {
			t.Errorf("%s: got %s, %+v, want %+v", raw, ref.Root, ref.Path, want)
		}
	}
	if ref, _ := syntax.ParseReference("${each.key}"); ref.Root != "each" {
		t.Errorf("got root %s, want each", ref.Root)
	}
}

// TestWrongReferences: what may not stand there. A hint of ${} is for the forms that there are.
func TestWrongReferences(t *testing.T) {
	const index = ": want a number from 0 or a quoted key between [ and ] (${})"
	for raw, want := range map[string]string{
		`${}`:                    `a reference is empty (${})`,
		`${ }`:                   `a reference is empty (${})`,
		`${0}`:                   `${0} is not a reference (${})`,
		`${.a}`:                  `${.a} is not a reference (${})`,
		`${é}`:                   `${é} is not a reference (${})`,
		`${vars.}`:               `${vars.}: a name is missing after a dot (${})`,
		`${vars..a}`:             `${vars..a}: a name is missing after a dot (${})`,
		`${vars.1}`:              `${vars.1}: a name is missing after a dot (${})`,
		`${vars. a}`:             `${vars. a}: a name is missing after a dot (${})`,
		`${vars.a b}`:            `${vars.a b}: unexpected " b" (${})`,
		`${vars.aé}`:             `${vars.aé}: unexpected "é" (${})`,
		`${vars.a["b"]c}`:        `${vars.a["b"]c}: unexpected "c" (${})`,
		`${vars.a]}`:             `${vars.a]}: unexpected "]" (${})`,
		`${vars.a["b" ]}`:        `${vars.a["b" ]}: "] is missing (${})`,
		`${vars.a["b"}`:          `${vars.a["b"}: "] is missing (${})`,
		`${vars.a[}`:             `${vars.a[}` + index,
		`${vars.a[0}`:            `${vars.a[0}` + index,
		`${vars.a[]}`:            `${vars.a[]}` + index,
		`${vars.a[-1]}`:          `${vars.a[-1]}` + index,
		`${vars.a[1.5]}`:         `${vars.a[1.5]}` + index,
		`${vars.a[2147483648]}`:  `${vars.a[2147483648]}` + index,
		`${vars.a[b]}`:           `${vars.a[b]}` + index,
		`${vars.a['b']}`:         `${vars.a['b']}` + index,
		`${vars.a[vars.b[0]]}`:   `${vars.a[vars.b[0]]}` + index,
		`${vars.a[vars.b["c"]]}`: `${vars.a[vars.b["c"]]}` + index,
		`${vars.a[each.]}`:       `${vars.a[each.]}` + index,
		`${a || b}`:              `${a || b} is an expression: a reference names one value (in "when", compare outside of it: ${vars.env} == "prod"; elsewhere there are no expressions)`,
	} {
		if _, bad := syntax.ParseReference(raw); bad == nil {
			t.Errorf("%s is accepted", raw)
		} else if got := fmt.Sprintf("%s (%s)", bad.Message, bad.Hint); got != want {
			t.Errorf("%s\n got %s\nwant %s", raw, got, want)
		}
	}
	// Operators around a quoted key.
	for _, sign := range "=!&|()<>" {
		if _, bad := syntax.ParseReference(`${vars.a["k"] ` + string(sign) + " b}"); bad == nil || !strings.Contains(bad.Message, "is an expression") {
			t.Errorf("%c: %+v", sign, bad)
		}
	}
}

// TestOtherTools: a reference as another tool has it, with one pair of braces or two, and
// what is written instead.
func TestOtherTools(t *testing.T) {
	const each = "write ${each.key} or ${each.value}, in a step with forEach"
	for inner, want := range map[string]string{
		"var.a.b":      "write ${vars.a.b}",
		"local.a":      "write ${vars.a}",
		"inputs.a":     "write ${vars.a}",
		"input.a":      "write ${vars.a}",
		"values.a":     "write ${vars.a}",
		"Values.a":     "write ${vars.a}",
		"parameters.a": "write ${vars.a}",
		"params.a":     "write ${vars.a}",
		"params":       "write ${vars.NAME}",
		"env.CI":       "declare a variable, vars: {CI: {env: CI}}, and write ${vars.CI}",
		"secrets.T":    "declare a secret variable, vars: {T: {env: T, secret: true}}, and write ${vars.T}",
		"item":         "write ${each.value}, or ${each.key}, in a step with forEach",
		"matrix.os":    each,
		"count.index":  each,
		"loop.first":   each,
		"github.sha":   "",
	} {
		ref, bad := syntax.ParseReference("${" + inner + "}")
		if bad != nil {
			t.Errorf("%s: %s", inner, bad.Message)
			continue
		}
		if got := syntax.OtherTool(ref); got != want {
			t.Errorf("${%s}\n got %s\nwant %s", inner, got, want)
		}
		if want == "" {
			want = syntax.FormsHint
		}
		if _, bad := syntax.ParseReference("${{ " + inner + " }}"); bad == nil || bad.Hint != want {
			t.Errorf("${{ %s }}\n got %+v\nwant %s", inner, bad, want)
		}
	}
	for raw, want := range map[string]string{
		"${{ vars.a }}":                  "write ${vars.a}",
		"${{steps.root.outputs.serial}}": "write ${steps.root.serial}",
		"${{ each.key }}":                "write ${each.key}",
		"${{ plan.name }}":               "write ${plan.name}",
		"${{ vars.a }":                   "write ${vars.a}", // a brace was forgotten
		"${{ }}":                         syntax.FormsHint,
	} {
		if _, bad := syntax.ParseReference(raw); bad == nil || bad.Message != raw+" is not a reference: it has one brace on each side" || bad.Hint != want {
			t.Errorf("%s: got %+v, want %s", raw, bad, want)
		}
	}
}

// TestTemplates: the parts of a text, with the offset of each reference.
func TestTemplates(t *testing.T) {
	for text, want := range map[string]string{
		``:                        ``,
		`abc`:                     `"abc"`,
		`${vars.a}`:               `${vars.a}@0`,
		`a${vars.a}b`:             `"a" ${vars.a}@1 "b"`,
		`${vars.a}${vars.b}`:      `${vars.a}@0 ${vars.b}@9`,
		`é ${vars.a}`:             `"é " ${vars.a}@3`,
		"a\n${vars.a}\n":          `"a\n" ${vars.a}@2 "\n"`,
		`$`:                       `"$"`,
		`a $b {c} $ {d} e$`:       `"a $b {c} $ {d} e$"`,
		`$$`:                      `"$$"`,
		`$${vars.a}`:              `"${vars.a}"`,
		`a $${b} ${vars.c} $${d}`: `"a ${b} " ${vars.c}@8 " ${d}"`,
		`$${`:                     `"${"`,
		`$$$${x}`:                 `"$$${x}"`,
		`${vars.a["}"]}}`:         `${vars.a["}"]}@0 "}"`,
		`{${vars.a}}`:             `"{" ${vars.a}@1 "}"`,

		`a ${vars.b`:             `2: "${": a reference is not closed: } is missing (write $${ for the text ${ itself)`,
		"${vars.b\n}":            `0: "${": a reference is not closed: } is missing (write $${ for the text ${ itself)`,
		`${vars.a} ${vars.b["}`:  `10: "${": a reference is not closed: } is missing (write $${ for the text ${ itself)`,
		`${vars.a} ${}`:          `10: "${}": a reference is empty (${})`,
		`a ${{ vars.b }} c`:      `2: "${{ vars.b }}": ${{ vars.b }} is not a reference: it has one brace on each side (write ${vars.b})`,
		`${{ vars.b } c`:         `0: "${{ vars.b }": ${{ vars.b } is not a reference: it has one brace on each side (write ${vars.b})`,
		`${{ vars.b["}"] }} c`:   `0: "${{ vars.b[\"}\"] }}": ${{ vars.b["}"] }} is not a reference: it has one brace on each side (write ${vars.b["}"]})`,
		"${{ vars.b }\n}}":       `0: "${{ vars.b }": ${{ vars.b } is not a reference: it has one brace on each side (write ${vars.b})`,
		"${{ vars.b\n}}":         `0: "${": a reference is not closed: } is missing (write $${ for the text ${ itself)`,
		`${vars.a} ${vars.b c} `: `10: "${vars.b c}": ${vars.b c}: unexpected " c" (${})`,
	} {
		parts, bad := syntax.ParseTemplate(text)
		var got []string
		for _, p := range parts {
			if p.Ref != nil {
				got = append(got, fmt.Sprintf("%s@%d", p.Ref.Raw, p.Ref.Offset))
			} else {
				got = append(got, fmt.Sprintf("%q", p.Text))
			}
		}
		if bad != nil {
			got = append(got, fmt.Sprintf("%d: %q: %s (%s)", bad.Offset, bad.Text, bad.Message, bad.Hint))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q\n got %s\nwant %s", text, s, want)
		}
	}
}

// TestIDs: the ids of steps as needs have them.
func TestIDs(t *testing.T) {
	for id, want := range map[string]string{
		`certs`: `certs`, `certs["shop"]`: `certs["shop"]`, `certs[0]`: `certs[0]`, `certs[each.key]`: `certs[each.key]`,
		``: "", ` `: "", `[0]`: "", `["a"]`: "", `1`: "", `a b`: "", `a}`: "", `a[x]`: "", `${steps.a}`: "", `a == b`: "",
	} {
		ref, ok := syntax.ParseID(id)
		switch {
		case ok != (want != ""):
			t.Errorf("%s: accepted: %v", id, ok)
		case ok && (keypath.String(ref.Path) != want || ref.Raw != id || ref.Root != "steps"):
			t.Errorf("%s: got %+v", id, ref)
		}
	}
}

// TestMeantIDs: what is written in needs instead of a reference.
func TestMeantIDs(t *testing.T) {
	isStep := func(id string) bool { return id == "a" || id == "hosts" }
	for id, want := range map[string]string{
		`a`:                        ``,
		`b`:                        ``,
		`hosts[each.key]`:          ``,
		`${steps.a}`:               `a`,
		`${steps.a.serial}`:        `a`,
		`steps.a`:                  `a`,
		`steps.b`:                  `b`, // another problem says that there is no such step
		`${a}`:                     `a`,
		`${steps.hosts[0]}`:        `hosts[0]`,
		`steps.hosts["x"].name`:    `hosts["x"]`,
		`hosts[${each.key}]`:       `hosts[each.key]`,
		`${steps.hosts[each.key]}`: `hosts[each.key]`,
		`${vars.first}`:            `the id of a step itself`,
		`${b}`:                     `the id of a step itself`,
		`${}`:                      `the id of a step itself`,
		`${steps.}`:                `the id of a step itself`,
		`x-${vars.n}`:              `the id of a step itself`,
	} {
		if got := syntax.MeantID(id, isStep); got != want {
			t.Errorf("%s: got %q, want %q", id, got, want)
		}
	}
}
