package spec_test

import (
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// part returns the part of a value that ${vars.v…} names, or the fault.
func part(t *testing.T, of spec.Value, ref *syntax.Reference) string {
	t.Helper()
	n, fault := spec.Part(of, ref, 1)
	if fault == nil {
		if n.Kind != yaml.ScalarNode {
			return "not a scalar"
		}
		return n.Value
	}
	got := fault.Message
	if fault.Hint != "" {
		got += " (" + fault.Hint + ")"
	}
	if fault.At.Line > 0 {
		got = fault.At.String() + ": " + got
	}
	return got
}

func reference(t *testing.T, raw string) *syntax.Reference {
	t.Helper()
	ref, bad := syntax.ParseReference(raw)
	if bad != nil {
		t.Fatal(bad.Message)
	}
	return ref
}

// TestParts: the part of a variable that a reference names, or what the variable has instead.
func TestParts(t *testing.T) {
	of := variable(t, `{list: [a, [b]], map: {key: c, "0": d, a/b: e}, text: f, nothing: null}`)
	for path, want := range map[string]string{
		`.text`:         `f`,
		`["text"]`:      `f`,
		`.list[0]`:      `a`,
		`.list[1][0]`:   `b`,
		`.map.key`:      `c`,
		`.map["0"]`:     `d`,
		`.map["a/b"]`:   `e`,
		``:              `not a scalar`,
		`.list[2]`:      `${vars.v.list[2]}: vars.v.list has 2 items, so no [2]`,
		`.list[1][1]`:   `${vars.v.list[1][1]}: vars.v.list[1] has 1 items, so no [1]`,
		`.list.first`:   `${vars.v.list.first}: vars.v.list is a list and has no first`,
		`.list["0"]`:    `${vars.v.list["0"]}: vars.v.list is a list and has no ["0"]`,
		`.map[0]`:       `${vars.v.map[0]}: vars.v.map is a mapping and has no [0]`,
		`.map.kye`:      `${vars.v.map.kye}: vars.v.map has no key "kye" (did you mean "key"?)`,
		`.map["zzz"]`:   `${vars.v.map["zzz"]}: vars.v.map has no key "zzz" (it has 0, a/b and key)`,
		`.text.x`:       `${vars.v.text.x}: vars.v.text is text and has no x`,
		`.text[0]`:      `${vars.v.text[0]}: vars.v.text is text and has no [0]`,
		`.nothing.x`:    `${vars.v.nothing.x}: vars.v.nothing is nothing and has no x`,
		`.map.key.x.y`:  `${vars.v.map.key.x.y}: vars.v.map.key is text and has no x`,
		`.zzzzz.x`:      `${vars.v.zzzzz.x}: vars.v has no key "zzzzz" (it has list, map, nothing and text)`,
		`.list[0].name`: `${vars.v.list[0].name}: vars.v.list[0] is text and has no name`,
	} {
		if got := part(t, of, reference(t, "${vars.v"+path+"}")); got != want {
			t.Errorf("%s\n got %s\nwant %s", path, got, want)
		}
	}
	// The key of an item stands for [each.key]: one that is close is another item's.
	ref := reference(t, "${vars.v.map[each.key]}")
	ref.Path[2] = keypath.Elem{Name: "kye", Index: -1, Quoted: true}
	if got, want := part(t, of, ref), `${vars.v.map[each.key]}: vars.v.map has no key "kye" (give every item such a key; it has 0, a/b and key)`; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	ref = reference(t, "${vars.v.list[each.key]}")
	ref.Path[2] = keypath.Elem{Name: "shop", Index: -1, Quoted: true}
	if got, want := part(t, of, ref), `${vars.v.list[each.key]}: vars.v.list is a list and has no ["shop"]`; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// TestPartsOfItems: a part that an item of forEach lacks and others have is the fault of the
// item, at its place, if that is known.
func TestPartsOfItems(t *testing.T) {
	all, f := node(t, "- {host: a, tls: {port: 1}}\n- {host: b, tls: {}}\n- {hots: c}\n- {host: d, tls: {port: 2}}\n- e\n")
	for _, tt := range []struct {
		item int
		path string
		want string
	}{
		{0, ".host", "a"},
		{1, ".tls.port", "p.yaml:2:18: item 1.tls lacks port, which 2 of the 5 items have (add it to the item, or correct the reference)"},
		{2, ".host", "p.yaml:3:4: item 2 lacks host, which 3 of the 5 items have (write host instead of hots)"},
		{2, ".tls.port", "p.yaml:3:3: item 2 lacks tls, which 2 of the 5 items have (add it to the item, or correct the reference)"},
		{0, ".hots", "p.yaml:1:4: item 0 lacks hots, which 1 of the 5 items has (write hots instead of host)"},
		{4, ".host", "p.yaml:5:3: item 4 lacks host, which 3 of the 5 items have (add it to the item, or correct the reference)"},
		{0, ".name", `${each.value.name}: each.value has no key "name" (it has host and tls)`}, // no item has it
	} {
		ref := reference(t, "${each.value"+tt.path+"}")
		of := spec.Value{Node: all.Content[tt.item], File: f, Item: &spec.Item{Name: string('0' + rune(tt.item)), Among: all.Content}}
		if got := part(t, of, ref); got != tt.want {
			t.Errorf("item %d%s\n got %s\nwant %s", tt.item, tt.path, got, tt.want)
		}
	}
	const want = `${each.value.host}: each.value has no key "host" (did you mean "hots"?)`
	unplaced := *all.Content[2]
	unplaced.Line = 0
	for name, of := range map[string]spec.Value{
		"no file":  {Node: all.Content[2], Item: &spec.Item{Name: "2", Among: all.Content}},
		"no place": {Node: &unplaced, File: f, Item: &spec.Item{Name: "2", Among: all.Content}},
		"no item":  {Node: all.Content[2], File: f},
	} {
		if got := part(t, of, reference(t, "${each.value.host}")); got != want {
			t.Errorf("%s\n got %s\nwant %s", name, got, want)
		}
	}
}
