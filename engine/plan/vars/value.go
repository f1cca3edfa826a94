package vars

import (
	"fmt"

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

func (s *Set) evaluate(v *variable) (value spec.Value, _ state) {
	typ := v.typ
	if v.def != nil {
		var ok bool
		if value, ok = s.substituted(v); !ok {
			return value, failed
		}
		typ = source.TypeOf(value.Node)
		if v.given == nil {
			value.Secret = value.Secret || v.secret
			return value, resolved
		}
	}
	if v.given == nil {
		s.missing(v)
		return value, failed
	}
	value = v.given.value
	value.Secret = value.Secret || v.secret
	if v.given.loose && value.Node.Tag == "!!str" {
		value.Node = readAs(value.Node.Value, typ)
	}
	value.Node = source.AsType(value.Node, v.typ)
	if typ != "" && source.TypeOf(value.Node) != typ {
		s.mistyped(v, typ)
		return value, failed
	}
	return value, resolved
}

// substituted returns the default of a variable without references; ok is false after a
// problem was reported.
func (s *Set) substituted(v *variable) (value spec.Value, ok bool) {
	if value, ok = s.decoder("vars."+v.name, s.Add).Substitute(v.def); !ok {
		return value, false
	}
	if value.Size > spec.MaxNodes {
		s.Problem(v.def, "", "vars.%s: has more than %d values", v.name, spec.MaxNodes)
		return value, false
	}
	value.Node = source.AsType(value.Node, v.typ)
	if v.typ != "" && source.TypeOf(value.Node) != v.typ {
		s.Problem(v.def, "", "vars.%s: want %s, as its type says, and the default is %s", v.name, source.TypeWord(v.typ), source.KindOf(value.Node))
		return value, false
	}
	return value, true
}

// missing reports that a variable has no value.
func (s *Set) missing(v *variable) {
	if s.unread {
		return // it may follow from that
	}
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
	n := v.given.value.Node
	have := source.Describe(n)
	if v.secret || v.given.value.Secret {
		have = source.KindOf(n)
	}
	p := &source.Problem{Position: v.given.at, Summary: fmt.Sprintf("%s: want %s, have %s%s", v.given.subject, source.TypeWord(typ), have, v.given.from)}
	if typ == "string" && n.Kind == yaml.ScalarNode {
		p.Hint = "write it in quotes"
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
	sound := true
	if n := source.Parse(src, "a value", func(*source.Problem) { sound = false }); n != nil && sound {
		return n
	}
	return textNode(text)
}

func textNode(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}
