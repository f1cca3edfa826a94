package run

import (
	"encoding/json"
	"reflect"
	"strings"
)

// plainOutputs returns the outputs of a step that are not empty as plain data, by their
// names in plans; nil if there are none.
func plainOutputs(outputs any) map[string]any {
	v := reflect.Indirect(reflect.ValueOf(outputs))
	if v.Kind() != reflect.Struct {
		return nil
	}
	m := make(map[string]any)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if f.IsExported() && name != "" && name != "-" && !v.Field(i).IsZero() {
			m[name] = v.Field(i).Interface()
		}
	}
	if len(m) == 0 {
		return nil
	}
	if b, err := json.Marshal(m); err != nil || json.Unmarshal(b, &m) != nil {
		return nil
	}
	return m
}
