package spec

import (
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/kubeyaml"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// A Decoder fills a spec from YAML. The same code runs while a plan is read, when
// references to outputs have a type and no value, and right before a step starts,
// when they have one.
type Decoder struct {
	Types *Types
	Document
	Scope Scope
	Forms string // of references, for hints

	Subject string // begins every message: "step ID (kind)"
	Kind    string // of the step; empty for inputs of no step
	Report  func(*source.Problem)

	// KeepSecret, if not nil, gets every secret that the nodes hold.
	KeepSecret func(string)
	// Connected holds the nodes that are from the plan's connections: messages about
	// them are the same for all steps. They are of the document Plan.
	Connected map[*yaml.Node]bool
	Plan      Document
	// Refused, if not nil, returns why a key is left out on purpose where there are the known
	// ones, or "".
	Refused func(key string, known []string) string
	// Around, if not nil, returns the hint for a key that stands among the inputs and belongs
	// to the document around them, or "".
	Around func(key string) string
	// Partial is set for values of which only a part is here: no key is missing.
	Partial bool

	path []keypath.Elem // of the input being decoded
	use  use            // of the value being decoded, if it does not stand at its place in the plan

	size   int           // nodes that Substitute has made
	finder source.Finder // of the parts of scalars; see places

	pending []string // paths of inputs that only a run can fill
	bad     []string // paths of inputs with problems
}

// A Document is a file that nodes are from.
type Document struct {
	File   *source.File
	FileOf func(name string) engine.File // resolves a file that a node names
}

// of returns the document that a node is from.
func (d *Decoder) of(n *yaml.Node) Document {
	if d.Connected[n] {
		return d.Plan
	}
	return d.Document
}

// Decode fills into, a pointer, from n, which is the input at path. It reports
// whether all keys could be set.
func (d *Decoder) Decode(n *yaml.Node, path []keypath.Elem, into any) bool {
	d.path = path
	out := d.value(n, reflect.ValueOf(into).Elem(), false)
	defaults := d.FileOf // of a kind: beside the plan, whichever document has the step
	if d.Plan.FileOf != nil {
		defaults = d.Plan.FileOf
	}
	engine.ResolveFiles(into, defaults)
	return out == set
}

// Plain returns n, in which ${ means nothing, as plain data: nil, bool, int, uint64,
// float64, string, []any and map[string]any.
func (d *Decoder) Plain(n *yaml.Node) any {
	x, _ := d.any(n, true)
	return x
}

// Pending returns the paths of inputs that only a run can fill.
func (d *Decoder) Pending() []string { return d.pending }

// Path returns the path of the input being decoded.
func (d *Decoder) Path() string { return keypath.String(d.path) }

// Unsettled reports whether a problem with the input at a path follows from an input
// that is not known yet or is wrong. The path "" is the spec as a whole, which is
// unsettled by any input that is not known.
func (d *Decoder) Unsettled(path string) bool {
	return !engine.Known(path, d.pending) || path != "" && !engine.Known(path, d.bad)
}

// A use is the place where the plan uses a value that stands elsewhere: that of a
// variable or an output, or a text made of them.
type use struct {
	node  *yaml.Node
	place source.Position
	ref   string // as written; "" for a text

	fileOf func(name string) engine.File // see [Value.FileOf]
	file   *source.File                  // see [Value.File]
}

// placeIn returns where a value is written in a file; zero if the file is not known.
func placeIn(file *source.File, value *yaml.Node) (at source.Position) {
	if file != nil {
		at = file.Place(value)
	}
	return at
}

// An outcome is the result of decoding an input.
type outcome int

const (
	set     outcome = iota // it has its value
	unset                  // null: as if it had not been written
	pending                // its value comes from an output and is not known yet
	failed                 // it is wrong; the problem has been reported
)

// places returns the finder for parts of the scalar n.
func (d *Decoder) places(n *yaml.Node) *source.Finder {
	d.finder.File = d.of(n).File
	return &d.finder
}

// file returns the file that the scalar n names.
func (d *Decoder) file(n *yaml.Node) engine.File {
	switch {
	case d.use.fileOf != nil:
		return d.use.fileOf(n.Value)
	case d.use.node != nil:
		return d.of(d.use.node).FileOf(n.Value)
	}
	return d.of(n).FileOf(n.Value)
}

func (d *Decoder) push(e keypath.Elem) { d.path = append(d.path, e) }
func (d *Decoder) pop()                { d.path = d.path[:len(d.path)-1] }

// problem reports something wrong with the input being decoded.
func (d *Decoder) problem(n *yaml.Node, hint, format string, args ...any) outcome {
	value := n
	n, at := d.place(n)
	return d.report(n, at, elsewhere(placeIn(d.use.file, value), at), hint, format, args...)
}

// elsewhere is the detail of a problem at a place with a value that another file has.
func elsewhere(written, at source.Position) string {
	if written.Line == 0 || written.File == at.File {
		return ""
	}
	return "the value is written at " + written.String()
}

// Elsewhere returns the detail of a problem with the scalar n: the place of its value, if n
// is a reference to one that another file has.
func (d *Decoder) Elsewhere(n *yaml.Node) string {
	ref, _ := d.Whole(n)
	if ref == nil {
		return ""
	}
	v, fault := d.Scope.Resolve(n, ref)
	if fault != nil || v.Node == nil {
		return ""
	}
	return elsewhere(placeIn(v.File, v.Node), d.of(n).File.Place(n))
}

// invalid is problem for a value that has the right type, and names its reference.
func (d *Decoder) invalid(n *yaml.Node, format string, args ...any) outcome {
	if d.use.ref != "" {
		return d.problem(n, "", "%s: %s", d.use.ref, fmt.Sprintf(format, args...))
	}
	return d.problem(n, "", format, args...)
}

// place returns the node whose place is that of problems with n, and the place.
func (d *Decoder) place(n *yaml.Node) (*yaml.Node, source.Position) {
	if d.use.node != nil {
		return d.use.node, d.use.place
	}
	return n, d.of(n).File.Place(n)
}

// problemAt reports something wrong with the input being decoded, at a place
// of its own.
func (d *Decoder) problemAt(n *yaml.Node, at source.Position, hint, format string, args ...any) outcome {
	return d.report(n, at, "", hint, format, args...)
}

func (d *Decoder) report(n *yaml.Node, at source.Position, detail, hint, format string, args ...any) outcome {
	path := keypath.String(d.path)
	d.bad = append(d.bad, path)
	d.Report(&source.Problem{Position: at, Summary: d.about(n, path) + fmt.Sprintf(format, args...), Detail: detail, Hint: hint})
	return failed
}

// mistaken reports a fault of a value at the place where it is written, and where it is
// used. The message does not name the use: all uses have the one problem.
func (d *Decoder) mistaken(written, used source.Position, hint, message string) outcome {
	d.bad = append(d.bad, keypath.String(d.path))
	d.Report(&source.Problem{Position: written, Summary: message, Detail: "used at " + used.String(), Hint: hint})
	return failed
}

// about returns the beginning of a problem's summary: the step and the input. Problems
// of the plan's connections name no step.
func (d *Decoder) about(n *yaml.Node, path string) string {
	subject := d.Subject
	if d.Connected[n] {
		subject = "connections"
		if path != "" {
			path = "." + path
		}
	} else if subject != "" && path != "" {
		subject += ": "
	}
	if s := subject + path; s != "" {
		return s + ": "
	}
	return ""
}

// wait marks the input being decoded as one that only a run can fill.
func (d *Decoder) wait(v reflect.Value) outcome {
	v.SetZero()
	d.pending = append(d.pending, keypath.String(d.path))
	return pending
}

func isTemplate(n *yaml.Node) bool {
	return n.Tag == "!!str" && strings.Contains(n.Value, "${")
}

// value fills v from n. Inside a literal, ${ means nothing.
func (d *Decoder) value(n *yaml.Node, v reflect.Value, literal bool) outcome {
	if !literal && isTemplate(n) {
		return d.template(n, v)
	}
	if source.IsNull(n) && v.Kind() != reflect.Interface {
		return unset
	}
	t := v.Type()
	if t.Kind() != reflect.Interface && t != secretType {
		if message, hint := source.ForeignTemplate(n.Value); message != "" {
			if written := placeIn(d.use.file, n); written.Line > 0 {
				return d.mistaken(written, d.use.place, hint, message)
			}
			return d.problem(n, hint, "%s", message)
		}
	}
	if t == secretType {
		if n.Kind != yaml.ScalarNode || !source.IsText(n) && d.use.ref == "" {
			return d.mismatch(n, t)
		}
		if out := d.ambiguous(n, true); out != set {
			return out
		}
		if d.KeepSecret != nil {
			d.KeepSecret(n.Value)
		}
		v.Set(reflect.ValueOf(engine.NewSecret(n.Value)))
		return set
	}
	if t == fileType || reflect.PointerTo(t).Implements(textType) {
		if n.Kind != yaml.ScalarNode || !source.IsText(n) {
			return d.mismatch(n, t)
		}
		if t == fileType {
			v.Set(reflect.ValueOf(d.file(n)))
		} else if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
			return d.invalid(n, "%v", err)
		}
		return set
	}
	switch t.Kind() {
	case reflect.Pointer:
		e := v
		if v.IsNil() {
			e = reflect.New(t.Elem())
		}
		out := d.value(n, e.Elem(), literal)
		if out == set || out == failed && e.Elem().Kind() == reflect.Struct {
			v.Set(e)
		}
		return out
	case reflect.Interface:
		x, out := d.any(n, literal)
		if x == nil {
			v.SetZero()
		} else {
			v.Set(reflect.ValueOf(x))
		}
		return out
	case reflect.Struct:
		return d.structure(n, v, literal)
	case reflect.Map:
		return d.mapping(n, v, literal)
	case reflect.Slice:
		return d.list(n, v, literal)
	}
	return d.scalar(n, v)
}

