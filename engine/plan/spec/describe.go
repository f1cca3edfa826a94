package spec

import (
	"fmt"
	"reflect"
	"strconv"

	"gopkg.in/yaml.v3"

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
		hint = fmt.Sprintf("write [%s]", source.Abbreviate(n.Value))
	}
	have := source.Describe(n)
	if t == secretType {
		have = source.KindOf(n) // not the value: it may be one
	}
	if d.use.ref != "" {
		return d.problem(n, hint, "want %s, and %s is %s", TypeName(t), d.use.ref, have)
	}
	return d.problem(n, hint, "want %s, have %s", TypeName(t), have)
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
