package spec_test

import (
	"testing"
)

// TestReferences: how each wrong reference is explained, and where.
func TestReferences(t *testing.T) {
	const forms = " (write $${ for the text ${ itself)"
	for text, want := range map[string]string{
		`${vars.x`:               `1:1: a reference is not closed: } is missing (write $${ for the text ${ itself)`,
		`a ${vars.x`:             `1:3: a reference is not closed: } is missing (write $${ for the text ${ itself)`,
		`a $${b} ${}`:            `1:9: a reference is empty` + forms,
		`${ }`:                   `1:1: a reference is empty` + forms,
		`${1}`:                   `1:1: ${1} is not a reference` + forms,
		`${vars.}`:               `1:1: ${vars.}: a name is missing after a dot` + forms,
		`${vars.a..b}`:           `1:1: ${vars.a..b}: a name is missing after a dot` + forms,
		`${vars.a[x]}`:           `1:1: ${vars.a[x]}: want a number from 0 or a quoted key between [ and ]` + forms,
		`${vars.a[-1]}`:          `1:1: ${vars.a[-1]}: want a number from 0 or a quoted key between [ and ]` + forms,
		`${vars.a[99999999999]}`: `1:1: ${vars.a[99999999999]}: want a number from 0 or a quoted key between [ and ]` + forms,
		`${vars.a["b}`:           `1:1: a reference is not closed: } is missing (write $${ for the text ${ itself)`,
		`${vars.a b}`:            `1:1: ${vars.a b}: unexpected " b"` + forms,
		`${vars.a == 1}`:         `1:1: ${vars.a == 1} is an expression: a reference names one value (in "when", compare outside of it: ${vars.env} == "prod"; elsewhere there are no expressions)`,
		`${upper(vars.a)}`:       `1:1: ${upper(vars.a)} is an expression: a reference names one value (in "when", compare outside of it: ${vars.env} == "prod"; elsewhere there are no expressions)`,
		`${vars.a[0].b["c/d"]}`:  `"found"`,
		`${ vars.a }`:            `"spaced"`,
		`x${vars.k["a}b"]}y`:     `"xbracey"`,
		`$$${vars.z}`:            `"$${vars.z}"`,
	} {
		scope := values{`vars.a[0].b["c/d"]`: variable(t, "found"), ` vars.a `: variable(t, "spaced"), `vars.k["a}b"]`: variable(t, "brace"), "vars.z": variable(t, "z")}
		if got := decode(t, text, "", scope); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// TestReferenceKeys: a key of a mapping holds no reference.
func TestReferenceKeys(t *testing.T) {
	got := decode(t, `{"a${vars.x}": 1, "$${b}": 2}`, map[string]int{}, values{})
	if want := `1:2: ["a${vars.x}"]: references are for values: the key "a${vars.x}" cannot hold one`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
