package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/kubeyaml"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// A Condition is a condition that was read and whose types were checked.
type Condition struct {
	// Depends is set if the condition refers to an output of a step.
	Depends bool

	node *yaml.Node
	root *expr
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

// An expr is a node of a condition: a literal, a reference, or an operator
// with one or two operands.
type expr struct {
	op     string // "==", "!=", "!", "&&", "||"; "" for a leaf
	l, r   *expr
	ref    *Reference
	value  any // string, float64 or bool
	offset int
	text   string // the source text at offset, for its position
}

// An exprType is the type of an expr.
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
		c.root = &expr{value: source.Truth(n)}
		return c
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		d.problem(n, `such as: when: ${vars.env} == "prod"`, "want a condition, have %s", source.Describe(n))
		return nil
	}
	root, bad := (&exprParser{s: n.Value}).parse()
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
		d.problem(n, hint, "a condition is true or false, and this is %s", t)
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
}

// of returns the type of an expression and its value: string, float64 or bool. The type
// is exprUnknown after a problem was reported; the value counts only if not checking.
func (v *evaluation) of(e *expr) (exprType, any) {
	switch e.op {
	case "":
		if e.ref != nil {
			return v.reference(e.ref)
		}
		switch e.value.(type) {
		case string:
			return exprText, e.value
		case float64:
			return exprNumber, e.value
		}
		return exprTruth, e.value
	case "!":
		t, x := v.operand(e, e.l)
		return t, !x
	case "&&", "||":
		l, x := v.operand(e, e.l)
		if !v.checking && (l == exprUnknown || x == (e.op == "||")) {
			return l, x
		}
		r, y := v.operand(e, e.r)
		if l == exprUnknown {
			return l, false
		}
		return r, y
	}
	l, x := v.of(e.l)
	r, y := v.of(e.r)
	switch {
	case l == exprUnknown || r == exprUnknown:
		return exprUnknown, nil
	case l == r:
		return exprTruth, (x == y) == (e.op == "==")
	}
	hint := ""
	if e.l.op == "" && e.r.op == "" && (l == exprText || r == exprText) {
		hint = "text is written in quotes; numbers, true and false are not"
	}
	v.problem(e, hint, "%s compares %s with %s", e.op, l, r)
	return exprUnknown, nil
}

// operand is of for an operand of op, which must be true or false.
func (v *evaluation) operand(op, e *expr) (exprType, bool) {
	t, x := v.of(e)
	if t != exprTruth && t != exprUnknown {
		v.problem(op, "", "%s wants true or false, and has %s", op.op, t)
		return exprUnknown, false
	}
	truth, _ := x.(bool)
	return t, truth
}

func (v *evaluation) problem(e *expr, hint, format string, args ...any) {
	v.d.problemAt(v.node, v.d.places(v.node).Within(v.node, e.offset, e.text), hint, format, args...)
}

