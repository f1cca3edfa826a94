package vars

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

func (s *Set) resolve(v *variable) {
	switch v.state {
	case resolved, failed:
		return
	case resolving:
		return // the reference that closes the circle reports it
	}
	v.state = resolving
	s.resolving = append(s.resolving, v.name)
	v.value, v.state = s.evaluate(v)
	s.resolving = s.resolving[:len(s.resolving)-1]
}

func (s *Set) evaluate(v *variable) (*yaml.Node, state) {
	v.tainted = v.secret
	typ := v.typ
	if v.def != nil {
		value, secret, ok := s.substituted(v)
		if !ok {
			return nil, failed
		}
		if typ == "" {
			typ = spec.TypeOf(value)
		}
		if v.given == nil {
			v.tainted = v.tainted || secret
			return value, resolved
		}
	}
	if v.given == nil {
		s.missing(v)
		return nil, failed
	}
	value := v.given
	if v.givenBy == flag || strings.HasPrefix(v.givenBy, "$") || v.loose && v.given.Tag == "!!str" {
		value = readAs(v.given.Value, typ)
	}
	value = spec.AsType(value, v.typ)
	if typ != "" && spec.TypeOf(value) != typ {
		s.mistyped(v, typ)
		return nil, failed
	}
	return value, resolved
}

// substituted returns the default of a variable without references, and whether a secret
// is in it; ok is false after a problem was reported.
func (s *Set) substituted(v *variable) (value *yaml.Node, secret, ok bool) {
	d := s.decoder("vars."+v.name, s.Add)
	if value, secret, ok = d.Substitute(v.def); !ok {
		return nil, false, false
	}
	if v.size = d.Size(); v.size > spec.MaxNodes {
		s.Problem(v.def, "", "vars.%s: has more than %d values", v.name, spec.MaxNodes)
		return nil, false, false
	}
	value = spec.AsType(value, v.typ)
	if v.typ != "" && spec.TypeOf(value) != v.typ {
		s.Problem(v.def, "", "vars.%s: want %s, as its type says, and the default is %s", v.name, spec.TypeWord(v.typ), spec.KindOf(value))
		return nil, false, false
	}
	return value, secret, true
}

// missing reports that a variable has no value.
func (s *Set) missing(v *variable) {
	hint := fmt.Sprintf("give it with --var %s=…, or in a file with --var-file", v.name)
	switch {
	case v.secret && v.fromEnv != "":
		hint = fmt.Sprintf("set %s, or put it into a file that only you can read and give that with --var-file", v.fromEnv)
	case v.secret:
		hint = "put it into a file that only you can read, and give that with --var-file"
	case v.fromEnv != "":
		hint = fmt.Sprintf("give it with --var %s=…, in a file with --var-file, or set %s", v.name, v.fromEnv)
	}
	s.Problem(v.key, hint, "variable %q has no value", v.name)
}

// mistyped reports that the value given is not of the type typ.
func (s *Set) mistyped(v *variable, typ string) {
	have := spec.Describe(v.given)
	if v.secret {
		have = spec.KindOf(v.given)
	}
	p := &source.Problem{Summary: fmt.Sprintf("variable %q: want %s, have %s", v.name, spec.TypeWord(typ), have)}
	switch {
	case v.given.Line > 0:
		p.Position = source.Position{File: v.givenBy, Line: v.given.Line, Column: v.given.Column}
		if typ == "string" && v.given.Kind == yaml.ScalarNode {
			p.Hint = "write it in quotes"
		}
	case v.givenBy == flag:
		p.Summary = flag + " " + v.name + ": " + strings.TrimPrefix(p.Summary, fmt.Sprintf("variable %q: ", v.name))
	default:
		p.Summary += ", from " + v.givenBy
	}
	s.Add(p)
}

// readAs reads text from outside the plan as a value of the given type. Text
// that is none stays text.
func readAs(text, typ string) *yaml.Node {
	if typ == "" || typ == "string" {
		return textNode(text)
	}
	src := source.NewFile("", []byte(text))
	if n := source.Parse(src, "a value", func(*source.Problem) {}); n != nil && spec.TypeOf(n) == typ {
		return n
	}
	return textNode(text)
}

func textNode(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}
