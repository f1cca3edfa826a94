package syntax

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// An Expr is a node of a condition: a literal, a reference, or an operator with one or two
// operands.
type Expr struct {
	Op     string // "==", "!=", "!", "&&", "||"; "" for a leaf
	L, R   *Expr
	Ref    *Reference
	Value  any // string, float64 or bool
	Offset int
	Text   string // the source text at Offset, for its position
}

// ParseCondition reads a condition.
func ParseCondition(s string) (*Expr, *Error) { return (&exprParser{s: s}).parse() }

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

func (p *exprParser) parse() (*Expr, *Error) {
	e, bad := p.or()
	if bad != nil {
		return nil, bad
	}
	if p.space(); p.i < len(p.s) {
		return nil, p.unexpected("an operator: ==, !=, && or ||")
	}
	return e, nil
}

func (p *exprParser) or() (*Expr, *Error) {
	return p.chain("||", func() (*Expr, *Error) { return p.chain("&&", p.equal) })
}

func (p *exprParser) chain(op string, next func() (*Expr, *Error)) (*Expr, *Error) {
	l, bad := next()
	for bad == nil {
		at := p.space()
		if !p.accept(op) {
			return l, nil
		}
		var r *Expr
		r, bad = next()
		l = &Expr{Op: op, L: l, R: r, Offset: at, Text: op}
	}
	return nil, bad
}

func (p *exprParser) equal() (*Expr, *Error) {
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
		return &Expr{Op: op, L: l, R: r, Offset: at, Text: op}, nil
	}
	return l, nil
}

func (p *exprParser) unary() (*Expr, *Error) {
	p.depth++
	defer func() { p.depth-- }()
	at := p.space()
	rest := p.s[p.i:]
	switch {
	case p.depth > maxDepth:
		return nil, &Error{at, "", "too many parentheses", ""}
	case rest == "":
		return nil, p.unexpected("a value")
	case rest[0] == '!' && !strings.HasPrefix(rest, "!="):
		p.i++
		l, bad := p.unary()
		return &Expr{Op: "!", L: l, Offset: at, Text: "!"}, bad
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
			return nil, &Error{at, rest[:1], "the closing quote is missing", ""}
		}
		text := rest[1 : 1+end]
		if strings.Contains(text, "${") {
			return nil, &Error{at, rest[:end+2], "inside quotes a reference is only text", "write the reference without quotes: ${vars.NAME}"}
		}
		p.i += end + 2
		return &Expr{Value: text, Offset: at, Text: rest[:end+2]}, nil
	case strings.HasPrefix(rest, "${"):
		end := referenceEnd(rest)
		if end < 0 {
			return nil, &Error{at, "${", "a reference is not closed: } is missing", ""}
		}
		ref, bad := ParseReference(rest[:end])
		if bad != nil {
			bad.Offset, bad.Text = at, rest[:end]
			return nil, bad
		}
		ref.Offset = at
		p.i += end
		return &Expr{Ref: ref, Offset: at, Text: ref.Raw}, nil
	}
	word := p.word()
	switch word {
	case "":
		return nil, p.unexpected("a value")
	case "true", "false":
		p.i += len(word)
		return &Expr{Value: word == "true", Offset: at, Text: word}, nil
	}
	if f, err := strconv.ParseFloat(word, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
		p.i += len(word)
		return &Expr{Value: f, Offset: at, Text: word}, nil
	}
	return nil, p.notValue(at, word)
}

// notValue is the mistake of a word that is no value.
func (p *exprParser) notValue(at int, word string) *Error {
	after := strings.TrimLeft(p.s[at+len(word):], " \t")
	root, _, path := strings.Cut(word, ".")
	bad := &Error{at, word, fmt.Sprintf("%q is no value", word), ""}
	switch {
	case word == "not" && after != "":
		bad.Message, bad.Hint = `unexpected "not"`, "write ! for not: !"+after
	case strings.HasPrefix(after, "("):
		bad.Message = fmt.Sprintf("%q: a condition has no functions", word)
		bad.Hint = `it has ==, !=, !, && and ||: ${vars.env} == "prod" || ${vars.env} == "test"`
	case path && slices.Contains([]string{"vars", "steps", "each", "plan"}, root):
		bad.Hint = "write ${" + word + "}"
	case path && (root == "var" || root == "inputs" || root == "values"):
		bad.Hint = "write ${vars" + strings.TrimPrefix(word, root) + "}"
	default:
		bad.Hint = fmt.Sprintf("text is written in quotes: %q; a reference is written ${vars.%s}", word, word)
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

func (p *exprParser) unexpected(want string) *Error {
	if p.i >= len(p.s) {
		return &Error{p.i, "", "the condition ends too early: want " + want, ""}
	}
	text := p.word()
	switch {
	case strings.HasPrefix(p.s[p.i:], "=~"):
		text = "=~"
	case text == "":
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
	return &Error{p.i, text, fmt.Sprintf("unexpected %q: want %s", text, want), hint}
}