func (v *evaluation) reference(ref *Reference) (exprType, any) {
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

// An exprParser reads
//
//	or      = and { "||" and }
//	and     = equal { "&&" equal }
//	equal   = unary [ ("==" | "!=") unary ]
//	unary   = "!" unary | "(" or ")" | literal | reference
//	literal = "true" | "false" | number | '"' text '"' | "'" text "'"
type exprParser struct {
	s     string
	i     int
	depth int
}

// maxDepth bounds parentheses and negations, since the parser recurses.
const maxDepth = 100

func (p *exprParser) parse() (*expr, *syntaxError) {
	e, bad := p.or()
	if bad != nil {
		return nil, bad
	}
	if p.space(); p.i < len(p.s) {
		return nil, p.unexpected("an operator: ==, !=, && or ||")
	}
	return e, nil
}

func (p *exprParser) or() (*expr, *syntaxError) {
	return p.chain("||", func() (*expr, *syntaxError) { return p.chain("&&", p.equal) })
}

func (p *exprParser) chain(op string, next func() (*expr, *syntaxError)) (*expr, *syntaxError) {
	l, bad := next()
	for bad == nil {
		at := p.space()
		if !p.accept(op) {
			return l, nil
		}
		var r *expr
		r, bad = next()
		l = &expr{op: op, l: l, r: r, offset: at, text: op}
	}
	return nil, bad
}

func (p *exprParser) equal() (*expr, *syntaxError) {
	l, bad := p.unary()
	if bad != nil {
		return nil, bad
	}
	at := p.space()
	for _, op := range []string{"==", "!="} {
		if !p.accept(op) {
			continue
		}
		r, bad := p.unary()
		if bad != nil {
			return nil, bad
		}
		return &expr{op: op, l: l, r: r, offset: at, text: op}, nil
	}
	return l, nil
}

func (p *exprParser) unary() (*expr, *syntaxError) {
	p.depth++
	defer func() { p.depth-- }()
	at := p.space()
	rest := p.s[p.i:]
	switch {
	case p.depth > maxDepth:
		return nil, &syntaxError{at, "", "too many parentheses", ""}
	case rest == "":
		return nil, p.unexpected("a value")
	case rest[0] == '!' && !strings.HasPrefix(rest, "!="):
		p.i++
		l, bad := p.unary()
		return &expr{op: "!", l: l, offset: at, text: "!"}, bad
	case rest[0] == '(':
		p.i++
		e, bad := p.or()
		if bad != nil {
			return nil, bad
		}
		if p.space(); !p.accept(")") {
			return nil, p.unexpected(") or an operator")
		}
		return e, nil
	case rest[0] == '"' || rest[0] == '\'':
		end := strings.IndexByte(rest[1:], rest[0])
		if end < 0 {
			return nil, &syntaxError{at, rest[:1], "the closing quote is missing", ""}
		}
		text := rest[1 : 1+end]
		if strings.Contains(text, "${") {
			return nil, &syntaxError{at, rest[:end+2], "inside quotes a reference is only text", "write the reference without quotes: ${vars.NAME}"}
		}
		p.i += end + 2
		return &expr{value: text, offset: at, text: rest[:end+2]}, nil
	case strings.HasPrefix(rest, "${"):
		end := referenceEnd(rest)
		if end < 0 {
			return nil, &syntaxError{at, "${", "a reference is not closed: } is missing", ""}
		}
		ref, bad := parseReference(rest[:end])
		if bad != nil {
			bad.offset, bad.text = at, rest[:end]
			return nil, bad
		}
		ref.offset = at
		p.i += end
		return &expr{ref: ref, offset: at, text: ref.Raw}, nil
	}
	word := p.word()
	switch word {
	case "":
		return nil, p.unexpected("a value")
	case "true", "false":
		p.i += len(word)
		return &expr{value: word == "true", offset: at, text: word}, nil
	}
	if f, err := strconv.ParseFloat(word, 64); err == nil && word[0] <= '9' {
		p.i += len(word)
		return &expr{value: f, offset: at, text: word}, nil
	}
	return nil, p.notValue(at, word)
}

// notValue is the mistake of a word that is no value.
func (p *exprParser) notValue(at int, word string) *syntaxError {
	after := strings.TrimLeft(p.s[at+len(word):], " \t")
	root, _, path := strings.Cut(word, ".")
	bad := &syntaxError{at, word, fmt.Sprintf("%q is no value", word), ""}
	switch {
	case word == "not" && after != "":
		bad.message, bad.hint = `unexpected "not"`, "write ! for not: !"+after
	case strings.HasPrefix(after, "("):
		bad.message = fmt.Sprintf("%q: a condition has no functions", word)
		bad.hint = `it has ==, !=, !, && and ||: ${vars.env} == "prod" || ${vars.env} == "test"`
	case path && slices.Contains([]string{"vars", "steps", "each", "plan"}, root):
		bad.hint = "write ${" + word + "}"
	case path && (root == "var" || root == "inputs" || root == "values"):
		bad.hint = "write ${vars" + strings.TrimPrefix(word, root) + "}"
	default:
		bad.hint = fmt.Sprintf("text is written in quotes: %q; a reference is written ${vars.%s}", word, word)
	}
	return bad
}

// word returns the run of characters that could be a bare word.
func (p *exprParser) word() string {
	i := p.i
	for i < len(p.s) && !strings.ContainsRune(" \t\r\n()!=&|\"'", rune(p.s[i])) {
		i++
	}
	return p.s[p.i:i]
}

func (p *exprParser) space() int {
	for p.i < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.i]) >= 0 {
		p.i++
	}
	return p.i
}

func (p *exprParser) accept(op string) bool {
	if strings.HasPrefix(p.s[p.i:], op) {
		p.i += len(op)
		return true
	}
	return false
}

func (p *exprParser) unexpected(want string) *syntaxError {
	if p.i >= len(p.s) {
		return &syntaxError{p.i, "", "the condition ends too early: want " + want, ""}
	}
	text := p.word()
	if text == "" {
		text = p.s[p.i : p.i+1]
	}
	hint := ""
	switch text {
	case "=":
		hint = "write == to compare"
	case "in", "contains", "matches", "=~", "<", ">":
		hint = `compare with == or !=, once for each value: ${vars.env} == "prod" || ${vars.env} == "test"`
	case "and":
		hint = "write &&"
	case "or":
		hint = "write ||"
	}
	return &syntaxError{p.i, text, fmt.Sprintf("unexpected %q: want %s", text, want), hint}
}
