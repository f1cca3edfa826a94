package main

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/ztplan/ztplan/schemas"
	"github.com/ztplan/ztplan/steps"
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

// A form says which values a schema allows beside those of a field's type.
type form struct {
	references bool // ${…} where the value is no string
}

var planForm = form{references: true}

// planSchema is the JSON Schema of a plan.
func planSchema(kinds []schemas.Kind, connections object) object {
	definitions := object{"step": stepSchema(kinds)}
	for _, k := range kinds {
		with := planForm.object(k.Inputs)
		with["description"] = firstParagraph(k.Doc)
		definitions[k.Name] = with
	}
	return object{
		"$schema":              "http://json-schema.org/draft-07/schema#",
		"$id":                  "https://ztplan.dev/schemas/plan.schema.json",
		"title":                "ztplan plan",
		"description":          "A zero-trust certificate set-up: variables, connections and steps.",
		"type":                 "object",
		"additionalProperties": false,
		"required":             []string{"apiVersion", "kind", "metadata", "steps"},
		"properties": object{
			"apiVersion": object{"const": "ztplan.dev/v1"},
			"kind":       object{"const": "Plan"},
			"metadata": object{
				"type": "object", "additionalProperties": false, "required": []string{"name"},
				"properties": object{
					"name":        object{"type": "string", "description": "Name of the plan; it appears in events and in default names."},
					"description": object{"type": "string", "description": "What the plan sets up."},
				},
			},
			"vars": object{"type": "object", "description": "Variables: ${vars.NAME}. Set with --var NAME=VALUE or --var-file."},
			"connections": object{
				"type": "object", "additionalProperties": false,
				"description": "How the plan reaches its servers; steps may override it.",
				"properties":  connections,
			},
			"steps": object{"type": "array", "minItems": 1, "items": object{"$ref": "#/definitions/step"}},
		},
		"definitions": definitions,
	}
}

// stepSchema describes a step, whose inputs depend on its kind.
func stepSchema(kinds []schemas.Kind) object {
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
	return object{
		"type":                 "object",
		"additionalProperties": false,
		"required":             []string{"id", "uses"},
		"properties": object{
			"id":      object{"type": "string", "pattern": "^[a-z][a-z0-9]*([-_][a-z0-9]+)*$", "description": "Name of the step: other steps refer to it, events carry it."},
			"uses":    object{"type": "string", "enum": names, "description": "Kind of the step."},
			"needs":   object{"anyOf": []any{object{"type": "string"}, object{"type": "array", "items": object{"type": "string"}, "uniqueItems": true}}, "description": "Steps that must be done first. A reference to an output is a dependency without being listed."},
			"with":    object{"type": "object", "description": "Inputs of the kind."},
			"when":    object{"type": "string", "description": "Condition: the step is skipped when it is false."},
			"timeout": envelopeDuration("Bounds everything the step does: looking, writing, waiting."),
			"retry": object{
				"type": "object", "additionalProperties": false,
				"description": "How often and how fast the step tries again. A retry looks before it writes.",
				"properties": object{
					"attempts": object{"type": "integer", "minimum": 0, "description": "Rounds of writing or proving; 0 means until the timeout."},
					"delay":    envelopeDuration("Pause before the second attempt."),
					"backoff":  object{"type": "number", "minimum": 1, "description": "Factor by which each further pause is longer."},
					"maxDelay": envelopeDuration("Longest pause."),
					"jitter":   object{"type": "number", "minimum": 0, "maximum": 1, "description": "Fraction by which each pause may be shorter or longer."},
				},
			},
		},
		"allOf": choices,
	}
}

func envelopeDuration(description string) object {
	return object{"type": "string", "pattern": durationForm, "examples": []string{"30s", "5m", "24h", "30d"}, "description": description}
}

// connections returns the schema of each key below connections: of the value that its
// New makes, or of the inputs of its name, of which the kind with most fields counts.
func (s *source) connections(kinds []schemas.Kind) (object, error) {
	out := object{}
	for _, c := range steps.Connections() {
		if c.New != nil {
			v := reflect.ValueOf(c.New()).Elem()
			fields, err := s.fields(v.Type(), v)
			if err != nil {
				return nil, fmt.Errorf("connection %s: %w", c.Key, err)
			}
			out[c.Key] = planForm.object(fields)
			continue
		}
		var widest []schemas.Field
		for _, k := range kinds {
			for _, f := range k.Inputs {
				if f.Name == c.Key && len(f.Fields) > len(widest) {
					widest = f.Fields
				}
			}
		}
		schema := planForm.object(widest)
		schema["description"] = "Defaults for the " + c.Key + " input of every step that has one."
		out[c.Key] = schema
	}
	return out, nil
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
		return object{"type": "array", "items": w.typed(f, of)}
	}
	if of, ok := strings.CutPrefix(name, "map of "); ok {
		return object{"type": "object", "additionalProperties": w.typed(f, of)}
	}
	switch name {
	case "object":
		return w.object(f.Fields)
	case "any":
		return object{}
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
