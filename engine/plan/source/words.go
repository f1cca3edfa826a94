package source

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/kubeyaml"
)

// Describe names a value: its sort, and the value itself if it is short.
func Describe(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || IsNull(n) {
		return KindOf(n)
	}
	read := ""
	if reading := kubeyaml.Reading(n); reading != "" {
		read = fmt.Sprintf(" (%s, as YAML 1.1 reads it)", reading)
	}
	switch TypeOf(n) {
	case "number":
		return "the number " + Abbreviate(n.Value) + read
	case "bool":
		return Abbreviate(n.Value) + read
	}
	return fmt.Sprintf("the text %q", Abbreviate(n.Value))
}

// KindOf names the sort of a value: "a list".
func KindOf(n *yaml.Node) string {
	if IsNull(n) {
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

// Abbreviate returns the beginning of a text, which is short.
func Abbreviate(s string) string {
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
	case IsNull(n):
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

// IsText reports whether a scalar may stand where text is wanted. A word such as
// no or y is text there, as it is written: only in data without a type of its own is
// it false or true.
func IsText(n *yaml.Node) bool {
	return n.Tag == "!!str" || n.Tag == "!!bool" && n.Style == 0 && !strings.EqualFold(n.Value, "true") && !strings.EqualFold(n.Value, "false")
}

// Truth returns the value of a scalar that is true or false.
func Truth(n *yaml.Node) bool {
	v, _ := kubeyaml.Scalar(n)
	return v == true
}
