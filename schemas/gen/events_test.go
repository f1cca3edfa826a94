package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/schemas"
)

// strict returns the schema of events with every key that it does not list
// forbidden: a new field of engine.Event must be in it.
func strict(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemas.Event))
	if err != nil {
		t.Fatal(err)
	}
	top := doc.(map[string]any)
	top["additionalProperties"] = false
	properties := top["properties"].(map[string]any)
	properties["summary"].(map[string]any)["additionalProperties"] = false
	for name, p := range properties {
		if text, _ := p.(map[string]any)["description"].(string); text == "" && name != "time" && name != "action" {
			t.Errorf("%s has no description", name)
		}
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("event.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("event.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fill sets every field to something.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Int:
		v.SetInt(1)
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Interface:
		v.Set(reflect.ValueOf(any(map[string]any{"k": []any{1, "a", nil}})))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		e := reflect.New(v.Type().Elem()).Elem()
		fill(e)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("k"), e)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1, 2)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	}
}

func TestEventsHaveTheirSchema(t *testing.T) {
	schema := strict(t)
	var full engine.Event
	fill(reflect.ValueOf(&full).Elem())
	full.Schema = engine.EventSchema
	end := engine.Event{Action: engine.ActionEnd, Time: time.Now(), Summary: &engine.Summary{}}
	for _, e := range []engine.Event{full, end, {Action: engine.ActionStart, Time: time.Now(), Step: "a"}} {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, bad := range []string{
		`{}`, `{"time":"2026-01-02T03:04:05Z"}`, `{"action":"start"}`, `{"action":1,"time":"2026-01-02T03:04:05Z"}`,
		`{"action":"start","time":"now"}`, `{"action":"start","time":"2026-01-02T03:04:05Z","attempt":"1"}`,
		`{"action":"start","time":"2026-01-02T03:04:05Z","schema":"ztplan.dev/events/v2"}`,
		`{"action":"end","time":"2026-01-02T03:04:05Z","summary":{}}`,
	} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(doc) == nil {
			t.Errorf("%s is valid", bad)
		}
	}
}

func TestEveryActionIsDescribed(t *testing.T) {
	for _, a := range []engine.Action{engine.ActionPlan, engine.ActionApplied, engine.ActionAfter, engine.ActionEnd} {
		if !bytes.Contains(schemas.Event, []byte(`"const": "`+string(a)+`"`)) {
			t.Errorf("action %s is not in the schema", a)
		}
	}
}
