package diff_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine/diff"
)

func TestBrief(t *testing.T) {
	big := map[string]any{"a": 1, "b": 2, "c": 3, "d": 4, "e": map[string]any{"f": 5}}
	numbered := func(change string) string {
		var b strings.Builder
		for i := range 60 {
			if i == 30 {
				b.WriteString(change)
			}
			fmt.Fprintf(&b, "line %d\n", i)
		}
		return b.String()
	}
	for name, test := range map[string]struct {
		have, want any
		lines      []string
		folded     bool
	}{
		"a new part":       {nil, map[string]any{"objects": map[string]any{"Pod/a/b": big, "Pod/a/c": map[string]any{"x": 1}}, "v": 1}, []string{"+ objects/Pod/a/c/x: 1", "+ v: 1", "+ objects/Pod/a/b (5 fields)"}, true},
		"a part gone":      {map[string]any{"objects": map[string]any{"Pod/a/b": big}}, map[string]any{"v": 1}, []string{"+ v: 1", "- objects/Pod/a/b (5 fields)"}, true},
		"a changed part":   {map[string]any{"o": map[string]any{"p": map[string]any{"a": 0}}}, map[string]any{"o": map[string]any{"p": big}}, []string{"~ o/p/a: 0 → 1", "+ o/p/b: 2", "+ o/p/c: 3", "+ o/p/d: 4", "+ o/p/e/f: 5"}, false},
		"a new text in it": {nil, map[string]any{"objects": map[string]any{"ConfigMap/a": map[string]any{"data": "1\n2\n3\n4\n5\n"}}}, []string{"+ objects/ConfigMap/a (1 field)"}, true},
		"one level":        {nil, map[string]any{"part": big}, []string{"+ part/a: 1", "+ part/b: 2", "+ part/c: 3", "+ part/d: 4", "+ part/e/f: 5"}, false},
		"a long value":     {nil, map[string]any{"v": strings.Repeat("é", 300)}, []string{"+ v: " + strings.Repeat("é", 200) + "… (300 characters)"}, true},
		"a text's middle":  {map[string]any{"t": numbered("")}, map[string]any{"t": numbered("new\n")}, []string{"~ t:", "    line 0", "    line 1", "    line 2", "  …", "    line 27", "    line 28", "    line 29", "  + new", "    line 30", "    line 31", "    line 32", "  …"}, true},
		"small":            {nil, map[string]any{"a": 1}, []string{"+ a: 1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			lines, folded := diff.Brief(test.have, test.want)
			if d := cmp.Diff(test.lines, lines); d != "" || folded != test.folded {
				t.Errorf("folded %v (-want +got):\n%s", folded, d)
			}
		})
	}
	lines, folded := diff.Brief(nil, map[string]any{"t": numbered("")})
	if len(lines) != 42 || lines[41] != "  + … and 20 more lines" || !folded {
		t.Errorf("a new text: %d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}
