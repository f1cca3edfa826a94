package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ztplan/ztplan/schemas"
	"github.com/ztplan/ztplan/steps"
)

// Generate compares the generated files below root with the kinds and the document of
// a fleet, and returns those that differ, after writing them if write is set.
func Generate(root string, write bool) (stale []string, err error) {
	src := &source{root: root, packages: make(map[string]*packageDoc)}
	var kinds []schemas.Kind
	for _, k := range steps.All() {
		doc, err := src.kind(k)
		if err != nil {
			return nil, fmt.Errorf("kind %s: %w", k.Name, err)
		}
		kinds = append(kinds, doc)
	}
	reference, err := marshal(kinds)
	if err != nil {
		return nil, err
	}
	connections, err := src.connections(kinds)
	if err != nil {
		return nil, err
	}
	schema, err := marshal(planSchema(kinds, connections))
	if err != nil {
		return nil, err
	}
	events, err := eventSchema(src)
	if err != nil {
		return nil, err
	}
	event, err := marshal(events)
	if err != nil {
		return nil, err
	}
	fleet, err := src.fleet()
	if err != nil {
		return nil, err
	}
	fleetReference, err := marshal(fleet)
	if err != nil {
		return nil, err
	}
	fleets, err := marshal(fleetSchema(fleet))
	if err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{
		{"schemas/event.schema.json", event},
		{"schemas/fleet.schema.json", fleets},
		{"schemas/fleet.json", fleetReference},
		{"cmd/ztplan/fleet/README.md", []byte(fleetMarkdown(fleet))},
		{"schemas/kinds.json", reference},
		{"schemas/plan.schema.json", schema},
		{"steps/README.md", []byte(markdown(kinds))},
	} {
		path := filepath.Join(root, f.name)
		old, err := os.ReadFile(path)
		if err == nil && bytes.Equal(old, f.data) {
			continue
		}
		stale = append(stale, f.name)
		if write {
			if err := os.WriteFile(path, f.data, 0o644); err != nil {
				return nil, err
			}
		}
	}
	return stale, nil
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}
