package source_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// flow writes a tree in one line.
func flow(n *yaml.Node) string {
	if n == nil {
		return "nothing"
	}
	var parts []string
	switch n.Kind {
	case yaml.MappingNode:
		for k, v := range source.Pairs(n) {
			parts = append(parts, k.Value+": "+flow(v))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case yaml.SequenceNode:
		for _, item := range n.Content {
			parts = append(parts, flow(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return n.Value
}

// TestParse: the tree of a text, or its problems with their places.
func TestParse(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "nothing"},
		{"a comment", "# a\n", "nothing"},
		{"a mapping", "a: 1\nb: [x, {c: d}]\n", "{a: 1, b: [x, {c: d}]}"},
		{"an alias", "a: &x [1]\nb: *x\n", "{a: [1], b: [1]}"},
		{"a merge key first", "a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\n", "{a: {k: 1, l: 2}, b: {k: 3, l: 2}}"},
		{"a merge key last", "a: &x {k: 1, l: 2}\nb: {k: 3, <<: *x}\n", "{a: {k: 1, l: 2}, b: {k: 1, l: 2}}"},
		{"a merge of a list", "a: &x {k: 1}\nb: &y {k: 2, l: 3}\nc: {<<: [*x, *y]}\n", "{a: {k: 1}, b: {k: 2, l: 3}, c: {k: 1, l: 3}}"},
		{"an empty second document", "a: 1\n---\n", "{a: 1}"},
		{"a key twice", "a: 1\nb: 2\na: 3\n", `3:1: key "a" is given twice; first in line 1 (keep one of the two); {a: 1, b: 2}`},
		{"a key twice of many", keys(20) + "k7: 1\n", `21:1: key "k7" is given twice; first in line 8 (keep one of the two)`},
		{"a list as a key", "? [a]\n: 1\nb: 2\n", "1:3: a key is a mapping or a list: keys are plain text; {b: 2}"},
		{"an anchor that contains itself", "a: &x [*x]\n", `1:8: anchor "x" contains itself; {a: []}`},
		{"a merge of text", "a: {<<: 5, b: 1}\n", "1:9: only mappings can be merged (write <<: *anchor, where the anchor is on a mapping); {a: {b: 1}}"},
		{"a key twice in braces", "a: {b: 1, b: 2, c: 3}\n", `1:11: key "b" is given twice; first in line 1 (keep one of the two); {a: {b: 1, c: 3}}`},
		{"mappings as keys", "{? [x] : 1, ? {y: z} : 2, b: 3}\n", "1:4: a key is a mapping or a list: keys are plain text; 1:15: a key is a mapping or a list: keys are plain text; {b: 3}"},
		{"an alias of a key", "? &a [b]\n: c\nd: *a\n", "1:3: a key is a mapping or a list: keys are plain text; {d: [b]}"},
		{"an alias as a key", "a: &x b\n*x : c\n", "{a: b, b: c}"},
		{"a merge of text and a mapping", "a: {<<: [5, {b: 1}], c: 2}\n", "1:10: only mappings can be merged (write <<: *anchor, where the anchor is on a mapping); {a: {b: 1, c: 2}}"},
		{"two merge keys", "a: {<<: {b: 1}, <<: {c: 2}, b: 3}\n", "{a: {b: 3, c: 2}}"},
		{"a key twice behind a merge key", "a: {b: 1, <<: {b: 2, c: 3}, c: 4, c: 5}\n", `1:35: key "c" is given twice; first in line 1 (keep one of the two); {a: {b: 2, c: 4}}`},
		{"a merge key of many", "x: &x {k1: x, z: y}\n" + keys(14) + "<<: *x\n", "{x: {k1: x, z: y}, k0: 1, k1: x, k2: 1, k3: 1, k4: 1, k5: 1, k6: 1, k7: 1, k8: 1, k9: 1, k10: 1, k11: 1, k12: 1, k13: 1, z: y}"},
		{"anchors that contain themselves", "a: &x {b: &y [1, *y], c: *x}\n", `1:18: anchor "y" contains itself; 1:26: anchor "x" contains itself; {a: {b: [1, ], c: }}`},
		{"aliases of aliases", aliases(5), `6:45: aliases repeat more than 1000000 values (write fewer aliases of aliases); nothing`},
		{"fewer aliases of aliases", aliases(4), "{a0: [x, "},
		{"tags", "a: !x {b: !y [c]}\n", "1:4: a tag, which is a word that begins with !, has no meaning here (leave the tag out, or write the value in quotes: key: '!…'); 1:11: a tag, which"},
		{"a tag without a name", "when: ! ${vars.x}\n", "1:7: a ! before a value is dropped: YAML takes it for a tag (write the value in quotes: when: '!…'); {when: ! ${vars.x}}"},
		{"a tag without a name before quotes", "a: ! \"5\"\n", "{a: 5}"},
		{"two errors that are no mistakes", "a:\n    - b\n  c: 1\nd: \"x\ne: 2\n", `3:3: not valid YAML: did not find expected key; 4:1: not valid YAML: found unexpected end of stream; nothing`},
		{"{{ }} that the parser takes", "a: {{ x }}\nb: {c: {{ y }}, d: {{ z }}-1}\n",
			"1:4: not valid YAML: a template, {{ … }} (" + template + "); 2:8: not valid YAML: a template, {{ … }} (" + template + "); 2:20: not valid YAML: a template, {{ … }} (" + template + "); {a: ${, b: {c: ${, d: ${}}"},
		{"text that looks like mistakes", "a: >\n  {{ x }}: y: z\nb: \"x\n  @y: {{ z: z\"\nc: x\n  @y %z\nd: {k: [x, 'it''s: [}'], u: http://h/a#b}\ne: &f-1 {g: 1}\nh: &f 1\ni: *f # a: b: c\nj: {{ z }}\n", `11:4: not valid YAML: a template, {{ … }} (` + template + `); {a: {{ x }}: y: z`},
		{"text over two lines of a list", "k: [x\n  @y]\nj: @z\n", "3:4: not valid YAML: a value begins with @ "},
		{"a tag", "a: !mine x\n", `1:4: a tag, which is a word that begins with !, has no meaning here (leave the tag out, or write the value in quotes: key: '!…'); {a: x}`},
		{"two documents", "a: 1\n---\nb: 2\n", "3:1: a second YAML document: a plan is one document (put it into a file of its own, or remove the --- before it); {a: 1}"},
		{"not UTF-8", "a: é\nb: \xff\n", "2:4: not UTF-8 text (save the file as UTF-8); nothing"},
		{"a tab", "a:\n\tb: 1\n", "2:1: not valid YAML: a tab indents the line (indent with spaces, here and in all lines that begin with tabs); {a: {b: 1}}"},
		{"a second colon", "a: b: c\n", `1:5: not valid YAML: a second ": " in a line (write a value that contains ": " in quotes, and a key in a line of its own); {a: b: c}`},
		{"a list that is not closed", "a: [1\nb: 2\n", "2:1: not valid YAML: did not find expected ',' or ']'; nothing"},
		{"a reference between braces", "a: {b: ${vars.x}}\n", `1:8: not valid YAML: a reference without quotes inside of { } or [ ] (write it in quotes: "${vars.x}"); {a: {b: ${vars.x}}}`},
	} {
		var got []string
		n := source.Parse(source.NewFile("p.yaml", []byte(tt.text)), "a plan", func(p *source.Problem) {
			text := fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.Summary)
			if p.Hint != "" {
				text += " (" + p.Hint + ")"
			}
			got = append(got, text)
		})
		got = append(got, flow(n))
		if all := strings.Join(got, "; "); !strings.HasPrefix(all, tt.want) {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, all, tt.want)
		}
	}
}

const template = `declare a variable below vars and write "${vars.NAME}"; when: is for if, forEach: for range, include: for a part that is used again`

// FuzzParse: reading any text ends, and problems and nodes are at places in it.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"a: {{ x }}\nb: [${vars.x}, b[each.key]]\n{{- if x }}\n{{ k }}: 1\n{% end %}\n", "a: *x\nb: !${x}\n\tc: @d\n", "a: b: c\n d: \"e\" f\n",
		"a: {b: c: d, *e, %f}\ng: 'h\n", "é: {ü: ${vars.ä}, ö: @ß}\r\n- `x\u2028\ty: 1", "a: |\n  {{ x }}\n b\n", "? {{a}}\n: &b *c", "a: [1\n  b: 2\nc: {\n",
		"a: {token: 'b, secret: \"{c\n\td: }]\n- name: token\n  value: @x\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		src := source.NewFile("p.yaml", []byte(text))
		lines := 1 + strings.Count(strings.ReplaceAll(text, "\r\n", "\n"), "\n") + strings.Count(text, "\r") + strings.Count(text, "\u0085") + strings.Count(text, "\u2028") + strings.Count(text, "\u2029")
		// What is empty may be behind the end; [source.Collector.Err] moves it.
		inside := func(line, column int) bool {
			return line >= 1 && line <= lines+1 && column >= 1 && column <= utf8.RuneCountInString(text)+1
		}
		all := source.NewCollector(engine.NewInputs(t.Context()), src, "/dir", nil)
		defer func() { _ = all.Err() }() // with excerpts
		n := source.Parse(src, "a plan", func(p *source.Problem) {
			all.Add(p)
			if !inside(p.Line, p.Column) || p.Summary == "" || strings.Contains(p.Summary, "\n") {
				t.Errorf("%q: %+v", text, p)
			}
		})
		var check func(*yaml.Node)
		check = func(n *yaml.Node) {
			if !inside(n.Line, n.Column) {
				t.Errorf("%q: %q is at %d:%d", text, n.Value, n.Line, n.Column)
			}
			for _, child := range n.Content {
				check(child)
			}
		}
		if n != nil && len(text) < 1000 { // aliases may repeat much
			check(n)
		}
	})
}

