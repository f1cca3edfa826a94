package main

import (
	"strconv"
	"strings"

	"github.com/ztplan/ztplan/schemas"
)

// object keeps the order of its keys out of the way: encoding/json sorts maps,
// which makes the generated file stable.
type object = map[string]any

// reference is the form of a value that refers to a variable or an output.
const reference = `\$\{[^}]+\}`

// planSchema is the JSON Schema of a plan.
func planSchema(kinds []kindDoc) object {
	names := make([]string, len(kinds))
	defs := object{}
	var choices []any
	for i, k := range kinds {
		names[i] = k.Name
		with := objectSchema(k.Inputs)
		with["description"] = firstParagraph(k.Doc)
		defs[k.Name] = with
		then := object{"properties": object{"with": object{"$ref": "#/definitions/" + k.Name}}}
		if len(requiredOf(k.Inputs)) > 0 {
			then["required"] = []string{"with"}
		}
		choices = append(choices, object{
			"if":   object{"properties": object{"uses": object{"const": k.Name}}, "required": []string{"uses"}},
			"then": then,
		})
	}
	duration := object{"type": "string", "pattern": `^([0-9]+d)?([0-9.]+(ns|us|µs|ms|s|m|h))*$|` + reference, "examples": []string{"30s", "5m", "24h", "30d"}}
	defs["step"] = object{
		"type":                 "object",
		"additionalProperties": false,
		"required":             []string{"id", "uses"},
		"properties": object{
			"id":      object{"type": "string", "pattern": "^[a-z][a-z0-9]*([-_][a-z0-9]+)*$", "description": "Name of the step: other steps refer to it, events carry it."},
			"uses":    object{"type": "string", "enum": names, "description": "Kind of the step."},
			"needs":   object{"anyOf": []any{object{"type": "string"}, object{"type": "array", "items": object{"type": "string"}, "uniqueItems": true}}, "description": "Steps that must be done first. A reference to an output is a dependency without being listed."},
			"with":    object{"type": "object", "description": "Inputs of the kind."},
			"when":    object{"type": "string", "description": "Condition: the step is skipped when it is false."},
			"timeout": withDescription(duration, "Bounds everything the step does: looking, writing, waiting."),
			"retry": object{
				"type": "object", "additionalProperties": false,
				"description": "How often and how fast the step tries again. A retry looks before it writes.",
				"properties": object{
					"attempts": object{"type": "integer", "minimum": 0, "description": "Rounds of writing or proving; 0 means until the timeout."},
					"delay":    withDescription(duration, "Pause before the second attempt."),
					"backoff":  object{"type": "number", "minimum": 1, "description": "Factor by which each further pause is longer."},
					"maxDelay": withDescription(duration, "Longest pause."),
					"jitter":   object{"type": "number", "minimum": 0, "maximum": 1, "description": "Fraction by which each pause may be shorter or longer."},
				},
			},
		},
		"allOf": choices,
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
				"properties": object{
					"kubernetes": object{
						"type": "object", "additionalProperties": false,
						"properties": object{
							"kubeconfig": object{"type": "string", "description": "Path of the kubeconfig; --kubeconfig wins."},
							"context":    object{"type": "string", "description": "Context of the kubeconfig; --context wins."},
						},
					},
					"vault": vaultConnection(kinds),
				},
			},
			"steps": object{"type": "array", "minItems": 1, "items": object{"$ref": "#/definitions/step"}},
		},
		"definitions": defs,
	}
}

// vaultConnection is the widest vault input of any kind.
func vaultConnection(kinds []kindDoc) object {
	widest := schemas.Field{}
	for _, k := range kinds {
		for _, f := range k.Inputs {
			if f.Name == "vault" && len(f.Fields) > len(widest.Fields) {
				widest = f
			}
		}
	}
	out := objectSchema(widest.Fields)
	out["description"] = "Defaults for the vault input of every step that has one."
	return out
}

func objectSchema(fields []schemas.Field) object {
	properties := object{}
	for _, f := range fields {
		properties[f.Name] = fieldSchema(f)
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

func fieldSchema(f schemas.Field) object {
	out := typeSchema(f, f.Type)
	out["description"] = f.Doc
	if f.Default != nil {
		out["default"] = f.Default
	}
	return out
}

func typeSchema(f schemas.Field, name string) object {
	if of, ok := strings.CutPrefix(name, "list of "); ok {
		return object{"type": "array", "items": typeSchema(f, of)}
	}
	if of, ok := strings.CutPrefix(name, "map of "); ok {
		return object{"type": "object", "additionalProperties": typeSchema(f, of)}
	}
	switch name {
	case "object":
		return objectSchema(f.Fields)
	case "any":
		return object{}
	case "string", "file":
		if len(f.OneOf) == 0 {
			return object{"type": "string"}
		}
		return orReference(object{"enum": f.OneOf})
	case "duration":
		return object{"type": "string", "pattern": `^([0-9]+d)?([0-9.]+(ns|us|µs|ms|s|m|h))*$|` + reference}
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
	return orReference(out)
}

// orReference also allows ${…} where the value is no string.
func orReference(s object) object {
	return object{"anyOf": []any{s, object{"type": "string", "pattern": "^" + reference + "$"}}}
}

func withDescription(s object, text string) object {
	out := object{"description": text}
	for k, v := range s {
		out[k] = v
	}
	return out
}

func firstParagraph(s string) string {
	p, _, _ := strings.Cut(s, "\n\n")
	return strings.ReplaceAll(p, "\n", " ")
}
