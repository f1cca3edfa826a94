package diff_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine/diff"
)

// FuzzLeaves: a tree does not differ from itself; two trees differ exactly if
// they are not equal; the result is the same each time; and a leaf is on the
// side that its flags name.
func FuzzLeaves(f *testing.F) {
	for _, pair := range [][2]string{
		{`{"a": 1}`, `{"a": "1"}`}, {`{"a/b": 1, "a": {"b": 2}}`, `{"a": {"b": 1}, "a/b": 2}`}, {`["x"]`, `{"0": "x"}`},
		{`{"": {"": 1}}`, `1`}, {`{}`, `[]`}, {`null`, `[null]`}, {`{"a": [1, {"b": []}]}`, `{"a": [1, {"b": {}}]}`},
		{`{"p": "a\nb\n"}`, `{"p": "a\nc"}`}, {`{"01": 1, "1": 2}`, `{"1": 1, "01": 2}`}, {`" "`, `""`}, {`1e300`, `1e301`},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		have, want, ok := tree(one), tree(two), json.Valid([]byte(one)) && json.Valid([]byte(two))
		if !ok {
			t.Skip()
		}
		if lines := diff.Lines(have, tree(one)); len(lines) != 0 {
			t.Errorf("%s differs from itself: %q", one, lines)
		}
		leaves := diff.Leaves(have, want)
		if same := cmp.Equal(have, want); same != (len(leaves) == 0) && have != nil && want != nil {
			t.Errorf("%s and %s: equal %t, and differ in %v", one, two, same, leaves)
		}
		if d := cmp.Diff(leaves, diff.Leaves(tree(one), tree(two))); d != "" {
			t.Errorf("%s and %s differ differently each time:\n%s", one, two, d)
		}
		back := diff.Leaves(want, have)
		if len(back) != len(leaves) {
			t.Fatalf("%s and %s: %d leaves differ, and the other way round %d", one, two, len(leaves), len(back))
		}
		for _, l := range leaves {
			if !l.HasHave && !l.HasWant || l.HasHave && l.HasWant && l.Have == l.Want {
				t.Errorf("%s and %s: leaf %+v says nothing", one, two, l)
			}
		}
		diff.Lines(have, want)
	})
}

// tree decodes JSON as plain data.
func tree(text string) (v any) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	if dec.Decode(&v) != nil {
		return nil
	}
	return v
}
