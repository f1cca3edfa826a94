// Package schemas is the description of plans and fleets outside their code: the JSON
// Schemas that editors use and the reference that "ztplan explain" prints. Both are
// generated from the specs and their comments by schemas/gen;
// a test fails when they are stale.
package schemas

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

// Plan is the JSON Schema (draft-07, which editors know best) of a plan.
//
//go:embed plan.schema.json
var Plan []byte

// Event is the JSON Schema (draft-07) of one line of --output json.
//
//go:embed event.schema.json
var Event []byte

// FleetDocument is the JSON Schema (draft-07) of a fleet.
//
//go:embed fleet.schema.json
var FleetDocument []byte

// Evidence is the JSON Schema (2020-12) of evidence.json.
//
//go:embed evidence.schema.json
var Evidence []byte

//go:embed kinds.json
var kinds []byte

//go:embed fleet.json
var fleet []byte

// A Kind is the reference of one kind of step.
type Kind struct {
	Name    string  `json:"name"`
	Doc     string  `json:"doc"`
	Proof   bool    `json:"proof,omitempty"` // runs every time and configures nothing
	Policy  Policy  `json:"policy"`
	Inputs  []Field `json:"inputs"`
	Outputs []Field `json:"outputs"`
	Example string  `json:"example"`
}

// A Policy is that of a step of the kind whose envelope has none.
type Policy struct {
	Timeout  string  `json:"timeout"`
	Attempts int     `json:"attempts"` // 0 means until the timeout
	Delay    string  `json:"delay"`
	Backoff  float64 `json:"backoff"`
	MaxDelay string  `json:"maxDelay"`
	Jitter   float64 `json:"jitter"`
}

// A Field is an input or an output, possibly with fields of its own.
type Field struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"` // "string", "duration", "list of string", …
	Doc      string   `json:"doc"`
	Required bool     `json:"required,omitempty"`
	Default  any      `json:"default,omitempty"`
	OneOf    []string `json:"oneOf,omitempty"`
	Min      string   `json:"min,omitempty"`
	Max      string   `json:"max,omitempty"`
	Fields   []Field  `json:"fields,omitempty"`
}

// A Fleet is the reference of the document of a fleet.
type Fleet struct {
	Doc     string  `json:"doc"`
	Fields  []Field `json:"fields"`
	Example string  `json:"example"`
}

// FleetReference returns the reference of the document of a fleet.
func FleetReference() (Fleet, error) {
	var out Fleet
	if err := json.Unmarshal(fleet, &out); err != nil {
		return out, fmt.Errorf("embedded reference: %w", err)
	}
	return out, nil
}

// Kinds returns the reference of every kind, in the order of package steps.
func Kinds() ([]Kind, error) {
	var out []Kind
	if err := json.Unmarshal(kinds, &out); err != nil {
		return nil, fmt.Errorf("embedded reference: %w", err)
	}
	return out, nil
}
