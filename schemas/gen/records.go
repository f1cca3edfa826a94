package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/ztplan/ztplan/engine"
)

// records describes Go types by their JSON: names and options are those of the json tags,
// texts those of the comments, with the names of JSON in place of those of Go.
type records struct {
	src     *source
	defs    object // types that others refer to, which have no further keys; nil: each is described in its place, and is open
	nulls   bool   // lists may be null
	actions []any  // of an event; nil: any text
}

func (r records) object(t reflect.Type) (object, error) {
	p, err := r.src.load(t.PkgPath())
	if err != nil {
		return nil, err
	}
	properties, required := object{}, []string{}
	if err := r.fields(t, properties, &required); err != nil {
		return nil, err
	}
	slices.Sort(required)
	out := object{"type": "object", "properties": properties, "required": required}
	if r.defs != nil {
		out["additionalProperties"] = false
	}
	if text := inJSON(described(p.types[t.Name()], t.Name()), t); text != "" {
		out["description"] = text
		r.src.readable(text, "the comment of %s", t)
	}
	return out, nil
}

// fields adds the fields of t. A field hides one of an embedded type that has its name.
func (r records) fields(t reflect.Type, properties object, required *[]string) error {
	p, err := r.src.load(t.PkgPath())
	if err != nil {
		return err
	}
	text := ""
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			return fmt.Errorf("%s.%s has no name in JSON", t, f.Name)
		}
		// A comment may stand for the fields below it that have none.
		if own := oneLine(p.structs[t.Name()][f.Name]); own != "" {
			text = own
		} else if !slices.Contains(words(text), f.Name) {
			text = ""
		}
		if properties[name] != nil {
			continue
		}
		s, err := r.value(f.Type)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		if text != "" {
			s = maps.Clone(s)
			text := inJSON(text, t)
			s["description"] = text
			r.src.readable(text, "the comment of %s.%s", t, f.Name)
		}
		properties[name] = s
		if options == "" {
			*required = append(*required, name)
		}
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous {
			if err := r.fields(f.Type, properties, required); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r records) value(t reflect.Type) (object, error) {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}, nil
	case t == reflect.TypeFor[engine.Action]() && r.actions != nil:
		return object{"type": "string", "anyOf": r.actions}, nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return r.value(t.Elem())
	case reflect.String:
		return object{"type": "string"}, nil
	case reflect.Bool:
		return object{"type": "boolean"}, nil
	case reflect.Int:
		return object{"type": "integer"}, nil
	case reflect.Float64:
		return object{"type": "number"}, nil
	case reflect.Interface:
		return object{}, nil
	case reflect.Map:
		of, err := r.value(t.Elem())
		return object{"type": "object", "additionalProperties": of}, err
	case reflect.Slice:
		of, err := r.value(t.Elem())
		if r.nulls {
			return object{"type": []string{"array", "null"}, "items": of}, err
		}
		return object{"type": "array", "items": of}, err
	case reflect.Struct:
		if r.defs == nil {
			return r.object(t)
		}
		name := strings.ToLower(t.Name()[:1]) + t.Name()[1:]
		if r.defs[name] == nil {
			r.defs[name] = object{} // a type may hold itself
			s, err := r.object(t)
			if err != nil {
				return nil, err
			}
			r.defs[name] = s
		}
		return object{"$ref": "#/$defs/" + name}, nil
	}
	return nil, fmt.Errorf("type %s has no form in JSON", t)
}

// described returns the first paragraph of a type's comment without its name: "A Step is
// the result of a step." is "The result of a step."
func described(text, name string) string {
	text = firstParagraph(strings.TrimSpace(text))
	for _, begin := range []string{"A " + name + " is ", "An " + name + " is "} {
		if rest, ok := strings.CutPrefix(text, begin); ok {
			return strings.ToUpper(rest[:1]) + rest[1:]
		}
	}
	return text
}

// inJSON returns the comment of t or of a field of it with the JSON names of all its
// fields in place of their Go names. Abbreviations stay: they are words.
func inJSON(text string, t reflect.Type) string {
	for _, w := range words(text) {
		f, ok := t.FieldByName(w)
		if !ok || f.Anonymous || w == strings.ToUpper(w) {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		text = replaceWord(text, w, name)
	}
	return text
}

func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
