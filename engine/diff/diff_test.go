package diff_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/diff"
)

func TestLines(t *testing.T) {
	for name, test := range map[string]struct {
		have, want any
		lines      []string
	}{
		"equal":         {map[string]any{"a": 1}, map[string]any{"a": 1.0}, nil},
		"scalar":        {"1h", "24h", []string{"~ 1h → 24h"}},
		"absent":        {nil, "on", []string{"+ on"}},
		"gone":          {"on", nil, []string{"- on"}},
		"nested":        {map[string]any{"a": map[string]any{"b": 1, "c": true}}, map[string]any{"a": map[string]any{"b": 2, "d": "x"}}, []string{"~ a/b: 1 → 2", "- a/c: true", "+ a/d: x"}},
		"lists":         {[]any{"a", "a"}, []any{"a"}, []string{"- 1: a"}},
		"ten items":     {nil, []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}, []string{"+ 0: 0", "+ 1: 1", "+ 2: 2", "+ 3: 3", "+ 4: 4", "+ 5: 5", "+ 6: 6", "+ 7: 7", "+ 8: 8", "+ 9: 9", "+ 10: 10"}},
		"empty string":  {"", "x", []string{`~ "" → x`}},
		"empty map":     {map[string]any{}, map[string]any{"a": 1}, []string{"+ a: 1"}},
		"filled":        {map[string]any{"m": map[string]any{}, "l": []any{}, "e": map[string]any{}}, map[string]any{"m": map[string]any{"a": 1}, "l": []any{1}, "e": []any{}}, []string{"~ e: {} → []", "+ l/0: 1", "+ m/a: 1"}},
		"emptied":       {map[string]any{"m": map[string]any{"a": 1}}, map[string]any{"m": map[string]any{}}, []string{"- m/a: 1"}},
		"new, empty":    {nil, map[string]any{}, nil},
		"new with one":  {nil, map[string]any{"m": map[string]any{}}, []string{"+ m: {}"}},
		"other kind":    {map[string]any{"m": []any{}}, map[string]any{"m": map[string]any{"a": 1}}, []string{"- m: []", "+ m/a: 1"}},
		"secret same":   {engine.NewSecret("s"), engine.NewSecret("s"), nil},
		"secret new":    {nil, map[string]any{"t": engine.NewSecret("s")}, []string{"+ t: (secret)"}},
		"secret change": {map[string]any{"t": engine.NewSecret("a")}, map[string]any{"t": engine.NewSecret("b")}, []string{"~ t: (secret) → (secret, changed)"}},
		"text":          {map[string]any{"p": "a\nb\nc\n"}, map[string]any{"p": "a\nx\nc\n"}, []string{"~ p:", "    a", "  - b", "  + x", "    c"}},
		"text's end":    {map[string]any{"p": "a\nb"}, map[string]any{"p": "a\nb\n"}, []string{"~ p: only the newline at its end differs"}},
		"new text":      {nil, map[string]any{"p": "a\nb"}, []string{"+ p:", "  + a", "  + b"}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(test.lines, diff.Lines(test.have, test.want)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// Applying the + and kept lines of a text diff gives want; the - and kept
// lines give have.
func FuzzTextDiff(f *testing.F) {
	f.Add("a\nb\nc", "a\nx\nc")
	f.Add("", "x")
	f.Add("\n\n", "\n")
	f.Fuzz(func(t *testing.T, have, want string) {
		have, want = "x\n"+have, "x\n"+want
		lines := diff.Lines(map[string]any{"p": have}, map[string]any{"p": want})
		if have == want {
			if len(lines) != 0 {
				t.Fatalf("equal texts differ: %q", lines)
			}
			return
		}
		if len(lines) == 0 {
			t.Fatalf("%q and %q do not differ", have, want)
		}
		if strings.TrimSuffix(have, "\n") == strings.TrimSuffix(want, "\n") {
			return
		}
		var a, b []string
		for _, l := range lines[1:] {
			l = l[2:]
			switch l[:2] {
			case "- ":
				a = append(a, l[2:])
			case "+ ":
				b = append(b, l[2:])
			case "  ":
				a, b = append(a, l[2:]), append(b, l[2:])
			}
		}
		if got := strings.Join(a, "\n"); got != strings.TrimSuffix(have, "\n") {
			t.Errorf("have = %q, got %q", have, got)
		}
		if got := strings.Join(b, "\n"); got != strings.TrimSuffix(want, "\n") {
			t.Errorf("want = %q, got %q", want, got)
		}
	})
}
