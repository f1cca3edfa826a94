package source

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ztplan/ztplan/engine"
)

func TestExcerpt(t *testing.T) {
	known := func(s string) string { return strings.ReplaceAll(s, "hunter2xx", engine.Redacted) }
	many := strings.Repeat("# a\n", 9) + "b: 1\n"
	for _, tt := range []struct {
		name, text   string
		line, column int
		want         string
	}{
		{"the first line", "a: 1\nb:\n  c: x\n", 1, 1, "> 1 | a: 1\n    | ^\n  2 | b:\n"},
		{"the last line", "a: 1\nb:\n  c: x\n", 3, 6, "  2 | b:\n> 3 |   c: x\n    |      ^\n"},
		{"one line", "a: 1", 1, 4, "> 1 | a: 1\n    |    ^\n"},
		{"after the end of a line", "a: 1", 1, 99, "> 1 | a: 1\n    |     ^\n"},
		{"without a column", "a: 1\nb: 2\n", 2, 0, "  1 | a: 1\n> 2 | b: 2\n"},
		{"numbers of two digits", many, 10, 1, "   9 | # a\n> 10 | b: 1\n     | ^\n"},
		{"characters, not bytes", "é: ü", 1, 4, "> 1 | é: ü\n    |    ^\n"},
		{"a tab before the column", "a:\n\tb: y", 2, 2, "  1 | a:\n> 2 | \tb: y\n    | \t^\n"},
		{"an empty line", "a:\n\nb: 1", 3, 1, "  2 |\n> 3 | b: 1\n    | ^\n"},
		{"control characters", "a: \x1b[31m", 1, 4, "> 1 | a: \uFFFD[31m\n    |    ^\n"},
		{"a line that is not there", "a: 1\n", 2, 1, ""},
		{"no line", "a: 1\n", 0, 0, ""},
		{"a known secret before the column", "x: hunter2xx, y: 5", 1, 15, "> 1 | x: (secret), y: 5\n    |              ^\n"},
		{"a known secret beside the line", "x: hunter2xx\ny: 5", 2, 1, "  1 | x: (secret)\n> 2 | y: 5\n    | ^\n"},
		{"the name of a secret", "password: abc\ny: 5", 2, 1, "  1 | password: (secret)\n> 2 | y: 5\n    | ^\n"},
		{"a block of text below the name of a secret", "token: |\n  abc\n  def\ny: 5", 3, 3, "  2 |   (secret)\n> 3 |   (secret)\n    |   ^\n  4 | y: 5\n"},
		{"a list below the name of a secret", "tokens:\n- abc\ny: 5", 3, 1, "  2 | (secret)\n> 3 | y: 5\n    | ^\n"},
		{"a reference below the name of a secret", "token: ${vars.t}", 1, 8, "> 1 | token: ${vars.t}\n    |        ^\n"},
		{"a place in a reference", "token: ${vars.t}", 1, 14, "> 1 | token: ${vars.t}\n    |              ^\n"},
		{"a place behind what is hidden", "a: hvs.0123456789abcdef, b: 1", 1, 29, "> 1 | a: (secret), b: 1\n    |                 ^\n"},
		{"a place in what is hidden", "password: abc: d", 1, 12, "> 1 | password: (secret)\n    |                   ^\n"},
		{"a key without a value", "token:\n", 1, 1, "> 1 | token:\n    | ^\n"},
		{"a line that just fits", "a: " + strings.Repeat("x", 147) + "\nb: " + strings.Repeat("y", 148), 1, 150,
			"> 1 | a: " + strings.Repeat("x", 147) + "\n    | " + strings.Repeat(" ", 149) + "^\n  2 | b: " + strings.Repeat("y", 147) + "…\n"},
		{"a line of more than can be searched", "a: 1\nb: " + strings.Repeat("x", 64<<10), 2, 1, ""},
		{"beside such a line", "a: 1\nb: " + strings.Repeat("x", 64<<10) + "\nc: 1", 3, 1, "> 3 | c: 1\n    | ^\n"},
		{"before such a line", "a: 1\nb: " + strings.Repeat("x", 64<<10), 1, 1, "> 1 | a: 1\n    | ^\n"},
		{"the middle of a long line", strings.Repeat("x", 100) + "y" + strings.Repeat("z", 100), 1, 101,
			"> 1 | …" + strings.Repeat("x", 75) + "y" + strings.Repeat("z", 74) + "…\n    | " + strings.Repeat(" ", 76) + "^\n"},
		{"a file of keys", "unseal_keys: [a]\nb: 1", 2, 1, ""},
		{"a long line", "a: " + strings.Repeat("x", 300) + ", b: 1", 1, 306,
			"> 1 | …" + strings.Repeat("x", 73) + ", b: 1\n    |  " + strings.Repeat(" ", 75) + "^\n"},
	} {
		if got := NewFile("p.yaml", []byte(tt.text)).excerpt(tt.line, tt.column, known); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

// TestPositions: lines and columns and bytes are the same places, with the line breaks
// that YAML has.
func TestPositions(t *testing.T) {
	for _, text := range []string{"", "a", "a\n", "a\nb", "a\r\nb\r\n", "a\rb", "é\u2028ü\u2029x\u0085y", "\n\n", "a\xc2", "\xe2\x80"} {
		f := NewFile("p.yaml", []byte(text))
		for at := 0; at < len(text); {
			line, column := f.at(at)
			if back := f.offset(line, column); back != at {
				t.Errorf("%q: byte %d is %d:%d, and that is byte %d", text, at, line, column, back)
			}
			if l, c := f.clamp(line, column); line <= f.lines() && l != line || c > column {
				t.Errorf("%q: %d:%d is moved to %d:%d", text, line, column, l, c)
			}
			_, n := utf8.DecodeRuneInString(text[at:])
			at += n
		}
		for n := 1; n <= f.lines(); n++ {
			if line := f.line(n); strings.ContainsAny(line, "\r\n\u2028\u2029\u0085") {
				t.Errorf("%q: line %d is %q", text, n, line)
			}
		}
		if f.offset(1, len(text)+2) != -1 || f.offset(0, 1) != -1 || f.offset(99, 1) != -1 {
			t.Errorf("%q: a place outside is in the file", text)
		}
		if line, column := f.clamp(99, 99); line > f.lines() || column > len(text)+1 {
			t.Errorf("%q: clamp = %d:%d", text, line, column)
		}
	}
}
