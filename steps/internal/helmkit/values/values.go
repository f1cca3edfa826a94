// Package values reads the values of a chart, compares them, and finds those that
// nothing in the chart reads.
package values

import (
	"encoding/json"
	"fmt"
	"maps"
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
		merged = overlay(merged, v)
	}
	v, err := Normal(inline)
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("values: %w", err))
	}
	return overlay(merged, v), nil
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

// overlay returns base with top on it: of maps key by key, of everything else that of
// top. It changes neither.
func overlay(base, top map[string]any) map[string]any {
	out := maps.Clone(base)
	if out == nil {
		out = map[string]any{}
	}
	for k, v := range top {
		if m, ok := v.(map[string]any); ok {
			if b, ok := out[k].(map[string]any); ok {
				v = overlay(b, m)
			}
		}
		out[k] = v
	}
	return out
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
	h, w := kubefields.Differing(Flatten(map[string]any(have), ""), Flatten(map[string]any(want), ""))
	for _, side := range []map[string]any{h, w} {
		for path, v := range side {
			side[path] = shown(path, v)
		}
	}
	return h, w
}

// shown returns the value at path without secrets.
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
			m, _ := e.(map[string]any)
			if value, ok := m["value"]; ok && sensitive.Name(path+"."+kubefields.Text(m["name"])) {
				m = maps.Clone(m)
				m["value"] = shown(path+"."+kubefields.Text(m["name"]), value)
				e = m
			}
			out[i] = shown(path, e)
		}
		for _, i := range sensitive.Arguments(v) {
			out[i] = engine.NewSecret(v[i].(string))
		}
		return out
	}
	return v
}

func isSwitch(v any) bool { _, ok := v.(bool); return ok }
