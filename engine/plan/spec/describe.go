package spec

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// mismatch reports that n is of another type than t.
func (d *Decoder) mismatch(n *yaml.Node, t reflect.Type) outcome {
	var hint string
	text := n.Kind == yaml.ScalarNode && n.Tag == "!!str"
	number := n.Kind == yaml.ScalarNode && (n.Tag == "!!int" || n.Tag == "!!float")
	secret := d.Types.HasSecret(t) // the value, too, may be one, and is not shown
	switch {
	case t == durationType && number:
		hint = fmt.Sprintf("add a unit: %ss, %sm, %sh or %sd", n.Value, n.Value, n.Value, n.Value)
	case t == secretType:
		if n.Kind == yaml.ScalarNode {
			hint = "write the value in quotes"
		}
	case d.use.ref != "":
	case t.Kind() == reflect.String && n.Kind == yaml.ScalarNode:
		hint = fmt.Sprintf("write it in quotes: %q", n.Value)
	case t.Kind() == reflect.Bool && text:
		hint = "write true or false, without quotes"
	case (isInt(t) || isUint(t) || isFloat(t)) && text:
		if _, err := strconv.ParseFloat(n.Value, 64); err == nil {
			hint = "write " + n.Value + ", without quotes"
		}
	case len(n.Content) == 1 && n.Content[0].Kind == yaml.ScalarNode && isScalarInput(t):
		hint = fmt.Sprintf("write one value, without the list: %s", source.Abbreviate(n.Content[0].Value))
	case t.Kind() == reflect.Map && n.Kind == yaml.SequenceNode:
		hint = "write it as a mapping, without the hyphens: name: value"
	case t.Kind() == reflect.Map:
		hint = "write it as a mapping: {name: value}"
	case t.Kind() == reflect.Struct && !isScalarInput(t):
		hint = d.shape(n, d.Types.Of(t))
	case secret:
		hint = "write a list: […]"
	case t.Kind() == reflect.Slice && n.Kind == yaml.ScalarNode && scalar(t.Elem()):
		hint = fmt.Sprintf("write [%s]", source.Abbreviate(n.Value))
	}
	have := source.Describe(n)
	if secret {
		have = source.KindOf(n)
	}
	if d.use.ref != "" {
		return d.problem(n, hint, "want %s, and %s is %s", TypeName(t), d.use.ref, have)
	}
	return d.problem(n, hint, "want %s, have %s", TypeName(t), have)
}

// isScalarInput reports whether a plan writes a value of type t as one scalar.
func isScalarInput(t reflect.Type) bool {
	return scalar(t) || reflect.PointerTo(t).Implements(textType)
}

// shape returns how the mapping that a struct wants is written in place of n: with the
// value of n where it shows which key is meant and is no secret, or else with the keys that
// are required, or with all.
func (d *Decoder) shape(n *yaml.Node, st *Struct) string {
	if len(n.Content) > 0 && n.Content[0].Kind == yaml.MappingNode {
		return "write it without the hyphens: it is one mapping, not a list"
	}
	namespace, name, _ := strings.Cut(n.Value, "/")
	if namespace != "" && name != "" && !st.hasSecret && slices.Contains(st.names, "namespace") && slices.Contains(st.names, "name") {
		return fmt.Sprintf("write {namespace: %s, name: %s}", source.Abbreviate(namespace), source.Abbreviate(name))
	}
	number := n.Kind == yaml.ScalarNode && n.Tag == "!!int" && !st.hasSecret
	var required []string
	for i := range st.fields {
		f := &st.fields[i]
		if f.required {
			required = append(required, f.name+": …")
		}
		if t := indirect(f.typ); number && (isInt(t) || isUint(t)) && t != durationType {
			return fmt.Sprintf("write {%s: %s}", f.name, n.Value)
		}
	}
	if len(required) > 0 {
		return "write {" + strings.Join(required, ", ") + "}"
	}
	return "it is a mapping; its keys are " + source.Listed(st.names)
}

// TypeOfOutput returns the type of an output as variables declare it; "" for another one.
func TypeOfOutput(t reflect.Type) string {
	t = indirect(t)
	switch {
	case t.Kind() == reflect.Bool:
		return "bool"
	case t != durationType && (isInt(t) || isUint(t) || isFloat(t)):
		return "number"
	case scalar(t):
		return "string"
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.Map || t.Kind() == reflect.Struct:
		return "map"
	}
	return ""
}