func (d *Decoder) scalar(n *yaml.Node, v reflect.Value) outcome {
	t := v.Type()
	if n.Kind != yaml.ScalarNode {
		return d.mismatch(n, t)
	}
	switch {
	case t.Kind() == reflect.String:
		// A variable's number has no quotes to put it in.
		if !source.IsText(n) && d.use.ref == "" {
			return d.mismatch(n, t)
		}
		if out := d.ambiguous(n, false); out != set {
			return out
		}
		v.SetString(n.Value)
	case t.Kind() == reflect.Bool:
		if n.Tag != "!!bool" {
			return d.mismatch(n, t)
		}
		v.SetBool(source.Truth(n))
	case isInt(t), isUint(t):
		if n.Tag != "!!int" {
			return d.mismatch(n, t)
		}
		if x, _ := kubeyaml.Scalar(n); !setInteger(v, x) {
			return d.outOfRange(n, t)
		}
	case isFloat(t):
		if n.Tag != "!!float" && n.Tag != "!!int" {
			return d.mismatch(n, t)
		}
		x, err := kubeyaml.Scalar(n)
		if err != nil {
			return d.problem(n, "", "%s is not a number", n.Value)
		}
		v.SetFloat(reflect.ValueOf(x).Convert(t).Float())
	default:
		return d.problem(n, "", "inputs of type %v are not supported", t)
	}
	return set
}

