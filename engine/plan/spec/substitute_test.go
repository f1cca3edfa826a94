package spec_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine/plan/spec"
)

// TestSubstitute: the value that is made of others, how large it is, and whether it is written
// in one file: a problem with it is shown at its own place then.
func TestSubstitute(t *testing.T) {
	far, file := node(t, `[a, b]`)
	text, _ := node(t, `a`)
	large := spec.Value{Node: far, Size: spec.MaxNodes}
	given, givenList := *text, *far // on the command line
	given.Line, givenList.Line = 0, 0
	scope := values{
		"vars.n": variable(t, "3"), "vars.list": {Node: far, File: file, Size: 3}, "vars.text": {Node: text, File: file, Size: 1}, "vars.given": {Node: &given, Size: 1}, "vars.givenList": {Node: &givenList, Size: 3},
		"vars.s": secretly(variable(t, "hidden")), "vars.large": large,
	}
	for _, tt := range []struct {
		text, want string
		size       int
		file       string // own, far or none
	}{
		{`a`, "a", 1, "own"},
		{`[a, {b: c}]`, "[a map[b:c]]", 4, "own"},
		{`"${vars.list}"`, "[a b]", 4, "far"},
		{`"${vars.text}"`, "a", 2, "far"},
		{`"x ${vars.text}"`, "x a", 1, "own"},
		{`["${vars.list}", "${vars.n}"]`, "[[a b] 3]", 6, "none"},
		{`["${vars.text}"]`, "[a]", 3, "none"},
		{`["x ${vars.text}"]`, "[x a]", 2, "own"},
		{`["${vars.given}"]`, "[a]", 3, "own"},
		{`["${vars.givenList}"]`, "[[a b]]", 5, "none"},
		{`[1, true, null, "1"]`, "[1 true <nil> 1]", 5, "own"},
		{`1.50`, "1.5", 1, "own"},
		{`[["${vars.list}"], b]`, "[[[a b]] b]", 7, "none"},
		{`["${vars.large}", "${vars.large}"]`, "[[a b] [a b]]", spec.MaxNodes + 1, "none"},
		{`"${vars.large}"`, "[a b]", spec.MaxNodes + 1, "none"},
		{`{"$${a}": "$${b}"}`, "map[$${a}:${b}]", 2, "own"},
	} {
		d, n, problems := decoder(t, tt.text, scope)
		before := fmt.Sprint(d.Plain(n))
		for range 2 { // a decoder counts anew
			v, ok := d.Substitute(n)
			in := "another"
			switch v.File {
			case d.File:
				in = "own"
			case file:
				in = "far"
			case nil:
				in = "none"
			}
			if got := fmt.Sprint(d.Plain(v.Node)); !ok || got != tt.want || v.Size != tt.size || in != tt.file || v.Secret {
				t.Errorf("%s: got %s, %d nodes, file %s, secret %v, %q\nwant %s, %d, %s", tt.text, got, v.Size, in, v.Secret, *problems, tt.want, tt.size, tt.file)
			}
		}
		if after := fmt.Sprint(d.Plain(n)); after != before {
			t.Errorf("%s was changed to %s", before, after)
		}
	}
	for text, secret := range map[string]bool{`["${vars.s}", a]`: true, `[a, "${vars.s}"]`: true, `[a, "x ${vars.s}"]`: true, `[[{a: "${vars.s}"}], a]`: true, `[a, "${vars.n}"]`: false} {
		d, n, _ := decoder(t, text, scope)
		if v, ok := d.Substitute(n); !ok || v.Secret != secret {
			t.Errorf("%s: secret %v, want %v", text, v.Secret, secret)
		}
	}
	for text, want := range map[string]string{
		`["${vars.x}", "${vars.y}", a]`: `1:3: ${vars.x}: unknown (know it); 1:16: ${vars.y}: unknown (know it)`,
		`[a, {b: ["x ${vars.x}"]}]`:     `1:13: ${vars.x}: unknown (know it)`,
		`["${vars.}"]`:                  `1:3: ${vars.}: a name is missing after a dot (write $${ for the text ${ itself)`,
		`["a ${vars.list}"]`:            `1:5: ${vars.list} is a list: only text, numbers, true and false can be part of a text`,
	} {
		d, n, problems := decoder(t, text, scope)
		if _, ok := d.Substitute(n); ok || strings.Join(*problems, "; ") != want {
			t.Errorf("%s: %v\n got %s\nwant %s", text, ok, strings.Join(*problems, "; "), want)
		}
	}
	// A key holds no reference. The values of the other keys are made nevertheless.
	d, n, problems := decoder(t, `{"${vars.n}": a, b: "${vars.n}"}`, scope)
	v, _ := d.Substitute(n)
	if got, want := strings.Join(*problems, "; "), `1:2: references are for values: the key "${vars.n}" cannot hold one`; got != want || fmt.Sprint(d.Plain(v.Node)) != "map[${vars.n}:a b:3]" {
		t.Errorf("got %s, %v", got, d.Plain(v.Node))
	}
}

// TestWhole: the reference that a scalar consists of.
func TestWhole(t *testing.T) {
	scope := values{"each.key": variable(t, "shop"), "each.index": variable(t, "2")}
	for text, want := range map[string]string{
		`"${vars.a}"`:             `vars ${vars.a} [{a -1 false }]`,
		`"${vars.a[each.key]}"`:   `vars ${vars.a[each.key]} [{a -1 false } {shop -1 true }]`,
		`"${vars.a[each.index]}"`: `vars ${vars.a[each.index]} [{a -1 false } { 2 false }]`,
		`"a ${vars.a}"`:           ``,
		`"${vars.a}${vars.b}"`:    ``,
		`"$${vars.a}"`:            ``,
		`"${vars.}"`:              ``,
		`abc`:                     ``,
		`""`:                      ``,
		`[a]`:                     ``,
	} {
		d, n, problems := decoder(t, text, scope)
		ref, ok := d.Whole(n)
		got := ""
		if ref != nil {
			got = fmt.Sprintf("%s %s %v", ref.Root, ref.Raw, ref.Path)
		}
		if !ok || got != want || len(*problems) > 0 {
			t.Errorf("%s: %v, got %s, want %s; %q", text, ok, got, want, *problems)
		}
	}
	d, n, problems := decoder(t, `"${vars.a[each.value]}"`, scope)
	if ref, ok := d.Whole(n); ok || ref != nil || len(*problems) != 1 {
		t.Errorf("got %v, %v, %q; want the problem of the index", ref, ok, *problems)
	}
}
