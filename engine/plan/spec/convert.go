package spec

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
)

// fits reports whether an output of type from may be the whole value of an
// input of type to. It knows types only: that a number is in range and that a
// text is a duration shows when there is a value.
func (c *Types) fits(from, to reflect.Type) bool {
	from, to = indirect(from), indirect(to)
	switch {
	case to == secretType:
		return scalar(from)
	case c.HasSecret(from):
		return from == to
	case from == to:
		return true
	case to.Kind() == reflect.Interface:
		return true
	case to == fileType || reflect.PointerTo(to).Implements(textType):
		return from.Kind() == reflect.String
	case to.Kind() == reflect.String:
		return scalar(from)
	case to.Kind() == reflect.Bool:
		return from.Kind() == reflect.Bool
	case isInt(to) || isUint(to):
		return from != durationType && (isInt(from) || isUint(from))
	case isFloat(to):
		return from != durationType && (isInt(from) || isUint(from) || isFloat(from))
	case to.Kind() == reflect.Slice:
		return from.Kind() == reflect.Slice && c.fits(from.Elem(), to.Elem())
	case to.Kind() == reflect.Map && from.Kind() == reflect.Map:
		return c.fits(from.Elem(), to.Elem())
	case to.Kind() == reflect.Map && from.Kind() == reflect.Struct && from != fileType:
		for _, f := range c.Of(from).fields {
			if !c.fits(f.typ, to.Elem()) {
				return false
			}
		}
		return true
	}
	return false
}

// assign sets to, a value or a pointer to one, to an output of the same type. It
// reports false if the types differ.
func assign(from, to reflect.Value) bool {
	for from.Kind() == reflect.Pointer {
		if from.IsNil() {
			return true
		}
		from = from.Elem()
	}
	if from.Type() != indirect(to.Type()) {
		return false
	}
	for to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		to = to.Elem()
	}
	to.Set(from)
	return true
}

// nodeOf returns an output as the YAML that a plan would write for it, so that it fills
// an input of another type as a variable does.
func (c *Types) nodeOf(v reflect.Value) *yaml.Node {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
		}
		v = v.Elem()
	}
	t := v.Type()
	if scalar(t) {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tagOf(t), Value: format(v)}
	}
	var content []*yaml.Node
	entry := func(key string, value reflect.Value) {
		content = append(content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, c.nodeOf(value))
	}
	switch t.Kind() {
	case reflect.Struct:
		for _, f := range c.Of(t).fields {
			entry(f.name, v.FieldByIndex(f.index))
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			entry(it.Key().String(), it.Value())
		}
	default:
		for i := range v.Len() {
			content = append(content, c.nodeOf(v.Index(i)))
		}
		return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: content}
	}
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: content}
}

// tagOf returns the tag of YAML for values of a type that has a text form.
func tagOf(t reflect.Type) string {
	switch {
	case t.Implements(marshalType):
		return "!!str"
	case t.Kind() == reflect.Bool:
		return "!!bool"
	case isInt(t) || isUint(t):
		return "!!int"
	case isFloat(t):
		return "!!float"
	}
	return "!!str"
}

// format writes a scalar as text; a secret is revealed, so the result may only
// go into another secret.
func format(v reflect.Value) string {
	t := v.Type()
	if t == secretType {
		return v.Interface().(engine.Secret).Reveal()
	}
	if t.Implements(marshalType) {
		if b, err := v.Interface().(encoding.TextMarshaler).MarshalText(); err == nil {
			return string(b)
		}
	}
	switch {
	case t.Kind() == reflect.String:
		return v.String()
	case t.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case isInt(t):
		return strconv.FormatInt(v.Int(), 10)
	case isUint(t):
		return strconv.FormatUint(v.Uint(), 10)
	case isFloat(t):
		return strconv.FormatFloat(v.Float(), 'g', -1, t.Bits())
	}
	return fmt.Sprint(v.Interface())
}

// scalar reports whether values of type t have a text form.
func scalar(t reflect.Type) bool {
	t = indirect(t)
	return t.Implements(marshalType) || t.Kind() == reflect.String || t.Kind() == reflect.Bool ||
		isInt(t) || isUint(t) || isFloat(t)
}

func indirect(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

func isInt(t reflect.Type) bool {
	return t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64
}

func isUint(t reflect.Type) bool {
	return t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64
}

func isFloat(t reflect.Type) bool {
	return t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64
}
