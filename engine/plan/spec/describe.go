package spec

import (
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/kubeyaml"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// mismatch reports that n is of another type than t.
func (d *Decoder) mismatch(n *yaml.Node, t reflect.Type) outcome {
	var hint string
	text := n.Kind == yaml.ScalarNode && n.Tag == "!!str"
	number := n.Kind == yaml.ScalarNode && (n.Tag == "!!int" || n.Tag == "!!float")
	switch {
	case t == durationType && number:
		hint = fmt.Sprintf("add a unit: %ss, %sm, %sh or %sd", n.Value, n.Value, n.Value, n.Value)
	case t == secretType:
		if n.Kind == yaml.ScalarNode {
			hint = "write the value in quotes"
		}
	case d.use.ref != "":
	case t.Kind() == reflect.String && n.Kind == yaml.ScalarNode && !source.IsNull(n):
		hint = fmt.Sprintf("write it in quotes: %q", n.Value)
	case t.Kind() == reflect.Bool && text:
		hint = "write true or false, without quotes"
	case (isInt(t) || isUint(t) || isFloat(t)) && text:
		if _, err := strconv.ParseFloat(n.Value, 64); err == nil {
			hint = "write " + n.Value + ", without quotes"
		}
	case t.Kind() == reflect.Slice && n.Kind == yaml.ScalarNode && (t.Elem() == secretType || scalar(t.Elem())):
		hint = fmt.Sprintf("write [%s]", abbreviate(n.Value))
	}
	have := Describe(n)
	if t == secretType {
		have = KindOf(n) // not the value: it may be one
	}
	if d.use.ref != "" {
		return d.problem(n, hint, "want %s, and %s is %s", TypeName(t), d.use.ref, have)
	}
	return d.problem(n, hint, "want %s, have %s", TypeName(t), have)
}

// Describe names a value: its sort, and the value itself if it is short.
func Describe(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || source.IsNull(n) {
		return KindOf(n)
	}
	read := ""
	if reading := kubeyaml.Reading(n); reading != "" {
		read = fmt.Sprintf(" (%s, as YAML 1.1 reads it)", reading)
	}
	switch TypeOf(n) {
	case "number":
		return "the number " + abbreviate(n.Value) + read
	case "bool":
		return abbreviate(n.Value) + read
	}
	return fmt.Sprintf("the text %q", abbreviate(n.Value))
}

// KindOf names the sort of a value: "a list".
func KindOf(n *yaml.Node) string {
	if source.IsNull(n) {
		return "nothing"
	}
	return TypeWord(TypeOf(n))
}

// TypeWord names a type of variables in messages.
func TypeWord(typ string) string {
	switch typ {
	case "number":
		return "a number"
	case "bool":
		return "true or false"
	case "list":
		return "a list"
	case "map":
		return "a mapping"
	}
	return "text"
}

func abbreviate(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// TypeOf returns the type of a value as variables declare it: string, number, bool,
// list or map; "" for null.
func TypeOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "map"
	case n.Kind == yaml.SequenceNode:
		return "list"
	case source.IsNull(n):
		return ""
	case n.Tag == "!!int" || n.Tag == "!!float":
		return "number"
	case n.Tag == "!!bool":
		return "bool"
	}
	return "string"
}

// AsType returns a value as the declared type has it: for text, a word such as
// no is the text that is written.
func AsType(n *yaml.Node, typ string) *yaml.Node {
	if typ != "string" || n.Kind != yaml.ScalarNode || !IsText(n) {
		return n
	}
	text := *n
	text.Tag = "!!str"
	return &text
}
