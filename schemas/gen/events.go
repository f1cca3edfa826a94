package main

import (
	"reflect"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

// eventSchema is the JSON Schema of one line of --output json. Types and
// comments of engine.Event are its source.
func eventSchema(src *source) (object, error) {
	p, err := src.load(module + "engine")
	if err != nil {
		return nil, err
	}
	// A reader must not refuse an action that this version does not have.
	r := records{src: src, nulls: true, actions: append(p.constants["Action"], object{"type": "string"})}
	out, err := r.object(reflect.TypeFor[engine.Event]())
	if err != nil {
		return nil, err
	}
	out["properties"].(object)["schema"].(object)["const"] = engine.EventSchema
	out["$schema"] = "http://json-schema.org/draft-07/schema#"
	out["$id"] = "https://ztplan.dev/schemas/event.schema.json"
	out["title"] = "ztplan event"
	out["description"] = "One line of ztplan run PLAN --output json. " + oneLine(p.types["Event"]) +
		" Readers must ignore fields and actions that they do not know: they may be added while schema stays " + engine.EventSchema + "."
	return out, nil
}

// evidenceSchema is the JSON Schema of evidence.json. The types of package evidence and
// their comments are its source.
func evidenceSchema(src *source) (object, error) {
	r := records{src: src, defs: object{}}
	out, err := r.object(reflect.TypeFor[evidence.Document]())
	if err != nil {
		return nil, err
	}
	out["properties"].(object)["schema"].(object)["const"] = evidence.Schema
	out["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	out["$id"] = "https://ztplan.dev/schemas/evidence.schema.json"
	out["title"] = "Evidence of a ztplan run"
	out["$defs"] = r.defs
	return out, nil
}
