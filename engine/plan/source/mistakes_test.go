package source_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// mended returns the problems of a text and the tree that is read all the same.
func mended(text string) string {
	var got []string
	n := source.Parse(source.NewFile("p.yaml", []byte(text)), "a plan", func(p *source.Problem) {
		got = append(got, fmt.Sprintf("%d:%d: %s", p.Line, p.Column, strings.TrimPrefix(p.Summary, "not valid YAML: ")))
	})
	return strings.Join(append(got, flow(n)), "; ")
}

// TestMistakes: mistakes are found where they are, and only where the parser meets one, and
// the rest is read as it is meant. An @ that is reported shows that what is before it was
// read to its end.
func TestMistakes(t *testing.T) {
	for _, tt := range []struct{ text, want string }{

		// Quoted text over lines.
		{"a: {b: \"x,\n  @y: z\", c: @d}\n", "2:14: a value begins with @; {a: {b: x, @y: z, c: @d}}"},
		{"- \"a: @b\n  c\"\n- @d\n", "3:3: a value begins with @; [a: @b c, @d]"},
		{"a: {b: \"x\n  y\", c: @d}\n", "2:10: a value begins with @; {a: {b: x y, c: @d}}"},
		{"a: {b: 'x\n  it''s', c: ${d}}\n", "2:14: a reference without quotes inside of { } or [ ]; {a: {b: x it's, c: ${d}}}"},
		{"a: '\nb: @c\n'\nd: @e\n", "4:4: a value begins with @; {a:  b: @c , d: @e}"},

		// Blocks of text.
		{"a: |\n  x\nb:\n  c: @d\n", "4:6: a value begins with @; {a: x\n, b: {c: @d}}"},
		{"a: |\n  @x\n\n  {{ y }}\nb: @z\n", "5:4: a value begins with @; {a: @x\n\n{{ y }}\n, b: @z}"},
		{"a:\n  - |\n    @x\n  - @y\n", "4:5: a value begins with @; {a: [@x\n, @y]}"},
		{"- a: >-\n   @x\n  b: @y\n", "3:6: a value begins with @; [{a: @x, b: @y}]"},
		{"- - |\n   @x\n  - @y\n", "3:5: a value begins with @; [[@x\n, @y]]"},
		{"? |\n @x\n: @y\n", "3:3: a value begins with @; {@x\n: @y}"},

		// Plain text over lines.
		{"a: x\n---\n  b: @c\n", "3:6: a value begins with @; {a: x}"},
		{"---\n  a: @b\n", "2:6: a value begins with @; {a: @b}"},
		{"---a: @b\n", "1:7: a value begins with @; {---a: @b}"},
		{"- x\n-\n  y: @z\n", "3:6: a value begins with @; [x, {y: @z}]"},
		{"a: \t\n  b: @c\n", "2:6: a value begins with @; {a: {b: @c}}"},
		{"a: x\n  @y\nb: @z\n", "3:4: a value begins with @; {a: x @y, b: @z}"},
		{"- x\n  @y\n- @z\n", "3:3: a value begins with @; [x @y, @z]"},
		{"a: x\n---\n@b: c\n", "3:1: a key begins with @; {a: x}"},

		// Comments.
		{"- x\n- # c\n  y: @z\n", "3:6: a value begins with @; [x, {y: @z}]"},
		{"# @x\na: @y # @z\nb: x#@y\nc: # d: e: f\n  @y\n", "2:4: a value begins with @; 5:3: a value begins with @; {a: @y, b: x#@y, c: @y}"},
		{"a: [ # @x {\n# @x [\n  @y, # b\n  z]\n", "3:3: a value begins with @; {a: [@y, z]}"},
		{"a: b\t# @c\nd: @e\n", "2:4: a value begins with @; {a: b, d: @e}"},

		// Keys.
		{`"a: b": @c`, "1:9: a value begins with @; {a: b: @c}"},
		{"{a: @b}\n", "1:5: a value begins with @; {a: @b}"},
		{"[a: @b]\n", "1:5: a value begins with @; [{a: @b}]"},
		{"@a: b\n", "1:1: a key begins with @; {@a: b}"},
		{"- `a: b\n", "1:3: a key begins with `; [{`a: b}]"},
		{"%it's: b\n", "1:1: a key begins with %; {%it's: b}"},
		{"a: &x b\n*a : c\n*x : @d\n", "2:1: a key begins with *; 3:6: a value begins with @; {a: b, *a : c, b: @d}"},
		{"\"a\" : @b\n", "1:7: a value begins with @; {a: @b}"},
		{"'it''s: @b': @c\n", "1:14: a value begins with @; {it's: @b: @c}"},
		{"? @a\n: b\n", "1:3: a value begins with @; {@a: b}"},
		{"é: @b\n", "1:4: a value begins with @; {é: @b}"},

		// Templates.
		{"{% x %}: y\n", "1:1: a template, {% … %}; {{% x %}: y}"},
		{"b: c\n{{ x\n", "2:1: a template, {{ … }}; {b: c}"},
		{"a: [x{% y %}{{ z }}, {{ y }}{% z %}]\n", "1:5: a template, {% … %}; 1:22: a template, {{ … }}; {a: [${, ${]}"},
		{"a:\n{% for x in y %}\n  b: c\n{% endfor %}\n", "2:1: a template, {% … %}; {a: {b: c}}"},
		{"a:\n{{/* c */}}\n  b: c\n", "2:1: a template, {{ … }}; {a: {b: c}}"},
		{"{{ if x }}\na:\n{{ end }}\nb: c\n", "1:1: a template, {{ … }}; {a: , b: c}"},
		{"{%- if a -%}\nb:\n{%- elif c -%}\n{%- endif -%}\nd: e\n", "1:1: a template, {% … %}; {b: , d: e}"},
		{"a:\n  {{ endpoint }}\nb: c\n", "2:3: a template, {{ … }}; {a: ${, b: c}"},
		{"a: {{ b }}, {{ c }}\n", "1:4: a template, {{ … }}; {a: ${}"},
		{"a: {% b %}, {% c %}\n", "1:4: a template, {% … %}; {a: ${}"},
		{"{{ x }}\n", "1:1: a template, {{ … }}; nothing"},
		{"a: {% x %}\n", "1:4: a template, {% … %}; {a: ${}"},
		{"{{ it's }}: @y\n", "1:1: a template, {{ … }}; 1:13: a value begins with @; {{{ it's }}: @y}"},
		{"'{{ x }}': @y\n", "1:12: a value begins with @; {{{ x }}: @y}"},
		{"a:\n  # c\n\n  {{- x -}}\nb: c\n", "4:3: a template, {{ … }}; {a: ${, b: c}"},
		{"b: c\n{{ x }}\n", "2:1: a template, {{ … }}; {b: c}"},
		{"a:\n  {{- if x }}\n  c: d\n  {{- else }}\n  e: f\n  {{- end }}\n", "2:3: a template, {{ … }}; {a: {c: d, e: f}}"},
		{"{{/* a comment */}}\na: b\n", "1:1: a template, {{ … }}; {a: b}"},
		{"{% if a %}\na: b\n{% elif c %}\nd: e\n{% else %}\n{% endif %}\n", "1:1: a template, {% … %}; {a: b, d: e}"},
		{"{{- range x }}\n- a\n{{- end }}\n", "1:1: a template, {{ … }}; [a]"},
		{"a:\n{{ with x }}\n  b: {{ . }}\n{{ end }}\n", "2:1: a template, {{ … }}; 3:6: a template, {{ … }}; {a: {b: ${}}"},
		{"a:\n{{ define \"x\" }}\n  b: c\n{{ end }}\n", "2:1: a template, {{ … }}; {a: {b: c}}"},
		{"a:\n{{ block \"x\" . }}\n  b: @c\n{{ end }}\n", "2:1: a template, {{ … }}; 3:6: a value begins with @; {a: {b: @c}}"},
		{"a:\n{{ break }}\n  b: c\n{{ continue }}\n", "2:1: a template, {{ … }}; 4:1: a template, {{ … }}; {a: {b: c}}"},
		{"a: x-{{ y }}\nb: \"{{ y }}\"\nc: @x\n", "3:4: a value begins with @; {a: x-{{ y }}, b: {{ y }}, c: @x}"},
		{"a: [{{ y }}, {% z %}, x{{ y }}]\n", "1:5: a template, {{ … }}; 1:14: a template, {% … %}; 1:23: a template, {{ … }}; {a: [${, ${, ${]}"},
		{"a: {b: {{ y }}, c: ${{ z }}}\n", "1:8: a template, {{ … }}; 1:20: a reference without quotes inside of { } or [ ]; {a: {b: ${, c: ${{ z }}}}"},
		{"a: {{ b | d \"#\" }} # c\n", "1:4: a template, {{ … }}; {a: ${}"},

		// Anchors and aliases.
		{"- x\n- &a\n  b: @c\n", "3:6: a value begins with @; [x, {b: @c}]"},
		{"a: *x\n", "1:4: a value begins with *; {a: *x}"},
		{"a: &x b\nc: *x\nd: @e\n", "3:4: a value begins with @; {a: b, c: b, d: @e}"},
		{"a: &\nb: & c\nd: &x*y\n", "1:4: a value begins with &; 2:4: a value begins with &; 3:4: a value begins with &; {a: &, b: & c, d: &x*y}"},
		{"a: *x y\nb: *x.y\n", "1:4: a value begins with *; 2:4: a value begins with *; {a: *x y, b: *x.y}"},
		{"a: [*x, *, &y z, *y, & w]\n", "1:5: a value begins with *; 1:9: a value begins with *; 1:22: a value begins with &; {a: [*x, *, z, z, & w]}"},
		{"a: {*x: b}\n", "1:5: a value begins with *; {a: {*x: b}}"},
		{"a: &x\n  b: @c\n", "2:6: a value begins with @; {a: {b: @c}}"},
		{"a: &x @b\n", "1:7: a value begins with @; {a: @b}"},
		{"a: &x # b\n  c\nd: [*x, @e]\n", "3:9: a value begins with @; {a: c, d: [c, @e]}"},
		{"a: !!str @b\n", "1:10: a value begins with @; {a: @b}"},
		{"a: &x !!map\n  b: @c\n", "2:6: a value begins with @; {a: {b: @c}}"},

		// A !.
		{"a: !${x}\n", "1:4: a value begins with !; {a: !${x}}"},
		{"a: !{x\n", "1:4: a value begins with !; {a: !{x}"},
		{"a: [!${x}, !{y}, !!str z]\n", "1:5: a reference without quotes inside of { } or [ ]; 1:12: a value begins with !; {a: [!${x}, !{y}, z]}"},

		// Text after quotes.
		{`- "a" b`, `1:3: text after the quotes of a value; ["a" b]`},
		{"a: \"b\" c\n", `1:4: text after the quotes of a value; {a: "b" c}`},
		{"a: 'b' # c\nd: @e\n", "2:4: a value begins with @; {a: b, d: @e}"},
		{"a: \"b\\\"\" c\n", `1:4: text after the quotes of a value; {a: "b\"" c}`},
		{"a: 'it''s' c\n", "1:4: text after the quotes of a value; {a: 'it''s' c}"},

		// Colons.
		{"a: b: c: d\n", `1:5: a second ": " in a line; {a: b: c: d}`},
		{"a: b:\n", `1:5: a second ": " in a line; {a: b:}`},
		{"a: b:c\nd: @e\n", "2:4: a value begins with @; {a: b:c, d: @e}"},
		{"- a: b:\tc\n", "1:7: a second \": \" in a line; [{a: b:\tc}]"},
		{"a: é: ü: b\n", `1:5: a second ": " in a line; {a: é: ü: b}`},
		{"a: {b: ü: d: e, f: g}\n", `1:9: a second ": " between two commas; {a: {b: ü: d: e, f: g}}`},
		{"a: [b: c, d: e: f]\n", `1:15: a second ": " between two commas; {a: [{b: c}, {d: e: f}]}`},
		{"a: {b: c:, d: @e}\n", "1:15: a value begins with @; {a: {b: c:, d: @e}}"},
		{"a: {b: c, d, e: f: g}\n", `1:18: a second ": " between two commas; {a: {b: c, d: , e: f: g}}`},
		{"a: [{b: c}, d: e: f]\n", `1:17: a second ": " between two commas; {a: [{b: c}, {d: e: f}]}`},

		// Brackets.
		{"a: [x[0], y]\n", "1:5: a bracket within a value inside of { } or [ ]; {a: [x[0], y]}"},
		{"a: {b: c{d}e, f: it's {g}}\n", "1:8: a bracket within a value inside of { } or [ ]; 1:18: a bracket within a value inside of { } or [ ]; {a: {b: c{d}e, f: it's {g}}}"},
		{"a: {b: x[\"]\"], c: d}\n", `1:8: a bracket within a value inside of { } or [ ]; {a: {b: x["]"], c: d}}`},
		{"a: {b: ${x}${y}, c: z${x}, d: ${e[\"}\"]}y}\n", `1:8: a reference without quotes inside of { } or [ ]; 1:21: a reference without quotes inside of { } or [ ]; 1:31: a reference without quotes inside of { } or [ ]; {a: {b: ${x}${y}, c: z${x}, d: ${e["}"]}y}}`},

		// Characters between brackets.
		{"a: `b\nc: %d\n", "1:4: a value begins with `; 2:4: a value begins with %; {a: `b, c: %d}"},
		{"a: {b: \"c: d: e\", f: @g}\n", "1:22: a value begins with @; {a: {b: c: d: e, f: @g}}"},
		{"a: {b: 'c, @d', f: @g}\n", "1:20: a value begins with @; {a: {b: c, @d, f: @g}}"},
		{"a: {@b: c, `d: e, %f: g}\n", "1:5: a value begins with @; 1:12: a value begins with `; 1:19: a value begins with %; {a: {@b: c, `d: e, %f: g}}"},
		{"a: {b: @c,\td: `e, f: %g}\n", "1:8: a value begins with @; 1:15: a value begins with `; 1:22: a value begins with %; {a: {b: @c, d: `e, f: %g}}"},
		{"a: {b: c#d, e: @f} # @g\n", "1:16: a value begins with @; {a: {b: c#d, e: @f}}"},
		{"a: {b: c # d: e\n , f: @g}\n", "2:7: a value begins with @; {a: {b: c, f: @g}}"},
		{"a: {b: {c: [d, {e: @f}]}, g: @h}\ni: @j\n", "1:20: a value begins with @; 1:30: a value begins with @; 2:4: a value begins with @; {a: {b: {c: [d, {e: @f}]}, g: @h}, i: @j}"},
		{"- [@a, \"b\", @c]\n- {b: @c}\n", "1:4: a value begins with @; 1:13: a value begins with @; 2:7: a value begins with @; [[@a, b, @c], {b: @c}]"},
		{"a: [\n  b,\n  @c\n]\nd: @e\n", "3:3: a value begins with @; 5:4: a value begins with @; {a: [b, @c], d: @e}"},
		{"a: [b , @c ]\n", "1:9: a value begins with @; {a: [b, @c]}"},

		// Tabs.
		{"a:\n  b:\n\tc: d\n", "3:1: a tab indents the line; {a: {b: , c: d}}"},
		{"a:\n   b:\n\tc: d\n", "3:1: a tab indents the line; {a: {b: {c: d}}}"},
		{"a:\n      b:\n\tc: d\n", "3:1: a tab indents the line; {a: {b: {c: d}}}"},
		{"a:\n  b:\n \t c: d\n", "3:2: a tab indents the line; {a: {b: {c: d}}}"},
		{"a:\n\tb: c\n\td: e\n", "2:1: a tab indents the line; {a: {b: c, d: e}}"},
		{"a: |\n  x\n\ty\nb: @c\n", "3:1: a tab indents the line; 4:4: a value begins with @; {a: x\ny\n, b: @c}"},
		{"a:\n\t# b\n  c: @d\n", "2:1: a tab indents the line; 3:6: a value begins with @; {a: {c: @d}}"},
		{"a:\n  c: d\n\t\n  e: f\n", "3:1: a tab indents the line; {a: {c: d, e: f}}"},
		{"a: b\n  \t\nc: d\n", "{a: b, c: d}"},
		{"a: [\n\tb,\n\t@c]\n", "3:2: a value begins with @; {a: [b, @c]}"},
		{"a: b\n\tc\n", "2:1: a tab indents the line; {a: b c}"},

		// What the parser says.
		{"a:\n   b: c\n  d: e\n\n  f: [}\ng: @h\n", "3:3: did not find expected key; 6:4: a value begins with @; nothing"},
		{"a: ]\n# b\n\n# c\n", "1:1: did not find expected node content; nothing"},
		{"- a: b\n  - c\n\n  # d\n# e\n", "2:3: did not find expected key; nothing"},
		{"a:\n- b\n  # c\n# d\n\n c: d\n", "6:2: did not find expected key; nothing"},
		{"a: b\nc\n\nd\ne\n", "2:1: could not find expected ':'; nothing"},
		{"a: b\n  c: d\ne: [\n", "2:3: mapping values are not allowed in this context; 3:1: did not find expected node content; nothing"},
		{"a:\n   b: c\n  d: e\nf: @g\n", "3:3: did not find expected key; 4:4: a value begins with @; nothing"},
		{"a: {b: c\n", "1:1: did not find expected ',' or '}'; nothing"},
		{"a: [b,\n\n # c\nd: e\nf: g\n", "5:1: did not find expected ',' or ']'; nothing"},
		{"- a\nb: c\n", "2:1: did not find expected '-' indicator; nothing"},
		{"a\nb: c\n", "2:1: mapping values are not allowed in this context; nothing"},
		{"a: 'b\n\nc: d\n", "3:1: found unexpected end of stream; nothing"},
		{"a: [b\n  c: ${d}\n", "2:6: a reference without quotes inside of { } or [ ]; 2:3: did not find expected ',' or ']'; nothing"},
		{"a: \a\n", "1:1: control characters are not allowed; nothing"},
		{"a: |x\n", "1:1: did not find expected comment or line break; nothing"},
		{"a: b\n...\nc: d\n", "3:1: did not find expected <document start>; nothing"},
		{"a: b\n---\nc: [\n", "3:1: did not find expected node content; nothing"},
		{"a: b\n---\nc: @d\n", "3:4: a value begins with @; {a: b}"},
		{"a: b\n---\n# c\n---\n", "{a: b}"},
	} {
		if got := mended(tt.text); got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

// TestMendedPlaces: what is read from a text with mistakes has its place in the text, as it
// is written.
func TestMendedPlaces(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"{a: ${x}, b: @c, d: e}", "a@1:2 ${x}@1:5 b@1:11 @c@1:14 d@1:18 e@1:21"},
		{"é: {ü: @ö, it's{}: @it's, b: c}", "é@1:1 ü@1:5 @ö@1:8 it's{}@1:12 @it's@1:20 b@1:27 c@1:30"},
		{"a: {b: {{ x }}, c: {{ a longer one }}, d: e}", "a@1:1 b@1:5 ${@1:8 c@1:17 ${@1:20 d@1:40 e@1:43"},
		{"a:\n\tb:\n\t\td: \"e\"\n\tf: [g, 'h', i]", "a@1:1 b@2:2 d@3:3 e@3:6 f@4:2 g@4:6 h@4:9 i@4:14"},
		{"a:\n  \tb: c\n  \td: e", "a@1:1 b@2:4 c@2:7 d@3:4 e@3:7"},
		{"{{ k }}: v\na: b", "{{ k }}@1:1 v@1:10 a@2:1 b@2:4"},
	} {
		var got []string
		var walk func(n *yaml.Node)
		walk = func(n *yaml.Node) {
			if n.Kind == yaml.ScalarNode {
				got = append(got, fmt.Sprintf("%s@%d:%d", n.Value, n.Line, n.Column))
			}
			for _, child := range n.Content {
				walk(child)
			}
		}
		if n := source.Parse(source.NewFile("p.yaml", []byte(tt.text)), "a plan", func(*source.Problem) {}); n != nil {
			walk(n)
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

// TestMistakeHints: what is said about a mistake. No hint repeats a value: it may be a secret.
func TestMistakeHints(t *testing.T) {
	const (
		reserved  = "that character is reserved in YAML"
		anchor    = "in YAML that begins an anchor, the name of a value that is given elsewhere in the file"
		alias     = "in YAML that begins an alias, the name of a value that is given elsewhere in the file"
		ifText    = "write the value in quotes, if it is text"
		quote     = "write the value in quotes"
		quoteKey  = "write the value in quotes: key: '…'"
		bracket   = "there, a brace or a bracket begins or ends a mapping or a list"
		tag       = "in YAML that begins the tag of a value, such as !!str"
		helm      = "a plan is YAML as it stands: nothing expands templates of Helm or Jinja in it"
		reference = `inside { } and [ ] a reference needs quotes: {trust: "${steps.root.certificate}"}`
	)
	for _, tt := range []struct{ text, detail, hint string }{
		{"a: *x", alias + ", and no anchor before has this name", ifText},
		{"a: *x y", alias, ifText},
		{"a: & b", anchor, ifText},
		{"a: [&]", anchor, ifText},
		{"a: [*x]", alias + ", and no anchor before has this name", ifText},
		{"a: [${x}]", bracket, `write it in quotes: "${x}"`},
		{`a: [${x["b"]}]`, bracket, `write it in quotes: '${x["b"]}'`},
		{"a: [${x}y]", bracket, quote},
		{"a: [y${x}]", bracket, quote},
		{"a: [${x}${y}]", bracket, quote},
		{"a: [b[0]]", bracket, quote},
		{"a: @b", reserved, quoteKey},
		{"a: [@b]", reserved, quote},
		{"@a: b", reserved + ", or stands for an alias", "write the key in quotes"},
		{"a: !${b}", tag, quoteKey},
		{"a: [!{b}]", tag, quote},
		{`a: "b" c`, "a value that begins with a quote ends with the same quote", "put the whole value into quotes, or leave the quotes out"},
		{"a: b: c", "what is behind the first is a value, and a value has no key without a line of its own or { }", `write a value that contains ": " in quotes, and a key in a line of its own`},
		{"a: [b: c: d]", "what is behind the first is a value, and a value has no key without { } of its own", `write a value that contains ": " in quotes, or a comma before the second key`},
		{"a:\n\tb: c", "YAML takes spaces only: how wide a tab is differs between editors", "indent with spaces, here and in all lines that begin with tabs"},
		{"a: {{ b }}", helm, template},
		{"{{ b }}: c", helm, template},

		// What the parser says, with what is known about it.
		{"a: {b: c\nd: e\nf: g", "what begins in this line is not closed before line 3", ""},
		{"a: {b: c", "", ""},
		{"a: [b", "", ""},
		{"a: {b: \"${c\"", "", reference},
		{"a:\n- b\nc\n- ${d}: e", "", ""},
		{"a:\n  - b\n  c: ${d}", "", ""},
		{"a: b\n  c: d", "", `a value that contains ": " needs quotes; otherwise look at the indentation`},
		{"a: \a", "", "remove the control character, or write it as an escape in double quotes"},
	} {
		var got []string
		source.Parse(source.NewFile("p.yaml", []byte(tt.text)), "a plan", func(p *source.Problem) {
			got = append(got, p.Detail, p.Hint)
		})
		if len(got) < 2 || got[0] != tt.detail || got[1] != tt.hint {
			t.Errorf("%q:\n got %q\nwant %q", tt.text, got, []string{tt.detail, tt.hint})
		}
	}
}

// TestRepairIsBounded: a file that is long, or has mistakes without end, is answered with
// what the parser says, or with the first mistakes.
func TestRepairIsBounded(t *testing.T) {
	count := func(text string) (n int, first string) {
		source.Parse(source.NewFile("p.yaml", []byte(text)), "a plan", func(p *source.Problem) {
			if n++; n == 1 {
				first = p.Summary
			}
		})
		return n, first
	}
	long := "a: @b\n" + strings.Repeat("# a comment\n", 128<<10/12+1)
	if n, first := count(long); n != 1 || first != "not valid YAML: found character that cannot start any token" {
		t.Errorf("a long file: %d problems, the first is %s", n, first)
	}
	if n, first := count(long[:len(long)-100]); n != 1 || first != "not valid YAML: a value begins with @" {
		t.Errorf("one that is not so long: %d problems, the first is %s", n, first)
	}
	var hints []string
	source.Parse(source.NewFile("p.yaml", []byte("a:\n\tb: c\n"+long)), "a plan", func(p *source.Problem) {
		hints = append(hints, p.Position.String()+": "+p.Hint)
	})
	if diff := cmp.Diff([]string{"p.yaml:2:1: indent with spaces: YAML does not take tabs"}, hints); diff != "" {
		t.Error(diff)
	}
	if n, _ := count(strings.Repeat("- @b\n", 60)); n != source.MostShown {
		t.Errorf("%d of 60 mistakes are reported", n)
	}
}
