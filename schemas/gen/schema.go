package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ztplan/ztplan/schemas"
)

// object keeps the order of its keys out of the way: encoding/json sorts maps,
// which makes the generated file stable.
type object = map[string]any

// reference is the form of a value that refers to a variable or an output.
const reference = `\$\{[^}]+\}`

// durationOnly is the pattern of a duration, and durationForm that of a duration or of
// text with a reference.
const (
	durationOnly = `^([0-9]+d)?([0-9.]+(ns|us|µs|ms|s|m|h))*$`
	durationForm = durationOnly + `|` + reference
)

// limitForm is the pattern of a number or a percentage in quotes.
const limitForm = `^([0-9]+|(100|[0-9]{1,2})%)$`

// A form is a set of values that a schema allows beside those of a field's type.
type form struct {
	references bool // ${…} where the value is no string
}

var planForm = form{references: true}

// planSchema is the JSON Schema of a plan.
func planSchema(kinds []schemas.Kind, topics []schemas.Topic) object {
	fields := make(map[string][]schemas.Field)
	for _, t := range topics {
		fields[t.Name] = t.Fields
	}
	out := documentSchema(kinds, fields, "plan", fields["vars"])
	refine(out["properties"].(object), "connections", planForm.object(fields["connections"]))
	out["description"] = "A zero-trust certificate set-up: variables, connections and steps."
	return out
}

// fragmentSchema is the JSON Schema of a fragment. It has no environment variables.
func fragmentSchema(kinds []schemas.Kind, topics []schemas.Topic) object {
	fields := make(map[string][]schemas.Field)
	for _, t := range topics {
		fields[t.Name] = t.Fields
	}
	vars := slices.DeleteFunc(slices.Clone(fields["vars"]), func(f schemas.Field) bool { return f.Name == "env" })
	out := documentSchema(kinds, fields, "fragment", vars)
	out["description"] = "Steps that plans include: variables, steps and outputs."
	return out
}

// documentSchema is the part that plans and fragments share. fields are those of the topics.
func documentSchema(kinds []schemas.Kind, fields map[string][]schemas.Field, name string, vars []schemas.Field) object {
	definitions := object{"step": stepSchema(kinds, fields["steps"], fields["retry"])}
	for _, k := range kinds {
		with := planForm.object(k.Inputs)
		with["description"] = firstParagraph(k.Doc)
		definitions[k.Name] = with
	}
	out := form{}.object(fields[name])
	properties := out["properties"].(object)
	refine(properties, "vars", object{"type": "object", "additionalProperties": variableSchema(vars)})
	refine(properties, "steps", object{"type": "array", "minItems": 1, "items": object{"$ref": "#/definitions/step"}})
	out["$schema"] = "http://json-schema.org/draft-07/schema#"
	out["$id"] = "https://ztplan.dev/schemas/" + name + ".schema.json"
	out["title"] = "ztplan " + name
	out["definitions"] = definitions
	return out
}

// refine replaces the schema of a property and keeps its description.
func refine(properties object, name string, s object) {
	s["description"] = properties[name].(object)["description"]
	properties[name] = s
}

// variableSchema describes an entry of vars: any value, of which a mapping with a key of
// a declaration has no others.
func variableSchema(declaration []schemas.Field) object {
	out := form{}.object(declaration)
	var any, names []any
	for _, f := range declaration {
		any = append(any, object{"required": []string{f.Name}})
		names = append(names, f.Name)
	}
	return object{
		"description": "The default of the variable, or a declaration.",
		"properties":  out["properties"],
		"if":          object{"type": "object", "anyOf": any},
		"then":        object{"propertyNames": object{"enum": names}},
	}
}

// stepSchema describes a step, whose inputs depend on its kind.
func stepSchema(kinds []schemas.Kind, step, retry []schemas.Field) object {
	var names []string
	var choices []any
	for _, k := range kinds {
		names = append(names, k.Name)
		then := object{"properties": object{"with": object{"$ref": "#/definitions/" + k.Name}}}
		if len(requiredOf(k.Inputs)) > 0 {
			then["required"] = []string{"with"}
		}
		choices = append(choices, object{
			"if":   object{"properties": object{"uses": object{"const": k.Name}}, "required": []string{"uses"}},
			"then": then,
		})
	}
	out := planForm.object(step)
	properties := out["properties"].(object)
	refine(properties, "id", object{"type": "string", "pattern": "^[a-z][a-z0-9]*([-_][a-z0-9]+)*$"})
	refine(properties, "uses", object{"type": "string", "enum": names})
	refine(properties, "retry", planForm.object(retry))
	out["allOf"] = choices
	out["oneOf"] = []any{
		object{"required": []string{"uses"}},
		object{"required": []string{"include"}, "not": object{"anyOf": []any{object{"required": []string{"timeout"}}, object{"required": []string{"retry"}}}}},
	}
	return out
}

func (w form) object(fields []schemas.Field) object {
	properties := object{}
	for _, f := range fields {
		properties[f.Name] = w.field(f)
	}
	out := object{"type": "object", "additionalProperties": false, "properties": properties}
	if r := requiredOf(fields); len(r) > 0 {
		out["required"] = r
	}
	return out
}

func requiredOf(fields []schemas.Field) []string {
	var out []string
	for _, f := range fields {
		if f.Required {
			out = append(out, f.Name)
		}
	}
	return out
}

func (w form) field(f schemas.Field) object {
	out := w.typed(f, f.Type)
	out["description"] = f.Doc
	if f.Default != nil {
		out["default"] = f.Default
	}
	return out
}

func (w form) typed(f schemas.Field, name string) object {
	if of, ok := strings.CutPrefix(name, "list of "); ok {
		return w.orReference(object{"type": "array", "items": w.typed(f, of)})
	}
	if of, ok := strings.CutPrefix(name, "map of "); ok {
		return w.orReference(object{"type": "object", "additionalProperties": w.typed(f, of)})
	}
	switch name {
	case "object":
		return w.orReference(w.object(f.Fields))
	case "any":
		return object{}
	case "condition":
		return object{"type": []string{"string", "boolean"}}
	case "list or map":
		return w.orReference(object{"type": []string{"array", "object"}})
	case "string or list of string":
		return object{"anyOf": []any{object{"type": "string"}, object{"type": "array", "items": object{"type": "string"}, "uniqueItems": true}}}
	case "string", "file":
		if len(f.OneOf) == 0 {
			return object{"type": "string"}
		}
		return w.orReference(object{"enum": f.OneOf})
	case "duration":
		if !w.references {
			return object{"type": "string", "pattern": durationOnly}
		}
		return object{"type": "string", "pattern": durationForm}
	case "number or percentage":
		return object{"anyOf": []any{object{"type": "integer", "minimum": 0}, object{"type": "string", "pattern": limitForm}}}
	case "secret":
		return object{"type": "string", "writeOnly": true}
	}
	out := object{"type": name}
	if n, err := strconv.ParseFloat(f.Min, 64); err == nil {
		out["minimum"] = n
	}
	if n, err := strconv.ParseFloat(f.Max, 64); err == nil {
		out["maximum"] = n
	}
	return w.orReference(out)
}

// orReference also allows ${…}, where there may be references.
func (w form) orReference(s object) object {
	if !w.references {
		return s
	}
	return object{"anyOf": []any{s, object{"type": "string", "pattern": "^" + reference + "$"}}}
}

func firstParagraph(s string) string {
	p, _, _ := strings.Cut(s, "\n\n")
	return strings.ReplaceAll(p, "\n", " ")
}