// aliases returns lists of ten values each, of which each repeats the one before.
func aliases(n int) string {
	var b strings.Builder
	b.WriteString("a0: &a0 [" + strings.Repeat("x, ", 9) + "x]\n")
	for i := range n {
		alias := fmt.Sprintf("*a%d", i)
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(alias+", ", 9)+alias)
	}
	return b.String()
}

func keys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	return b.String()
}

// TestWithin: the place of a part of a scalar, however the scalar is written.
func TestWithin(t *testing.T) {
	for _, tt := range []struct{ text, part, want string }{
		{"a: x ${b} y", "${b}", "p.yaml:1:6"},
		{`a: "x ${b} y"`, "${b}", "p.yaml:1:7"},
		{`a: 'it''s ${b}'`, "${b}", "p.yaml:1:11"},
		{`a: "\t\U00000041${b}"`, "${b}", "p.yaml:1:17"},
		{"a: >-\n  x\n  y ${b}\n", "${b}", "p.yaml:3:5"},
		{"a: |\n  é ${b}\n", "${b}", "p.yaml:2:5"},
		{`a: "\x24{b}"`, "${b}", "p.yaml:1:5"}, // not as it is written: where the scalar begins
		{"a: x", "", "p.yaml:1:4"},
	} {
		f := source.NewFile("p.yaml", []byte(tt.text))
		n := source.Parse(f, "a plan", func(p *source.Problem) { t.Fatal(p) })
		_, scalar := source.Lookup(n, "a")
		finder := source.Finder{File: f}
		if got := finder.Within(scalar, strings.Index(scalar.Value, tt.part), tt.part).String(); got != tt.want {
			t.Errorf("%q in %q is at %s, want %s", tt.part, tt.text, got, tt.want)
		}
	}
}

