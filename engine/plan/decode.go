package plan

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/kubeyaml"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// A decoder fills a spec from YAML. The same code runs while a plan is read,
// when references to outputs have a type and no value, and right before a step
// starts, when they have one.
type decoder struct {
	p       *Plan
	step    *Step // whose inputs these are; nil for what belongs to no step
	subject string
	report  func(*source.Problem)

	// outputs returns what a step learned; nil while the plan is read.
	outputs func(id string) (any, bool)
	// noSteps says why outputs cannot be referred to here; "" if they can.
	noSteps string
	// refer is told every reference to an output, while the plan is read.
	refer func(n *yaml.Node, ref *reference, to *Step, t reflect.Type)
	// keep is told every secret that the plan itself holds, while it is read.
	keep func(string)
	// partial is set for values of which only a part is here: nothing is missing.
	partial bool

	path []elem     // of the input being decoded
	at   *yaml.Node // where a variable is used whose value is being decoded
	via  string     // that reference, as written

	size int // nodes that substitute has made

	finder source.Finder // of the parts of scalars; see places

	pending []string // paths of inputs that only a run can fill
	bad     []string // paths of inputs with problems
}

// An outcome says what became of an input.
type outcome int

const (
	set     outcome = iota // it has its value
	unset                  // null: as if it had not been written
	pending                // its value comes from an output and is not known yet
	failed                 // it is wrong; the problem has been reported
)

// places returns what finds parts of the plan's scalars.
func (d *decoder) places() *source.Finder {
	d.finder.File = d.p.src
	return &d.finder
}

func (d *decoder) push(e elem) { d.path = append(d.path, e) }
func (d *decoder) pop()        { d.path = d.path[:len(d.path)-1] }

// problem reports something wrong with the input being decoded.
func (d *decoder) problem(n *yaml.Node, hint, format string, args ...any) outcome {
	if d.at != nil {
		n = d.at
	}
	d.problemAt(n, n.Line, n.Column, hint, format, args...)
	return failed
}

// problemAt reports something wrong with the input being decoded, at a place
// of its own.
func (d *decoder) problemAt(n *yaml.Node, line, column int, hint, format string, args ...any) {
	path := pathString(d.path)
	d.bad = append(d.bad, path)
	d.report(&source.Problem{
		File: d.p.File, Line: line, Column: column,
		Summary: d.about(n, path) + fmt.Sprintf(format, args...),
		Hint:    hint,
	})
}