// setInteger sets v to a whole number, an int or a uint64, and reports false if it is
// out of range.
func setInteger(v reflect.Value, x any) bool {
	i, isInteger := x.(int)
	u, isUnsigned := x.(uint64)
	switch {
	case isInteger && isInt(v.Type()) && !v.OverflowInt(int64(i)):
		v.SetInt(int64(i))
	case isInteger && isUint(v.Type()) && i >= 0 && !v.OverflowUint(uint64(i)):
		v.SetUint(uint64(i))
	case isUnsigned && isUint(v.Type()) && !v.OverflowUint(u):
		v.SetUint(u)
	default:
		return false
	}
	return true
}

func (d *Decoder) outOfRange(n *yaml.Node, t reflect.Type) outcome {
	switch {
	case d.use.ref != "":
		return d.invalid(n, "%s is out of range", n.Value)
	case isUint(t):
		return d.problem(n, "", "%s is not a whole number from 0, or too large", n.Value)
	}
	return d.problem(n, "", "%s is not a whole number, or too large", n.Value)
}

func (d *Decoder) structure(n *yaml.Node, v reflect.Value, literal bool) outcome {
	t := v.Type()
	if n.Kind != yaml.MappingNode {
		return d.mismatch(n, t)
	}
	st := d.Types.Of(t)
	outcomes := make([]outcome, len(st.fields)) // shifted by one: 0 means that the key is not there
	for key, val := range source.Pairs(n) {
		fi, ok := st.byName[key.Value]
		if !ok {
			// The key that was meant is not missing, too.
			if best := d.unknownKey(n, key, st); best >= 0 {
				outcomes[best] = failed + 1
			}
			continue
		}
		f := &st.fields[fi]
		d.push(keypath.Key(f.name))
		fv := v.FieldByIndex(f.index)
		standard := fv.String()
		out := d.value(val, fv, literal)
		if out == set && f.oneof != nil && !f.required && !f.nonempty && fv.Kind() == reflect.String && fv.Len() == 0 {
			fv.SetString(standard)
			out = unset
		}
		if out == set && !f.required && isTemplate(val) && fv.Kind() == reflect.Pointer && fv.Elem().Kind() == reflect.Struct && fv.Elem().IsZero() {
			fv.SetZero() // a variable that is an empty map leaves the key out
			out = unset
		}
		if out == set {
			out = d.check(f, val, fv)
		}
		outcomes[fi] = out + 1
		d.pop()
	}
	if d.Partial {
		return set
	}
	for i := range st.fields {
		f := &st.fields[i]
		if f.required && (outcomes[i] == 0 || outcomes[i] == unset+1) && v.FieldByIndex(f.index).IsZero() {
			d.push(keypath.Key(f.name))
			path := keypath.String(d.path)
			d.bad = append(d.bad, path)
			d.pop()
			node, at := d.place(n)
			d.Report(&source.Problem{
				Position: at,
				Summary:  d.about(node, "") + fmt.Sprintf("%s is missing", path),
				Hint:     fmt.Sprintf("add %s: %s", f.name, TypeName(f.typ)),
			})
		}
	}
	return set
}

