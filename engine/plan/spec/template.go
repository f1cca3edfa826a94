package spec

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/kubeyaml"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// A Scope gives references their values.
type Scope interface {
	// Resolve returns the value of a reference, which stands in scalar n.
	Resolve(n *yaml.Node, ref *syntax.Reference) (Value, *Fault)
}

// A Value is the value of a reference: exactly one of Node, Type and Output is set.
type Value struct {
	Node   *yaml.Node    // a value that is known: a variable, the plan's name
	Size   int           // nodes in Node, 0 for one
	Type   reflect.Type  // the type of an output that is not known yet
	Output reflect.Value // an output
	From   string        // id of the step that Type or Output is from
	Secret bool

	// FileOf resolves a file that Node names; nil if it is as with the nodes of the decoder.
	FileOf func(name string) engine.File
	// File is where Node and all below it are written; nil if that is not one file.
	File *source.File
	// Item is the item of forEach that Node is the value of; nil if there is none.
	Item *Item
}

// An Item is one item of a collection.
type Item struct {
	Name  string       // its key or its index, for messages
	Among []*yaml.Node // the values of all items
}

// A Fault is the reason why a reference has no value. A fault without a message
// follows from another problem, which has been reported.
type Fault struct {
	Message, Hint string

	// At is the place of the mistake if it is in the value and not in the reference. The
	// message is then about the value alone, not about its use.
	At source.Position
}

// resolve returns the value of a reference, or reports why it has none.
func (d *Decoder) resolve(n *yaml.Node, ref *syntax.Reference) (Value, bool) {
	ref, ok := d.Indexed(n, ref)
	if !ok {
		return Value{}, false
	}
	v, fault := d.Scope.Resolve(n, ref)
	if fault == nil {
		return v, true
	}
	switch {
	case fault.At.Line > 0:
		d.mistaken(fault.At, d.Place(n, ref), fault.Hint, fault.Message)
	case fault.Message != "":
		d.refProblem(n, ref, fault.Hint, "%s", fault.Message)
	}
	return Value{}, false
}

// Indexed returns a reference with the values of its indices that are references
// themselves, such as [each.key]; false after a problem was reported.
func (d *Decoder) Indexed(n *yaml.Node, ref *syntax.Reference) (*syntax.Reference, bool) {
	if !slices.ContainsFunc(ref.Path, func(e keypath.Elem) bool { return e.By != "" }) {
		return ref, true
	}
	out := *ref
	out.Path = slices.Clone(ref.Path)
	for i, e := range ref.Path {
		if e.By == "" {
			continue
		}
		by, _ := syntax.ParseReference("${" + e.By + "}")
		by.Offset = ref.Offset
		v, ok := d.resolve(n, by)
		if !ok {
			return nil, false
		}
		index, message := indexOf(v)
		if message != "" {
			d.refProblem(n, ref, "", "%s: the index %s %s", ref.Raw, keypath.String([]keypath.Elem{e}), message)
			return nil, false
		}
		out.Path[i] = index
	}
	return &out, true
}

// indexOf returns an index with a value, or why it cannot be one.
func indexOf(v Value) (e keypath.Elem, message string) {
	switch {
	case v.Secret:
		return e, "is a secret, and ids and problems would show it"
	case v.Node == nil:
		return e, "is an output: which value is meant has to be known before any step runs"
	case source.TypeOf(v.Node) == "string":
		return keypath.Elem{Name: v.Node.Value, Index: -1, Quoted: true}, ""
	}
	x, _ := kubeyaml.Scalar(v.Node)
	if i, ok := x.(int); ok && i >= 0 {
		return keypath.Item(i), ""
	}
	return e, "is " + source.Describe(v.Node) + ": want text or a whole number from 0"
}

// Place returns the position of a reference in scalar n.
func (d *Decoder) Place(n *yaml.Node, ref *syntax.Reference) source.Position {
	return d.places(n).Within(n, ref.Offset, ref.Raw)
}

// template fills v from a scalar that holds references.
func (d *Decoder) template(n *yaml.Node, v reflect.Value) outcome {
	parts, bad := syntax.ParseTemplate(n.Value)
	if bad != nil {
		return d.badTemplate(n, bad)
	}
	if len(parts) == 1 && parts[0].Ref != nil {
		return d.whole(n, parts[0].Ref, v)
	}
	t := indirect(v.Type())
	text, ok := d.text(n, parts, t == secretType)
	switch {
	case !ok:
		d.bad = append(d.bad, keypath.String(d.path))
		return failed
	case text.foreign != nil && t.Kind() != reflect.Interface && t != secretType:
		message, hint := source.ForeignTemplate(text.foreign.Value)
		return d.mistaken(text.written, d.of(n).File.Place(n), hint, message)
	case text.waiting && !d.Types.fits(stringType, t):
		return d.problem(n, "", "want %s, have text with references in it", TypeName(t))
	case text.waiting:
		return d.wait(v)
	}
	return d.at(use{node: n, place: d.of(n).File.Place(n)}, text.node(n), v)
}

// A text is put together from the parts of a scalar.
type text struct {
	strings.Builder
	secret  bool
	waiting bool            // for an output that is not known yet
	foreign *yaml.Node      // the first value that holds a template of another tool
	written source.Position // of that
}

// node returns the text in place of the scalar n.
func (t *text) node(n *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: t.String(), Line: n.Line, Column: n.Column}
}

