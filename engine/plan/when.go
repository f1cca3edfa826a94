package plan

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/kubeyaml"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// A Condition is a step's when.
type Condition struct {
	Source   string // as the plan writes it
	Position source.Position

	step  *Step
	node  *yaml.Node
	root  *expr
	known bool
	value bool
}

// Known returns what the condition says if it depends on no step.
func (c *Condition) Known() (value, ok bool) { return c.value, c.known }

// Eval returns what the condition says. outputs is as for [Step.Spec], and so
// is the error.
func (c *Condition) Eval(outputs func(id string) (any, bool)) (bool, error) {
	if c.known {
		return c.value, nil
	}
	if err := c.step.available(outputs); err != nil {
		return false, err
	}
	report := c.step.plan.collector()
	d := c.step.decoder(report.Add)
	d.outputs, d.path = outputs, []elem{{"when", -1}}
	v, ok := d.eval(c.node, c.root)
	if err := report.Err(); err != nil {
		return false, engine.Permanent(err)
	}
	b, _ := v.(bool)
	return b && ok, nil
}

// An expr is a node of a condition: a literal, a reference, or an operator
// with one or two operands.
type expr struct {
	op     string // "==", "!=", "!", "&&", "||"; "" for a leaf
	l, r   *expr
	ref    *reference
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

// condition reads and checks a step's when.
func (d *decoder) condition(n *yaml.Node) *Condition {
	d.path = []elem{{"when", -1}}
	c := &Condition{Source: n.Value, Position: d.p.position(n), step: d.step, node: n}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!bool" {
		c.root, c.known, c.value = &expr{value: truth(n)}, true, truth(n)
		return c
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		d.problem(n, `such as: when: ${vars.env} == "prod"`, "want a condition, have %s", describe(n))
		return nil
	}
	p := &exprParser{s: n.Value}
	root, bad := p.parse()
	if bad != nil {
		d.badTemplate(n, bad)
		return nil
	}
	c.root = root
	depends := false
	t := d.exprType(n, root, &depends)
	if t == exprUnknown {
		return nil
	}
	if t != exprTruth {
		d.problem(n, `compare it: … == "…"`, "a condition is true or false, and this is %s", t)
		return nil
	}
	if !depends {
		v, ok := d.eval(n, root)
		c.value, _ = v.(bool)
		c.known = ok
	}
	return c
}

// exprType checks an expression and returns its type. depends is set if it
// refers to an output.
func (d *decoder) exprType(n *yaml.Node, e *expr, depends *bool) exprType {
	switch e.op {
	case "":
		if e.ref != nil {
			return d.refType(n, e.ref, depends)
		}
		switch e.value.(type) {
		case string:
			return exprText
		case float64:
			return exprNumber
		}
		return exprTruth
	case "!":
		return d.operand(n, e, e.l, depends)
	case "&&", "||":
		l, r := d.operand(n, e, e.l, depends), d.operand(n, e, e.r, depends)
		if l == exprUnknown || r == exprUnknown {
			return exprUnknown
		}
		return exprTruth
	}
	l, r := d.exprType(n, e.l, depends), d.exprType(n, e.r, depends)
	if l == exprUnknown || r == exprUnknown {
		return exprUnknown
	}
	if l != r {
		hint := ""
		if e.l.op == "" && e.r.op == "" && (l == exprText || r == exprText) {
			hint = "text is written in quotes; numbers, true and false are not"
		}
		d.exprProblem(n, e, hint, "%s compares %s with %s", e.op, l, r)
		return exprUnknown
	}
	return exprTruth
}

func (d *decoder) operand(n *yaml.Node, op, e *expr, depends *bool) exprType {
	t := d.exprType(n, e, depends)
	if t != exprTruth && t != exprUnknown {
		d.exprProblem(n, op, "", "%s wants true or false, and has %s", op.op, t)
		return exprUnknown
	}
	return t
}

func (d *decoder) exprProblem(n *yaml.Node, e *expr, hint, format string, args ...any) {
	line, column := d.places().Within(n, e.offset, e.text)
	d.problemAt(n, line, column, hint, format, args...)
}

func (d *decoder) refType(n *yaml.Node, ref *reference, depends *bool) exprType {
	r, ok := d.resolve(n, ref)
	switch {
	case !ok:
		return exprUnknown
	case r.secret:
		d.refProblem(n, ref, "", "%s is a secret, and a condition would tell what it is", ref.raw)
		return exprUnknown
	case r.node != nil:
		switch varType(r.node) {
		case "string":
			return exprText
		case "number":
			return exprNumber
		case "bool":
			return exprTruth
		}
		d.refProblem(n, ref, "", "%s is %s: a condition compares text, numbers, true and false", ref.raw, kindOf(r.node))
		return exprUnknown
	}
	*depends = true
	t := indirect(r.typeOf())
	switch {
	case t == fileType || t.Implements(marshalType) || t.Kind() == reflect.String:
		return exprText
	case t.Kind() == reflect.Bool:
		return exprTruth
	case isInt(t) || isUint(t) || isFloat(t):
		return exprNumber
	}
	d.refProblem(n, ref, "", "%s is %s: a condition compares text, numbers, true and false", ref.raw, typeName(t))
	return exprUnknown
}

