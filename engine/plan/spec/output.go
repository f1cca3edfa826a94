package spec

import (
	"fmt"
	"reflect"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// Output returns the part of a step's outputs that a path, whose type has been
// checked, leads to. outputs is a struct or a pointer to one.
func (c *Types) Output(outputs any, path []keypath.Elem) (reflect.Value, error) {
	v := reflect.ValueOf(outputs)
	for i, e := range path {
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, fmt.Errorf("%s is not set", keypath.String(path[:i]))
			}
			v = v.Elem()
		}
		switch v.Kind() {
		case reflect.Struct:
			fi, ok := c.Of(v.Type()).byName[e.Name]
			if !ok {
				return v, fmt.Errorf("the outputs are of another type than the kind says: %v", v.Type())
			}
			v = v.FieldByIndex(c.Of(v.Type()).fields[fi].index)
		case reflect.Map:
			m := v.MapIndex(reflect.ValueOf(e.Name).Convert(v.Type().Key()))
			if !m.IsValid() {
				var keys []string
				for _, k := range v.MapKeys() {
					keys = append(keys, k.String())
				}
				return v, engine.WithHint(fmt.Errorf("output %s has no key %q; it has %s", keypath.String(path[:i]), e.Name, source.Listed(keys)), source.DidYouMean(e.Name, keys))
			}
			v = m
		case reflect.Slice:
			if e.Index >= v.Len() {
				return v, fmt.Errorf("output %s has %d items, so no [%d]", keypath.String(path[:i]), v.Len(), e.Index)
			}
			v = v.Index(e.Index)
		default:
			return v, fmt.Errorf("the outputs are of another type than the kind says: %v", v.Type())
		}
	}
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return v, fmt.Errorf("%s is not set", keypath.String(path))
		}
		v = v.Elem()
	}
	return v, nil
}

// Holds reports whether a step's outputs hold the output at a path. An empty value counts
// as missing.
func (c *Types) Holds(outputs any, path []keypath.Elem) bool {
	v, err := c.Output(outputs, path)
	return err == nil && !incomplete(v)
}

// incomplete reports whether a value holds nothing, or one of its fields does.
func incomplete(v reflect.Value) bool {
	switch {
	case empty(v):
		return true
	case v.Kind() == reflect.Struct && !scalar(v.Type()):
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && incomplete(v.Field(i)) {
				return true
			}
		}
		return false
	}
	return v.IsZero()
}

// A Producer is the step whose output a reference names, as messages name it.
type Producer struct {
	Step  string // its id
	Entry string // the id of its entry in the plan
	Kind  string
}

// OutputType returns the type of the output that a reference names; path is the part of it
// within the outputs.
func (c *Types) OutputType(outputs reflect.Type, ref *syntax.Reference, path []keypath.Elem, by Producer) (reflect.Type, *Fault) {
	t := outputs
	for i, e := range path {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		so, fields := keypath.String(path[:i]), c.Fields(t)
		switch {
		case fields != nil:
			ft, ok := fields.Field(e.Name)
			if !ok {
				hint := source.Suggestion(e.Name, fields.Names(), "there is ")
				if e.Name == "outputs" && len(path) > i+1 {
					hint = fmt.Sprintf("leave outputs out: ${steps.%s.%s}", by.Step, keypath.String(path[i+1:]))
				}
				return nil, &Fault{Message: fmt.Sprintf("%s: step %s (%s) has no output %q", ref.Raw, by.Entry, by.Kind, keypath.String(path[:i+1])), Hint: hint}
			}
			t = ft
		case t.Kind() == reflect.Map && e.Index < 0, t.Kind() == reflect.Slice && e.Index >= 0:
			t = t.Elem()
		case t.Kind() == reflect.Slice:
			return nil, &Fault{Message: fmt.Sprintf("%s: output %s is a list and has no %q", ref.Raw, so, e.Name),
				Hint: fmt.Sprintf("write ${steps.%s.%s[0]} for its first item", by.Step, so)}
		default:
			return nil, &Fault{Message: fmt.Sprintf("%s: output %s is %s and has no parts", ref.Raw, so, TypeName(t))}
		}
	}
	return t, nil
}