// UnknownKeyHint returns the hint for a key that is none of the known ones. refused, which
// may be nil, returns why a key is left out on purpose, or "".
func UnknownKeyHint(key string, known []string, refused func(key string, known []string) string) string {
	if refused != nil {
		if why := refused(key, known); why != "" {
			return why
		}
	}
	return source.KeyHint(key, known, "the keys here are ")
}

// unknownKey reports a key that a struct does not have and returns the index
// of the field that was probably meant, or -1.
func (d *Decoder) unknownKey(n, key *yaml.Node, st *Struct) int {
	_, at := d.place(key)
	d.Report(&source.Problem{
		Position: at,
		Summary:  d.about(key, keypath.String(d.path)) + fmt.Sprintf("unknown key %q", key.Value),
		Hint:     cmp.Or(d.misplaced(key.Value, st.names), UnknownKeyHint(key.Value, st.names, d.Refused)),
	})
	best, _ := source.Meant(key.Value, st.names)
	if best == "" {
		return -1
	}
	if _, written := source.Lookup(n, key.Value); d.Types.HasSecret(st.fields[st.byName[best]].typ) {
		d.keepAll(written)
	}
	if _, there := source.Lookup(n, best); there != nil {
		return -1
	}
	d.push(keypath.Key(best))
	d.bad = append(d.bad, keypath.String(d.path))
	d.pop()
	return st.byName[best]
}

// misplaced returns the hint for a key of the document around the inputs, such as timeout,
// that stands among the inputs; "" for another key.
func (d *Decoder) misplaced(key string, known []string) string {
	if len(d.path) > 0 || d.Around == nil {
		return ""
	}
	if best := source.Closest(key, known); strings.EqualFold(best, key) {
		return ""
	}
	return d.Around(key)
}

// keepAll keeps all values below a key that was probably meant to be a secret.
func (d *Decoder) keepAll(n *yaml.Node) {
	if d.KeepSecret == nil {
		return
	}
	for value := range source.Scalars(n) {
		if !isTemplate(value) {
			d.KeepSecret(value.Value)
		}
	}
}