// eval returns the value of a checked expression: string, float64 or bool.
func (d *decoder) eval(n *yaml.Node, e *expr) (any, bool) {
	switch e.op {
	case "":
		if e.ref == nil {
			return e.value, true
		}
		r, ok := d.resolve(n, e.ref)
		switch {
		case !ok:
			return nil, false
		case r.node != nil:
			x, err := kubeyaml.Scalar(r.node)
			if err != nil {
				return nil, false
			}
			return comparand(reflect.ValueOf(x)), true
		}
		return comparand(reflect.Indirect(r.val)), true
	case "!":
		v, ok := d.eval(n, e.l)
		b, _ := v.(bool)
		return !b, ok
	case "&&", "||":
		v, ok := d.eval(n, e.l)
		if b, _ := v.(bool); !ok || b == (e.op == "||") {
			return b, ok
		}
		return d.eval(n, e.r)
	}
	l, okL := d.eval(n, e.l)
	r, okR := d.eval(n, e.r)
	return (l == r) == (e.op == "=="), okL && okR
}

func comparand(v reflect.Value) any {
	t := v.Type()
	switch {
	case t.Implements(marshalType):
		return format(v)
	case isInt(t):
		return float64(v.Int())
	case isUint(t):
		return float64(v.Uint())
	case isFloat(t):
		return v.Float()
	case t.Kind() == reflect.Bool:
		return v.Bool()
	}
	return format(v)
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

func (p *exprParser) parse() (*expr, *templateError) {
	e, bad := p.or()
	if bad != nil {
		return nil, bad
	}
	if p.space(); p.i < len(p.s) {
		return nil, p.unexpected("an operator: ==, !=, && or ||")
	}
	return e, nil
}

func (p *exprParser) or() (*expr, *templateError) {
	return p.chain("||", func() (*expr, *templateError) { return p.chain("&&", p.equal) })
}

func (p *exprParser) chain(op string, next func() (*expr, *templateError)) (*expr, *templateError) {
	l, bad := next()
	for bad == nil {
		at := p.space()
		if !p.take(op) {
			return l, nil
		}
		var r *expr
		r, bad = next()
		l = &expr{op: op, l: l, r: r, offset: at, text: op}
	}
	return nil, bad
}

func (p *exprParser) equal() (*expr, *templateError) {
	l, bad := p.unary()
	if bad != nil {
		return nil, bad
	}
	at := p.space()
	for _, op := range []string{"==", "!="} {
		if !p.take(op) {
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

func (p *exprParser) unary() (*expr, *templateError) {
	p.depth++
	defer func() { p.depth-- }()
	at := p.space()
	rest := p.s[p.i:]
	switch {
	case p.depth > maxDepth:
		return nil, &templateError{at, "", "too many parentheses", ""}
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
		if p.space(); !p.take(")") {
			return nil, p.unexpected(") or an operator")
		}
		return e, nil
	case rest[0] == '"' || rest[0] == '\'':
		end := strings.IndexByte(rest[1:], rest[0])
		if end < 0 {
			return nil, &templateError{at, rest[:1], "the closing quote is missing", ""}
		}
		text := rest[1 : 1+end]
		if strings.Contains(text, "${") {
			return nil, &templateError{at, rest[:end+2], "inside quotes a reference is only text", "write the reference without quotes: ${vars.NAME}"}
		}
		p.i += end + 2
		return &expr{value: text, offset: at, text: rest[:end+2]}, nil
	case strings.HasPrefix(rest, "${"):
		end := referenceEnd(rest)
		if end < 0 {
			return nil, &templateError{at, "${", "a reference is not closed: } is missing", ""}
		}
		ref, bad := parseReference(rest[:end])
		if bad != nil {
			bad.offset, bad.text = at, rest[:end]
			return nil, bad
		}
		ref.offset = at
		p.i += end
		return &expr{ref: ref, offset: at, text: ref.raw}, nil
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
	return nil, &templateError{at, word, fmt.Sprintf("%q is no value", word),
		fmt.Sprintf("text is written in quotes: %q; a reference is written ${vars.%s}", word, word)}
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

func (p *exprParser) take(op string) bool {
	if strings.HasPrefix(p.s[p.i:], op) {
		p.i += len(op)
		return true
	}
	return false
}

func (p *exprParser) unexpected(want string) *templateError {
	if p.i >= len(p.s) {
		return &templateError{p.i, "", "the condition ends too early: want " + want, ""}
	}
	text := p.word()
	if text == "" {
		text = p.s[p.i : p.i+1]
	}
	hint := ""
	if text == "=" {
		hint = "write == to compare"
	}
	return &templateError{p.i, text, fmt.Sprintf("unexpected %q: want %s", text, want), hint}
}
