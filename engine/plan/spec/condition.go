package spec

import (
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/kubeyaml"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// A Condition is a condition that was read and whose types were checked.
type Condition struct {
	// Depends is set if the condition refers to an output of a step.
	Depends bool

	node *yaml.Node
	root *syntax.Expr
}

// whenPath is where the problems of a condition are.
var whenPath = []keypath.Elem{keypath.Key("when")}

// Eval returns the value of a condition; ok is false if a problem was reported.
func (d *Decoder) Eval(c *Condition) (value, ok bool) {
	d.path = whenPath
	t, v := (&evaluation{d: d, node: c.node}).of(c.root)
	value, _ = v.(bool)
	return value, t != exprUnknown
}

// An exprType is the type of an expression.
type exprType string

const (
	exprText    exprType = "text"
	exprNumber  exprType = "a number"
	exprTruth   exprType = "true or false"
	exprUnknown exprType = "" // its problem has been reported
)

// Condition reads a condition and checks its types. It returns nil after it reported
// a problem.
func (d *Decoder) Condition(n *yaml.Node) *Condition {
	d.path = whenPath
	defer func() { d.bad = nil }() // no input of the step depends on it
	c := &Condition{node: n}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!bool" {
		c.root = &syntax.Expr{Value: source.Truth(n)}
		return c
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		d.problem(n, `such as: when: ${vars.env} == "prod"`, "want a condition, have %s", source.Describe(n))
		return nil
	}
	root, bad := syntax.ParseCondition(n.Value)
	if bad != nil {
		d.badTemplate(n, bad)
		return nil
	}
	c.root = root
	v := evaluation{d: d, node: n, checking: true}
	t, _ := v.of(root)
	c.Depends = v.depends
	switch t {
	case exprUnknown:
		return nil
	case exprTruth:
		return c
	default:
		hint := `compare it: … == "…"`
		if t == exprNumber {
			hint = "compare it: … == 1"
		}
		if !v.quoted(root) {
			d.problem(n, hint, "a condition is true or false, and this is %s", t)
		}
		return nil
	}
}

// An evaluation finds the type of a condition or, once all references have values, its
// value.
type evaluation struct {
	d        *Decoder
	node     *yaml.Node
	checking bool // the type: both sides of every operator
	depends  bool // on an output

	texts map[*syntax.Reference]Value // the values that are text and known
}

// quoted reports whether an expression is a reference to the text true or false, which
// YAML reads as text for its quotes, and reports it at its place.
func (v *evaluation) quoted(e *syntax.Expr) bool {
	r, ok := v.texts[e.Ref]
	if !ok || r.Node.Value != "true" && r.Node.Value != "false" {
		return false
	}
	used := v.d.Place(v.node, e.Ref)
	if r.File == nil || r.Node.Line == 0 {
		v.d.refProblem(v.node, e.Ref, "declare the variable with type: bool", "%s is the text %q, and a condition is true or false", e.Ref.Raw, r.Node.Value)
	} else {
		v.d.mistaken(r.File.Place(r.Node), used, "remove the quotes: "+r.Node.Value,
			fmt.Sprintf("%s is the text %q, and a condition wants true or false", keypath.String(e.Ref.Path[len(e.Ref.Path)-1:]), r.Node.Value))
	}
	return true
}

// of returns the type of an expression and its value: string, float64 or bool. The type
// is exprUnknown after a problem was reported; the value counts only if not checking.
func (v *evaluation) of(e *syntax.Expr) (exprType, any) {
	switch e.Op {
	case "":
		if e.Ref != nil {
			return v.reference(e.Ref)
		}
		switch e.Value.(type) {
		case string:
			return exprText, e.Value
		case float64:
			return exprNumber, e.Value
		}
		return exprTruth, e.Value
	case "!":
		t, x := v.operand(e, e.L)
		return t, !x
	case "&&", "||":
		l, x := v.operand(e, e.L)
		if !v.checking && (l == exprUnknown || x == (e.Op == "||")) {
			return l, x
		}
		r, y := v.operand(e, e.R)
		if l == exprUnknown {
			return l, false
		}
		return r, y
	}
	l, x := v.of(e.L)
	r, y := v.of(e.R)
	switch {
	case l == exprUnknown || r == exprUnknown:
		return exprUnknown, nil
	case l == r:
		return exprTruth, (x == y) == (e.Op == "==")
	}
	hint := ""
	if e.L.Op == "" && e.R.Op == "" && (l == exprText || r == exprText) {
		hint = "text is written in quotes; numbers, true and false are not"
	}
	v.problem(e, hint, "%s compares %s with %s", e.Op, l, r)
	return exprUnknown, nil
}

// operand is of for an operand of op, which must be true or false.
func (v *evaluation) operand(op, e *syntax.Expr) (exprType, bool) {
	t, x := v.of(e)
	if v.quoted(e) {
		return exprUnknown, false
	}
	if t != exprTruth && t != exprUnknown {
		v.problem(op, "", "%s wants true or false, and has %s", op.Op, t)
		return exprUnknown, false
	}
	truth, _ := x.(bool)
	return t, truth
}

func (v *evaluation) problem(e *syntax.Expr, hint, format string, args ...any) {
	v.d.problemAt(v.node, v.d.places(v.node).Within(v.node, e.Offset, e.Text), hint, format, args...)
}

func (v *evaluation) reference(ref *syntax.Reference) (exprType, any) {
	d := v.d
	r, ok := d.resolve(v.node, ref)
	switch {
	case !ok:
		return exprUnknown, nil
	case r.Secret:
		d.refProblem(v.node, ref, "", "%s is a secret, and a condition would tell what it is", ref.Raw)
		return exprUnknown, nil
	}
	v.depends = v.depends || r.Node == nil
	var tag, kind string
	var value any
	if r.Type == nil {
		n := d.known(r)
		tag, kind = n.Tag, source.KindOf(n)
		value, _ = kubeyaml.Scalar(n)
	} else if kind = TypeName(r.Type); scalar(r.Type) {
		tag = tagOf(indirect(r.Type))
	}
	switch tag {
	case "!!str":
		if r.Node != nil {
			if v.texts == nil {
				v.texts = make(map[*syntax.Reference]Value)
			}
			v.texts[ref] = r
		}
		return exprText, value
	case "!!bool":
		return exprTruth, value
	case "!!int", "!!float":
		return exprNumber, number(value)
	}
	d.refProblem(v.node, ref, "", "%s is %s: a condition compares text, numbers, true and false", ref.Raw, kind)
	return exprUnknown, nil
}

// number returns a number that YAML gives as the type in which numbers are compared.
func number(x any) any {
	switch x := x.(type) {
	case int:
		return float64(x)
	case uint64:
		return float64(x)
	}
	return x
}
