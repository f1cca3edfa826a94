package main

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// eventSchema is the JSON Schema of one line of --output json. Types and
// comments of engine.Event are its source.
func eventSchema(src *source) (object, error) {
	p, err := src.load(module + "engine")
	if err != nil {
		return nil, err
	}
	// A reader must not refuse an action that this version does not have.
	actions := append(p.constants["Action"], object{"type": "string"})
	out, err := eventObject(p, reflect.TypeFor[engine.Event](), actions)
	if err != nil {
		return nil, err
	}
	properties := out["properties"].(object)
	properties["schema"].(object)["const"] = engine.EventSchema
	out["$schema"] = "http://json-schema.org/draft-07/schema#"
	out["$id"] = "https://ztplan.dev/schemas/event.schema.json"
	out["title"] = "ztplan event"
	out["description"] = "One line of ztplan run PLAN --output json. " + oneLine(p.types["Event"]) +
		" Readers must ignore fields and actions that they do not know: they may be added while schema stays " + engine.EventSchema + "."
	return out, nil
}

// eventObject describes a struct by its json tags.
func eventObject(p *packageDoc, t reflect.Type, actions []any) (object, error) {
	properties, required := object{}, []string{}
	text := ""
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			return nil, fmt.Errorf("%s.%s has no name in JSON", t, f.Name)
		}
		if options == "" {
			required = append(required, name)
		}
		s, err := eventValue(p, f.Type, actions)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		// A comment may stand for the fields below it that have none.
		if own := oneLine(p.structs[t.Name()][f.Name]); own != "" {
			text = own
		} else if !strings.Contains(text, f.Name) {
			text = ""
		}
		if text != "" {
			s["description"] = text
		}
		properties[name] = s
	}
	return object{"type": "object", "properties": properties, "required": required}, nil
}

func eventValue(p *packageDoc, t reflect.Type, actions []any) (object, error) {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}, nil
	case t == reflect.TypeFor[engine.Action]():
		return object{"type": "string", "anyOf": actions}, nil
	case t.Kind() == reflect.Pointer:
		return eventObject(p, t.Elem(), actions)
	}
	switch t.Kind() {
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
		of, err := eventValue(p, t.Elem(), actions)
		return object{"type": "object", "additionalProperties": of}, err
	case reflect.Slice:
		of, err := eventValue(p, t.Elem(), actions)
		return object{"type": []string{"array", "null"}, "items": of}, err
	}
	return nil, fmt.Errorf("type %s has no form in an event", t)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