// TestWithinManyParts: parts of one scalar after each other, and those of another.
func TestWithinManyParts(t *testing.T) {
	type part struct {
		key, text string
		nth       int // of this text in the value, from 0
	}
	for _, tt := range []struct {
		name, text string
		parts      []part
		want       string
	}{
		{"in one line", "a: é${b}x${b}${c}", []part{{"a", "${b}", 0}, {"a", "${b}", 1}, {"a", "${c}", 0}}, "1:5 1:10 1:14"},
		{"in quotes", `a: "${b}\t${b} é ${b}"`, []part{{"a", "${b}", 0}, {"a", "${b}", 1}, {"a", "${b}", 2}}, "1:5 1:11 1:18"},
		{"behind what differs", `a: "\\${b} ${b} é ${b}"`, []part{{"a", "${b}", 0}, {"a", "${b}", 2}}, "1:7 1:19"},
		{"folded", "a: >-\n  ${b}\n  é ${c}\n\n  ${d} ${b}\n", []part{{"a", "${b}", 0}, {"a", "${c}", 0}, {"a", "${d}", 0}, {"a", "${b}", 1}}, "2:3 3:5 5:3 5:8"},
		{"a block", "a: |-2 # b\r\n\r\n     ${b}\r\n  ${c}\r\n", []part{{"a", "${b}", 0}, {"a", "${c}", 0}}, "3:6 4:3"},
		{"back again", "a: ${b} ${c}", []part{{"a", "${c}", 0}, {"a", "${b}", 0}, {"a", "${c}", 0}}, "1:9 1:4 1:9"},
		{"two scalars", "a: ${b}\nc: x ${b}", []part{{"a", "${b}", 0}, {"c", "${b}", 0}, {"a", "${b}", 0}}, "1:4 2:6 1:4"},
		{"far behind", "a: \"" + strings.Repeat(`\U00000041`, 99) + `${b}"`, []part{{"a", "${b}", 0}}, "1:995"},
		{"the same in the next scalar", `a: "\x24{b}"` + "\nc: ${b}\n", []part{{"a", "${b}", 0}, {"c", "${b}", 0}}, "1:5 2:4"},
		{"behind an anchor", `a: &x "b ${b} & ${b}"`, []part{{"a", "${b}", 0}, {"a", "${b}", 1}}, "1:10 1:17"},
		{"short lines that are far in", "a:\n" + strings.Repeat(" ", 40) + "|\n" + strings.Repeat(strings.Repeat(" ", 41)+"${b}\n", 20), []part{{"a", "${b}", 0}, {"a", "${b}", 1}, {"a", "${b}", 19}}, "3:42 4:42 22:42"},
		// Where it is not found, the scalar itself is the place, for what follows, too.
		{"further than any escapes", "a: \"x\\ty\\\n" + strings.Repeat(" ", 999) + `${b} ${c}"`, []part{{"a", "${b}", 0}, {"a", "${c}", 0}}, "1:4 1:4"},
		{"not as it is written", `a: "x\t\x24{b} ${c}"` + "\nd: ${c}", []part{{"a", "${b}", 0}, {"a", "${c}", 0}, {"d", "${c}", 0}}, "1:4 1:4 2:4"},
	} {
		f := source.NewFile("", []byte(tt.text))
		n := source.Parse(f, "a plan", func(p *source.Problem) { t.Fatal(p) })
		finder := source.Finder{File: f}
		var got []string
		for _, part := range tt.parts {
			_, scalar := source.Lookup(n, part.key)
			offset := len(strings.Join(strings.SplitAfterN(scalar.Value, part.text, part.nth+2)[:part.nth+1], "")) - len(part.text)
			p := finder.Within(scalar, offset, part.text)
			got = append(got, fmt.Sprintf("%d:%d", p.Line, p.Column))
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	f := source.NewFile("", []byte("a: b"))
	finder := source.Finder{File: f}
	for _, n := range []*yaml.Node{{Line: 9, Column: 1, Value: "b"}, {Line: 1, Column: 9, Value: "b"}, {Value: "b"}} {
		if got := finder.Within(n, 0, "b"); got != f.Place(n) {
			t.Errorf("a node that is not in the file is at %v", got)
		}
	}
}

func TestListed(t *testing.T) {
	for _, tt := range []struct {
		names []string
		want  string
	}{
		{nil, "none"},
		{[]string{"a"}, "a"},
		{[]string{"b", "a"}, "a and b"},
		{strings.Split("n m l k j i h g f e d c b a", " "), "a, b, c, d, e, f, g, h, i, j, k, l and 2 more"},
	} {
		names := slices.Clone(tt.names)
		if got := source.Listed(names); got != tt.want || !slices.Equal(names, tt.names) {
			t.Errorf("%q: got %q, want %q; the names are %q", tt.names, got, tt.want, names)
		}
	}
}