// maxText is how many bytes a text made of references may have.
const maxText = 4 << 20

// text puts the parts of scalar n together. It reports false after a problem, such as a
// secret where the text may hold none.
func (d *Decoder) text(n *yaml.Node, parts []syntax.Part, secrets bool) (*text, bool) {
	t, ok := new(text), true
	for _, p := range parts {
		if p.Ref == nil {
			t.WriteString(p.Text)
			continue
		}
		r, resolved := d.resolve(n, p.Ref)
		switch {
		case !resolved:
			ok = false
		case r.Secret && !secrets:
			d.leak(n, p.Ref)
			ok = false
		case r.Type != nil && !scalar(r.Type):
			d.refProblem(n, p.Ref, "", "%s is %s: only text, numbers, true and false can be part of a text", p.Ref.Raw, TypeName(r.Type))
			ok = false
		case r.Type != nil:
			t.waiting = true
		default:
			value := d.known(r)
			ok = d.part(n, p.Ref, value, r.Secret) && ok
			t.WriteString(value.Value)
			if message, _ := source.ForeignTemplate(value.Value); message != "" && t.foreign == nil && r.File != nil && value.Line > 0 {
				t.foreign, t.written = value, r.File.Place(value)
			}
		}
		t.secret = t.secret || r.Secret
		if t.Len() > maxText {
			d.problem(n, "", "the text is longer than %d bytes", maxText)
			return t, false
		}
	}
	return t, ok
}

// at fills v from a value that is used elsewhere in the plan.
func (d *Decoder) at(u use, value *yaml.Node, v reflect.Value) outcome {
	d.use = u
	defer func() { d.use = use{} }()
	return d.value(value, v, true)
}

// known returns the value of a variable or an output as YAML.
func (d *Decoder) known(r Value) *yaml.Node {
	if r.Node != nil {
		return r.Node
	}
	return d.Types.nodeOf(r.Output)
}

// part reports whether a value can be part of a text, or the problem.
func (d *Decoder) part(n *yaml.Node, ref *syntax.Reference, value *yaml.Node, secret bool) bool {
	if value.Kind != yaml.ScalarNode || source.IsNull(value) {
		d.refProblem(n, ref, "", "%s is %s: only text, numbers, true and false can be part of a text", ref.Raw, source.KindOf(value))
		return false
	}
	if message, hint := ambiguity(value, ref.Raw, secret); message != "" {
		d.refProblem(n, ref, hint, "%s", message)
		return false
	}
	return true
}

// whole fills v from a scalar that is one reference and nothing else.
func (d *Decoder) whole(n *yaml.Node, ref *syntax.Reference, v reflect.Value) outcome {
	r, ok := d.resolve(n, ref)
	t := v.Type()
	switch {
	case !ok:
		d.bad = append(d.bad, keypath.String(d.path))
		return failed
	case r.Secret && indirect(t) != secretType:
		if r.Node != nil || !d.Types.HasSecret(r.typeOf()) || !d.Types.fits(r.typeOf(), t) {
			return d.leak(n, ref)
		}
	}
	switch {
	case r.Node != nil:
		return d.at(use{n, d.of(n).File.Place(n), ref.Raw, r.FileOf, r.File}, r.Node, v)
	case !d.Types.fits(r.typeOf(), t):
		want, have := TypeName(t), TypeName(r.typeOf())
		if want == have {
			have += " of other values"
		}
		return d.refProblem(n, ref, "", "want %s, and %s is %s", want, ref.Raw, have)
	case r.Type != nil:
		return d.wait(v)
	}
	if assign(r.Output, v) {
		return set
	}
	return d.at(use{n, d.Place(n, ref), ref.Raw, nil, nil}, d.Types.nodeOf(r.Output), v)
}

// typeOf returns the type of an output.
func (r Value) typeOf() reflect.Type {
	if r.Type != nil {
		return r.Type
	}
	return r.Output.Type()
}

func (d *Decoder) leak(n *yaml.Node, ref *syntax.Reference) outcome {
	hint := ""
	if d.Kind != "" {
		hint = fmt.Sprintf("ztplan explain %s shows which inputs take secrets", d.Kind)
	}
	return d.refProblem(n, ref, hint,
		"%s is a secret, and this input is not: it would be shown", ref.Raw)
}

func (d *Decoder) badTemplate(n *yaml.Node, bad *syntax.Error) outcome {
	hint := bad.Hint
	if hint == syntax.FormsHint {
		hint = cmp.Or(d.Forms, syntax.LiteralHint)
	}
	return d.problemAt(n, d.places(n).Within(n, bad.Offset, bad.Text), hint, "%s", bad.Message)
}

// refProblem reports a problem at the place of a reference.
func (d *Decoder) refProblem(n *yaml.Node, ref *syntax.Reference, hint, format string, args ...any) outcome {
	return d.problemAt(n, d.Place(n, ref), hint, format, args...)
}

// Scan checks the references in inputs whose types are not known.
func (d *Decoder) Scan(n *yaml.Node) {
	for _, c := range n.Content {
		d.Scan(c)
	}
	parts, bad := syntax.ParseTemplate(n.Value)
	if bad != nil {
		d.badTemplate(n, bad)
	}
	for _, p := range parts {
		if p.Ref != nil {
			d.resolve(n, p.Ref)
		}
	}
}
