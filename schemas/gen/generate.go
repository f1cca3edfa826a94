package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

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
	topics, err := src.language(kinds)
	if err != nil {
		return nil, err
	}
	event, err := eventSchema(src)
	if err != nil {
		return nil, err
	}
	evidence, err := evidenceSchema(src)
	if err != nil {
		return nil, err
	}
	fleet, err := src.fleet()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(src.problems...); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name    string
		content any // a text, or a value to encode as JSON
	}{
		{"schemas/event.schema.json", event},
		{"schemas/evidence.schema.json", evidence},
		{"schemas/fleet.schema.json", fleetSchema(fleet)},
		{"schemas/topics.json", append(slices.Clone(topics), fleet)},
		{"cmd/ztplan/fleet/README.md", fleetMarkdown(fleet)},
		{"schemas/kinds.json", kinds},
		{"schemas/plan.schema.json", planSchema(kinds, topics)},
		{"schemas/fragment.schema.json", fragmentSchema(kinds, topics)},
		{"plans/README.md", languageMarkdown(topics, kinds)},
		{"steps/README.md", markdown(kinds)},
	} {
		data, err := encode(f.content)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(root, f.name)
		old, err := os.ReadFile(path)
		if err == nil && bytes.Equal(old, data) {
			continue
		}
		stale = append(stale, f.name)
		if write {
			if err := os.WriteFile(path, data, 0o644); err != nil {
				return nil, err
			}
		}
	}
	return stale, nil
}

// encode returns a text as it is and anything else as JSON.
func encode(v any) ([]byte, error) {
	if text, ok := v.(string); ok {
		return []byte(text), nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}
