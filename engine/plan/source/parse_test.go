package source_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

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
		{"a tag without a name", "when: ! ${vars.x}\n", "1:7: a ! before a value is dropped: YAML takes it for a tag (write the value in quotes: when: '!…')"},
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
		n := source.Parse(src, "a plan", func(p *source.Problem) {
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
		if got := source.Listed(tt.names); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.names, got, tt.want)
		}
	}
}
