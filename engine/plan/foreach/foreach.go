// Package foreach reads forEach: the items for which a step, or a fragment, is there once
// each.
//
// The items are known when the plan is read, since they decide which steps there are.
// Their keys are in the ids of steps, which events, reports and evidence show: no secret
// can be one. The values may hold secrets. So a collection that is written out is resolved
// part by part, and a secret in one value makes no other value secret.
package foreach

import (
	"fmt"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/kubeyaml"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// Most is how many items a collection may have.
const Most = 1000

// NoOutputs is why a collection cannot refer to an output.
const NoOutputs = "forEach decides which steps there are, which is known before any step runs"

// An Item is one item of a collection. The nil item stands for those of a collection that
// is empty or could not be read: its key and its value are not known.
type Item struct {
	Key keypath.Elem // a name, or the index of an item of a list

	value *yaml.Node
	of    *reader
}

// keyText matches the keys that ids can hold, also on a command line and in a file name.
var keyText = regexp.MustCompile(`^[A-Za-z0-9*][A-Za-z0-9._/:@*-]{0,252}$`)

const keyHint = "use letters, digits and . _ - / : @ *, beginning with a letter or a digit: ids of steps hold the keys"

// Read returns the items of the collection n, in their order, and false after it reported
// a problem. The subject of d names the step.
func Read(d *spec.Decoder, n *yaml.Node) (items []*Item, ok bool) {
	r := &reader{d: d, n: n}
	d.Subject += ": forEach"
	collection, ok := d.Substitute(n)
	value, secret := collection.Node, collection.Secret
	switch {
	case !ok:
		return nil, false
	case collection.Size > spec.MaxNodes:
		return nil, r.problem(n, "", "has more than %d values", spec.MaxNodes)
	case secret && n.Kind == yaml.ScalarNode:
		return nil, r.problem(n, "write the keys out, and refer to the secret in the values: {shop: {token: \"${vars.token}\"}}",
			"%s is a secret: its keys, or how many items it has, would be shown in the ids of steps", n.Value)
	case source.IsNull(value):
		return nil, true
	case value.Kind == yaml.ScalarNode:
		return nil, r.problem(n, "write a list, [a, b], or a mapping, {a: …, b: …}", "want a list or a mapping, have %s", source.Describe(value))
	}
	r.plain, r.fileOf, r.file = !secret, collection.FileOf, collection.File
	if secret {
		value = n
	}
	if value.Kind == yaml.SequenceNode {
		for i, v := range value.Content {
			items = append(items, r.item(keypath.Item(i), v))
		}
	} else {
		items, ok = r.mapping(value)
	}
	if len(items) > Most {
		return nil, r.problem(n, "split it over several steps", "has %d items, and at most %d are run", len(items), Most)
	}
	return items, ok
}

type reader struct {
	d      *spec.Decoder
	n      *yaml.Node                    // the collection as written
	plain  bool                          // the values hold no references: ${ means nothing in them
	fileOf func(name string) engine.File // see [spec.Value.FileOf]
	file   *source.File                  // see [spec.Value.File]
	values []*yaml.Node                  // of all items
}

func (r *reader) item(key keypath.Elem, value *yaml.Node) *Item {
	r.values = append(r.values, value)
	return &Item{Key: key, value: value, of: r}
}

func (r *reader) mapping(value *yaml.Node) (items []*Item, ok bool) {
	ok = true
	first := make(map[string]*yaml.Node, len(value.Content)/2)
	for key, v := range source.Pairs(value) {
		at := key
		if r.n.Kind == yaml.ScalarNode {
			at = r.n // the mapping is that of a variable, maybe of another file
		}
		name, err := kubeyaml.Key(key)
		switch {
		case err != nil:
			ok = r.problem(at, "", "%v", err)
		case first[name] != nil:
			ok = r.problem(at, "", "%s", kubeyaml.Repeated(name, first[name], key))
		case !keyText.MatchString(name):
			ok = r.problem(at, keyHint, "%q cannot be a key", name)
		}
		first[name] = key
		items = append(items, r.item(keypath.Elem{Name: name, Index: -1, Quoted: true}, v))
	}
	return items, ok
}

// problem reports a problem and returns false.
func (r *reader) problem(n *yaml.Node, hint, format string, args ...any) bool {
	r.d.Report(&source.Problem{Position: r.d.File.Place(n), Summary: r.d.Subject + ": " + fmt.Sprintf(format, args...), Hint: hint})
	return false
}

// Forms are the references to an item.
const Forms = "${each.key} and ${each.value}"

// Resolve returns the value of a reference to the item: ${each.key}, ${each.value} or a
// part of it. d resolves the references of the value.
func (it *Item) Resolve(d *spec.Decoder, ref *syntax.Reference) (v spec.Value, _ *spec.Fault) {
	name := ""
	if len(ref.Path) > 0 {
		name = ref.Path[0].Name
	}
	switch {
	case name != "key" && name != "value":
		return v, &spec.Fault{Message: fmt.Sprintf("%s: an item has a key and a value", ref.Raw), Hint: "write " + Forms}
	case it == nil:
		return v, new(spec.Fault)
	case name == "value":
		return it.part(d, ref)
	case len(ref.Path) > 1:
		return v, &spec.Fault{Message: ref.Raw + ": a key has no parts", Hint: "write ${each.key}"}
	case it.Key.Index >= 0:
		v.Node = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: fmt.Sprint(it.Key.Index)}
	default:
		v.Node = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: it.Key.Name}
	}
	return v, nil
}

// name is the key for messages.
func (it *Item) name() string {
	if it.Key.Index >= 0 {
		return keypath.String([]keypath.Elem{it.Key})
	}
	return strconv.Quote(it.Key.Name)
}

// part returns the part of the value that a reference names. References on the way are
// resolved, and no others.
func (it *Item) part(d *spec.Decoder, ref *syntax.Reference) (v spec.Value, _ *spec.Fault) {
	n, at := it.value, 1
	v.FileOf, v.File = it.of.fileOf, it.of.file
	item := &spec.Item{Name: it.name(), Among: it.of.values}
	if !it.of.plain {
		item = nil
		var depth int
		n, depth = keypath.Descend(n, ref.Path[1:])
		at += depth
		var ok bool
		if v, ok = d.Substitute(n); !ok {
			return v, new(spec.Fault)
		}
		n = v.Node
	}
	v.Node, v.Item = n, item
	n, fault := spec.Part(v, ref, at)
	if fault != nil {
		return v, fault
	}
	if len(ref.Path) > 1 {
		v.Item = nil
	}
	v.Node, v.Size = n, count(n)
	return v, nil
}

// count returns the number of nodes of a value.
func count(n *yaml.Node) int {
	size := 1
	for _, c := range n.Content {
		size += count(c)
	}
	return size
}
