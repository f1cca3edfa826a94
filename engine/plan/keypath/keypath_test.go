package keypath_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// TestPaths: a path that was written is read back, with any keys.
func TestPaths(t *testing.T) {
	if got, want := keypath.String([]keypath.Elem{{Name: "roles", Index: -1}, {Index: 0}, {Name: "a/b", Index: -1}, {Name: "c", Index: -1}}), `roles[0]["a/b"].c`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r := rand.New(rand.NewPCG(5, 6))
	alphabet := []rune(`ab-_1."[]\é 🙂$`)
	for range 5000 {
		path := make([]keypath.Elem, r.IntN(5))
		for i := range path {
			if i > 0 && r.IntN(3) == 0 {
				path[i] = keypath.Elem{Index: r.IntN(1000)}
				continue
			}
			name := make([]rune, r.IntN(6))
			for j := range name {
				name[j] = alphabet[r.IntN(len(alphabet))]
			}
			path[i] = keypath.Key(string(name))
			path[i].Quoted = !keypath.IsName(string(name)) || r.IntN(2) == 0
		}
		s := keypath.String(path)
		if back := keypath.Parse(s); !slices.Equal(back, path) {
			t.Fatalf("%s: got %v, want %v", s, back, path)
		}
	}
}

// TestNames: what a reference names without quotes.
func TestNames(t *testing.T) {
	for _, name := range []string{"a", "Z", "_", "_x", "a-b_2", "zA9", "a--"} {
		if !keypath.IsName(name) {
			t.Errorf("%q is no name", name)
		}
	}
	for _, name := range []string{"", "-", "-a", "0", "0a", "a.b", "a b", "a[0]", "é", "aé", "a{", "a`", "a@", "{", "|a", "~", "@", "["} {
		if keypath.IsName(name) {
			t.Errorf("%q is a name", name)
		}
	}
	if id, rest := keypath.Name("a-1.b"); id != "a-1" || rest != ".b" {
		t.Errorf("got %q and %q", id, rest)
	}
}

// TestParse: paths as problems have them. A rest that is none is cut off.
func TestParse(t *testing.T) {
	for s, want := range map[string]string{
		``:                  ``,
		`a`:                 `a`,
		`a.b[0]["c/d"].e`:   `a.b[0]["c/d"].e`,
		`["a"]`:             `["a"]`,
		`[0][1]`:            `[0][1]`,
		`a["b\"]c"].d`:      `a["b\"]c"].d`,
		`a["b`:              `a`,
		`a["b\q"].c`:        `a`,
		`a[x].b`:            `a`,
		`a[-1]`:             `a`,
		`a[99999999999].b`:  `a`,
		`a..b`:              `a`,
		`a.`:                `a`,
		`a.[0]`:             `a`,
		`a[0]b`:             `a[0].b`,
		`a.b.c[each.key].d`: `a.b.c`,
	} {
		if got := keypath.String(keypath.Parse(s)); got != want {
			t.Errorf("%s: got %s, want %s", s, got, want)
		}
	}
}

// TestElements: an index is between brackets, by its number, its key or its reference.
func TestElements(t *testing.T) {
	quoted := keypath.Elem{Name: "a", Index: -1, Quoted: true}
	by := keypath.Elem{Index: -1, By: "each.key"}
	for _, tt := range []struct {
		elem  keypath.Elem
		index bool
		text  string
	}{{keypath.Key("a"), false, "x.a"}, {keypath.Key("a b"), false, `x["a b"]`}, {keypath.Item(0), true, "x[0]"}, {quoted, true, `x["a"]`}, {by, false, "x[each.key]"}} {
		if got := keypath.String([]keypath.Elem{keypath.Key("x"), tt.elem}); tt.elem.IsIndex() != tt.index || got != tt.text {
			t.Errorf("%+v: %v, %s, want %v, %s", tt.elem, tt.elem.IsIndex(), got, tt.index, tt.text)
		}
	}
}

// TestDescend: a path is followed as far as the value has it.
func TestDescend(t *testing.T) {
	f := source.NewFile("p.yaml", []byte(`{a: [x, {b: y}], "0": z, c: null}`))
	n := source.Parse(f, "a value", func(p *source.Problem) { t.Fatal(p) })
	for path, want := range map[string]struct {
		value string
		depth int
	}{
		`a[0]`:       {"x", 2},
		`a[1].b`:     {"y", 3},
		`["0"]`:      {"z", 1},
		`c`:          {"null", 1},
		`a[2]`:       {"[x, [y]]", 1},
		`a.b`:        {"[x, [y]]", 1},
		`a[0].b.c`:   {"x", 2},
		`a[1][0]`:    {"[y]", 2}, // not the key of a mapping
		`[0]`:        {"[[x, [y]], z, null]", 0},
		`d.e`:        {"[[x, [y]], z, null]", 0},
		`a[1]["b"]`:  {"y", 3},
		`c.d`:        {"null", 1},
		`a[1].b[0]`:  {"y", 3},
		`a[1].zz[0]`: {"[y]", 2},
	} {
		got, depth := keypath.Descend(n, keypath.Parse(path))
		if values(got) != want.value || depth != want.depth {
			t.Errorf("%s: got %s at %d, want %s at %d", path, values(got), depth, want.value, want.depth)
		}
	}
}

// values writes the values of a tree, without the keys.
func values(n *yaml.Node) string {
	var all []string
	for i, item := range n.Content {
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			all = append(all, values(item))
		}
	}
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return "[" + strings.Join(all, ", ") + "]"
}