// about is how a problem's summary begins: whose input it is about. What comes
// from the plan's connections is the same for all steps.
func (d *decoder) about(n *yaml.Node, path string) string {
	subject := d.subject
	if d.p.connected[n] {
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
func (d *decoder) wait(v reflect.Value) outcome {
	v.SetZero()
	d.pending = append(d.pending, pathString(d.path))
	return pending
}

func isTemplate(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "${") && n.Tag == "!!str"
}

// value fills v from n. Inside a literal, ${ means nothing.
func (d *decoder) value(n *yaml.Node, v reflect.Value, literal bool) outcome {
	if !literal && isTemplate(n) {
		return d.template(n, v)
	}
	if source.IsNull(n) && v.Kind() != reflect.Interface {
		return unset
	}
	t := v.Type()
	switch t {
	case secretType:
		if n.Kind != yaml.ScalarNode || !isText(n) && d.via == "" {
			return d.mismatch(n, t)
		}
		if out := d.ambiguous(n, true); out != set {
			return out
		}
		if d.keep != nil {
			d.keep(n.Value)
		}
		v.Set(reflect.ValueOf(engine.NewSecret(n.Value)))
		return set
	case fileType:
		if n.Kind != yaml.ScalarNode || !isText(n) {
			return d.mismatch(n, t)
		}
		v.Set(reflect.ValueOf(d.p.file(n.Value)))
		return set
	}
	if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(textType) {
		if n.Kind != yaml.ScalarNode || !isText(n) {
			return d.mismatch(n, t)
		}
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
			return d.problem(n, "", "%v", err)
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

// isText reports whether a scalar may stand where text is wanted. A word such as
// no or y is text there, as it is written: only data that Kubernetes, Helm and
// Vault type themselves reads it as false or true.
func isText(n *yaml.Node) bool {
	return n.Tag == "!!str" || n.Tag == "!!bool" && n.Style == 0 && !strings.EqualFold(n.Value, "true") && !strings.EqualFold(n.Value, "false")
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value) outcome {
	t := v.Type()
	if n.Kind != yaml.ScalarNode {
		return d.mismatch(n, t)
	}
	switch {
	case t.Kind() == reflect.String:
		// A variable's number has no quotes to put it in.
		if !isText(n) && d.via == "" {
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
		v.SetBool(truth(n))
	case isInt(t):
		if n.Tag != "!!int" {
			return d.mismatch(n, t)
		}
		x, _ := kubeyaml.Scalar(n)
		i, ok := x.(int)
		if !ok || v.OverflowInt(int64(i)) {
			return d.problem(n, "", "%s is not a whole number, or too large", n.Value)
		}
		v.SetInt(int64(i))
	case isUint(t):
		if n.Tag != "!!int" {
			return d.mismatch(n, t)
		}
		x, _ := kubeyaml.Scalar(n)
		u, ok := x.(uint64)
		if i, small := x.(int); small && i >= 0 {
			u, ok = uint64(i), true
		}
		if !ok || v.OverflowUint(u) {
			return d.problem(n, "", "%s is not a whole number from 0, or too large", n.Value)
		}
		v.SetUint(u)
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

func (d *decoder) structure(n *yaml.Node, v reflect.Value, literal bool) outcome {
	t := v.Type()
	if n.Kind != yaml.MappingNode {
		return d.mismatch(n, t)
	}
	st := d.p.types.of(t)
	var buf [32]outcome
	var outcomes []outcome // shifted by one: 0 means that the key is not there
	if len(st.fields) <= len(buf) {
		outcomes = buf[:len(st.fields)]
	} else {
		outcomes = make([]outcome, len(st.fields))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		fi, ok := st.byName[key.Value]
		if !ok {
			// The key that was meant is not missing, too.
			if best := d.unknownKey(n, key, st); best >= 0 && outcomes[best] == 0 {
				outcomes[best] = failed + 1
			}
			continue
		}
		f := &st.fields[fi]
		d.push(elem{f.name, -1})
		fv := v.FieldByIndex(f.index)
		out := d.value(val, fv, literal)
		if out == set {
			out = d.check(f, val, fv)
		}
		outcomes[fi] = out + 1
		d.pop()
	}
	if d.partial {
		return set
	}
	for i := range st.fields {
		f := &st.fields[i]
		if f.required && (outcomes[i] == 0 || outcomes[i] == unset+1) && v.FieldByIndex(f.index).IsZero() {
			d.push(elem{f.name, -1})
			path := pathString(d.path)
			d.bad = append(d.bad, path)
			d.pop()
			at := n
			if d.at != nil {
				at = d.at
			}
			d.report(&source.Problem{
				File: d.p.File, Line: at.Line, Column: at.Column,
				Summary: d.about(at, "") + fmt.Sprintf("%s is missing", path),
				Hint:    fmt.Sprintf("add %s: %s", f.name, typeName(f.typ)),
			})
		}
	}
	return set
}

// unknownKey reports a key that a struct does not have and returns the index
// of the field that was probably meant, or -1.
func (d *decoder) unknownKey(n, key *yaml.Node, st *structType) int {
	at := key
	if d.at != nil {
		at = d.at
	}
	d.report(&source.Problem{
		File: d.p.File, Line: at.Line, Column: at.Column,
		Summary: d.about(key, pathString(d.path)) + fmt.Sprintf("unknown key %q", key.Value),
		Hint:    source.Suggestion(key.Value, st.names, "the keys here are "),
	})
	best := source.Closest(key.Value, st.names)
	if best == "" {
		return -1
	}
	if _, written := source.Lookup(n, key.Value); d.p.types.hasSecret(st.fields[st.byName[best]].typ) {
		d.keepAll(written)
	}
	if _, there := source.Lookup(n, best); there != nil {
		return -1
	}
	d.push(elem{best, -1})
	d.bad = append(d.bad, pathString(d.path))
	d.pop()
	return st.byName[best]
}

// keepAll keeps what was probably meant to be secret.
func (d *decoder) keepAll(n *yaml.Node) {
	if d.keep == nil || n == nil {
		return
	}
	if n.Kind == yaml.ScalarNode && !isTemplate(n) {
		d.keep(n.Value)
	}
	if n.Kind == yaml.MappingNode {
		for i := 1; i < len(n.Content); i += 2 {
			d.keepAll(n.Content[i])
		}
	}
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			d.keepAll(item)
		}
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, literal bool) outcome {
	t := v.Type()
	if n.Kind != yaml.MappingNode {
		return d.mismatch(n, t)
	}
	m := reflect.MakeMapWithSize(t, len(n.Content)/2)
	e := reflect.New(t.Elem()).Elem()
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, val := d.key(n, i, literal), n.Content[i+1]
		d.push(elem{name, -1})
		e.SetZero()
		if d.value(val, e, literal) == unset && e.Kind() != reflect.Pointer && e.Kind() != reflect.Slice && e.Kind() != reflect.Map {
			d.problem(val, `write "" for empty text`, "has no value")
		}
		m.SetMapIndex(reflect.ValueOf(name).Convert(t.Key()), e)
		d.pop()
	}
	v.Set(m)
	return set
}

func (d *decoder) plainKey(key *yaml.Node) {
	if isTemplate(key) && strings.Contains(strings.ReplaceAll(key.Value, "$${", ""), "${") {
		d.problem(key, "", "references are for values: the key %q cannot hold one", key.Value)
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, literal bool) outcome {
	t := v.Type()
	if n.Kind != yaml.SequenceNode {
		return d.mismatch(n, t)
	}
	s := reflect.MakeSlice(t, len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.push(elem{"", i})
		if d.value(item, s.Index(i), literal) == unset && t.Elem().Kind() != reflect.Interface {
			d.problem(item, "remove the item, or give it a value", "has no value")
		}
		d.pop()
	}
	v.Set(s)
	return set
}

// any returns inline YAML as plain data: nil, bool, int, float64, string,
// []any and map[string]any.
func (d *decoder) any(n *yaml.Node, literal bool) (any, outcome) {
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := d.key(n, i, literal)
			d.push(elem{name, -1})
			m[name], _ = d.any(n.Content[i+1], literal)
			d.pop()
		}
		return m, set
	case yaml.SequenceNode:
		s := make([]any, len(n.Content))
		for i, item := range n.Content {
			d.push(elem{"", i})
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

// truth returns the value of a scalar that is true or false.
func truth(n *yaml.Node) bool {
	v, _ := kubeyaml.Scalar(n)
	return v == true
}

// ambiguous reports a variable's value that is about to become text and is not
// what it looks like.
func (d *decoder) ambiguous(n *yaml.Node, secret bool) outcome {
	if d.via == "" {
		return set
	}
	if message, hint := ambiguity(n, d.via, secret); message != "" {
		return d.problem(n, hint, "%s", message)
	}
	return set
}

// ambiguity says what is wrong with using a value as text that is written in
// one way and means something else, such as 0400; "" if there is nothing. Of a
// secret, neither is shown.
func ambiguity(n *yaml.Node, what string, secret bool) (message, hint string) {
	reading := kubeyaml.Reading(n)
	switch {
	case reading == "":
		return "", ""
	case secret:
		return fmt.Sprintf("want text, and %s is %s in a form that changes when it is read", what, kindOf(n)), "write it in quotes where it is given"
	}
	return fmt.Sprintf("want text, and %s is written %s and read as %s", what, n.Value, reading),
		fmt.Sprintf("where it is given, write %q for the text, or %s", n.Value, reading)
}

// key returns the key at n.Content[i] of a mapping of data, as Kubernetes, Helm
// and Vault get it.
func (d *decoder) key(n *yaml.Node, i int, literal bool) string {
	key := n.Content[i]
	d.push(elem{key.Value, -1})
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
		if other, err := kubeyaml.Key(n.Content[j]); j != i && err == nil && other == name && (j < i || other == n.Content[j].Value) {
			d.problem(key, "", "%s", kubeyaml.Repeated(name, n.Content[j], key))
			break
		}
	}
	return name
}
