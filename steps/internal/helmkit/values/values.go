// Package values reads the values of a chart, compares them, and finds those that
// nothing in the chart reads.
package values

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/kubeyaml"
	"github.com/ztplan/ztplan/engine/sensitive"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// Values are a chart's values in the form that JSON gives them, in which Helm
// stores and renders them: maps, slices, strings, bools, float64 and nil.
type Values map[string]any

// Read merges values files and inline values: of maps key by key, of
// everything else the later one wins, and inline comes last. A null stays: it
// removes the chart's default.
func Read(files []engine.File, inline map[string]any) (Values, error) {
	merged := Values{}
	for _, f := range files {
		v, err := readValuesFile(f)
		if err != nil {
			return nil, engine.Permanent(err)
		}
		merge(merged, v)
	}
	v, err := Normal(inline)
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("values: %w", err))
	}
	merge(merged, v)
	return merged, nil
}

func readValuesFile(f engine.File) (Values, error) {
	b, err := f.Read()
	if err != nil {
		return nil, fmt.Errorf("valuesFiles: %w", err)
	}
	v, err := kubeyaml.Unmarshal(b)
	if err != nil {
		return nil, fmt.Errorf("values file %s: %w", f, err)
	}
	switch v := v.(type) {
	case nil:
		return Values{}, nil
	case map[string]any:
		return Normal(v)
	}
	return nil, fmt.Errorf("values file %s: it must hold a mapping of keys to values", f)
}

func merge(into, from map[string]any) {
	for k, v := range from {
		old, oldIsMap := into[k].(map[string]any)
		m, isMap := v.(map[string]any)
		if isMap && oldIsMap {
			merge(old, m)
			continue
		}
		into[k] = v
	}
}

// Normal returns v in the form that JSON gives it.
func Normal(v map[string]any) (Values, error) {
	out := Values{}
	if len(v) == 0 {
		return out, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return out, json.Unmarshal(b, &out)
}

// Copied returns a copy that may be changed.
func (v Values) Copied() map[string]any {
	c, err := Normal(v)
	if err != nil {
		panic(err) // it was normal before
	}
	return c
}

// Effective returns the values that templates see: the user's on top of the
// chart's defaults.
func Effective(c *chart.Chart, v Values) (Values, error) {
	all, err := chartutil.CoalesceValues(c, v.Copied())
	if err != nil {
		return nil, err
	}
	return Normal(all)
}

// Flatten returns a value by dotted paths, each below path. Slices and empty maps
// are not taken apart.
func Flatten(v any, path string) map[string]any {
	out := map[string]any{}
	flatten(v, path, out)
	return out
}

func flatten(v any, path string, out map[string]any) {
	m, ok := v.(map[string]any)
	if !ok || len(m) == 0 && path != "" {
		out[path] = v
		return
	}
	for k, v := range m {
		p := k
		if path != "" {
			p = path + "." + k
		}
		flatten(v, p, out)
	}
}

// Differing returns the values that differ, by dotted path, as each side has them.
// A value whose key is that of a secret is an engine.Secret, which is not shown.
func Differing(have, want Values) (map[string]any, map[string]any) {
	h, w := Flatten(map[string]any(have), ""), Flatten(map[string]any(want), "")
	outHave, outWant := map[string]any{}, map[string]any{}
	for _, path := range slices.Sorted(maps.Keys(union(h, w))) {
		a, inHave := h[path]
		b, inWant := w[path]
		if inHave == inWant && reflect.DeepEqual(a, b) {
			continue
		}
		if inHave {
			outHave[path] = shown(path, a)
		}
		if inWant {
			outWant[path] = shown(path, b)
		}
	}
	return outHave, outWant
}

func union(a, b map[string]any) map[string]any {
	u := maps.Clone(a)
	maps.Copy(u, b)
	return u
}

// shown returns what may be shown of the value at path.
func shown(path string, v any) any {
	if v == nil {
		return nil
	}
	if sensitive.Name(path) && !isSwitch(v) {
		b, _ := json.Marshal(v)
		return engine.NewSecret(strings.Trim(string(b), `"`))
	}
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = shown(path+"."+k, e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			if m, ok := e.(map[string]any); ok && sensitive.Name(path+"."+kubefields.Text(m["name"])) {
				m = maps.Clone(m)
				m["value"] = shown(path+"."+kubefields.Text(m["name"]), m["value"])
				e = m
			}
			out[i] = shown(path, e)
		}
		return out
	}
	return v
}

func isSwitch(v any) bool { _, ok := v.(bool); return ok }