func (d *Decoder) mapping(n *yaml.Node, v reflect.Value, literal bool) outcome {
	t := v.Type()
	if n.Kind != yaml.MappingNode {
		return d.mismatch(n, t)
	}
	m := reflect.MakeMapWithSize(t, len(n.Content)/2)
	e := reflect.New(t.Elem()).Elem()
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, val := d.key(n, i, literal), n.Content[i+1]
		d.push(keypath.Key(name))
		e.SetZero()
		if d.value(val, e, literal) == unset && e.Kind() != reflect.Pointer && e.Kind() != reflect.Slice && e.Kind() != reflect.Map {
			hint := "remove the key, or give it a value"
			if e.Kind() == reflect.String {
				hint = `write "" for empty text`
			}
			d.problem(val, hint, "has no value")
		}
		m.SetMapIndex(reflect.ValueOf(name).Convert(t.Key()), e)
		d.pop()
	}
	v.Set(m)
	return set
}

func (d *Decoder) plainKey(key *yaml.Node) {
	if strings.Contains(strings.ReplaceAll(key.Value, "$${", ""), "${") {
		d.problem(key, "", "references are for values: the key %q cannot hold one", key.Value)
	}
}

func (d *Decoder) list(n *yaml.Node, v reflect.Value, literal bool) outcome {
	t := v.Type()
	if n.Kind != yaml.SequenceNode {
		return d.mismatch(n, t)
	}
	s := reflect.MakeSlice(t, len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.push(keypath.Item(i))
		if d.value(item, s.Index(i), literal) == unset {
			d.problem(item, "remove the item, or give it a value", "has no value")
		}
		d.pop()
	}
	v.Set(s)
	return set
}

// any returns inline YAML as plain data: nil, bool, int, float64, string,
// []any and map[string]any.
func (d *Decoder) any(n *yaml.Node, literal bool) (any, outcome) {
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := d.key(n, i, literal)
			d.push(keypath.Key(name))
			m[name], _ = d.any(n.Content[i+1], literal)
			d.pop()
		}
		return m, set
	case yaml.SequenceNode:
		s := make([]any, len(n.Content))
		for i, item := range n.Content {
			d.push(keypath.Item(i))
			s[i], _ = d.any(item, literal)
			d.pop()
		}
		return s, set
	}
	if !literal && isTemplate(n) {
		var x any
		out := d.template(n, reflect.ValueOf(&x).Elem())
		return x, out
	}
	x, err := kubeyaml.Scalar(n)
	if err != nil {
		return nil, d.problem(n, "", "%v", err)
	}
	return x, set
}

// ambiguous reports a variable's value that would become text and that YAML reads as
// another value than it looks like.
func (d *Decoder) ambiguous(n *yaml.Node, secret bool) outcome {
	if d.use.ref == "" {
		return set
	}
	if message, hint := ambiguity(n, d.use.ref, secret); message != "" {
		return d.problem(n, hint, "%s", message)
	}
	return set
}

// ambiguity returns the problem of a value that becomes text and that YAML reads as
// another one than is written, such as 0400; "" if there is none. Neither is shown of
// a secret.
func ambiguity(n *yaml.Node, what string, secret bool) (message, hint string) {
	reading := kubeyaml.Reading(n)
	switch {
	case reading == "":
		return "", ""
	case secret:
		return fmt.Sprintf("want text, and %s is %s in a form that changes when it is read", what, source.KindOf(n)), "write it in quotes where it is given"
	}
	return fmt.Sprintf("want text, and %s is written %s and read as %s", what, n.Value, reading),
		fmt.Sprintf("where it is given, write %q for the text, or %s", n.Value, reading)
}

// key returns the key at n.Content[i] of a mapping of data, as [kubeyaml.Key] reads it.
func (d *Decoder) key(n *yaml.Node, i int, literal bool) string {
	key := n.Content[i]
	d.push(keypath.Key(key.Value))
	defer d.pop()
	if !literal {
		d.plainKey(key)
	}
	name, err := kubeyaml.Key(key)
	if err != nil {
		d.problem(key, "", "%v", err)
		return key.Value
	}
	if name == key.Value {
		return name
	}
	for j := 0; j+1 < len(n.Content); j += 2 {
		if other, _ := kubeyaml.Key(n.Content[j]); other == name && (j < i || other == n.Content[j].Value) {
			d.problem(key, "", "%s", kubeyaml.Repeated(name, n.Content[j], key))
			break
		}
	}
	return name
}
