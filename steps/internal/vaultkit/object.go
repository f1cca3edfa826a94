package vaultkit

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// A Field is the wanted value of one field of an object in Vault.
type Field struct {
	Name string // as Vault names it: "max_ttl"
	// Want is a string, bool, int, []string or engine.Duration. Its zero value
	// asks that the field be unset.
	Want any
	// OmitIfAbsent keeps the field out of the difference of an object that does not
	// exist yet. It serves fields that the plan leaves at Vault's default.
	OmitIfAbsent bool
}

// Object compares an object in Vault with the fields that a plan asks for. An
// object that is not there (have is nil) is one edit; one that differs is an
// edit for each field that does. path is the object's own.
//
// Most objects are written whole: write is called by the first edit that is
// applied, and the others then find their work done.
func Object(path string, have map[string]any, fields []Field, write func(context.Context) error) []engine.Edit {
	write = Once(write)
	if have == nil {
		want := make(map[string]any, len(fields))
		for _, f := range fields {
			if !f.OmitIfAbsent {
				want[f.Name] = plain(f.Want)
			}
		}
		return []engine.Edit{{Path: path, Want: want, Apply: write}}
	}
	var edits []engine.Edit
	for _, f := range fields {
		if seen := as(have[f.Name], f.Want); !same(seen, f.Want) {
			edits = append(edits, engine.Edit{Path: path + "/" + f.Name, Have: plain(seen), Want: plain(f.Want), Apply: write})
		}
	}
	return edits
}

// Data returns the fields in the form in which they are written.
func Data(fields []Field) map[string]any {
	data := make(map[string]any, len(fields))
	for _, f := range fields {
		if d, ok := f.Want.(engine.Duration); ok {
			data[f.Name] = d.Seconds()
		} else {
			data[f.Name] = f.Want
		}
	}
	return data
}

// ValidateItems reports items of a list of names that Vault would keep as one
// name that matches nothing: it splits texts at commas, and not their parts.
// field is the path of the list.
func ValidateItems(p *engine.Problems, field string, list []string) {
	for i, item := range list {
		switch {
		case strings.Contains(item, ","):
			p.AddProblem(engine.Problem{
				Field:   fmt.Sprintf("%s[%d]", field, i),
				Message: fmt.Sprintf("%q would be one name", item),
				Hint:    "write one item for each name",
			})
		case strings.TrimSpace(item) == "":
			p.Add(fmt.Sprintf("%s[%d]", field, i), "is empty")
		}
	}
}

// Once returns a function that calls f until it succeeds, and then no more.
func Once(f func(context.Context) error) func(context.Context) error {
	var mu sync.Mutex
	done := false
	return func(ctx context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return nil
		}
		err := f(ctx)
		done = err == nil
		return err
	}
}

// as converts a reported value to the type of the wanted one. A value that cannot
// be converted is returned as it is, and then differs.
func as(have, want any) any {
	switch want := want.(type) {
	case engine.Duration:
		switch h := have.(type) {
		case nil:
			return engine.Duration(0)
		case json.Number:
			if n, err := h.Int64(); err == nil {
				return engine.Duration(time.Duration(n) * time.Second)
			}
		case string:
			if d, err := seconds(h); err == nil {
				return d
			}
		}
	case int:
		switch h := have.(type) {
		case nil:
			return 0
		case json.Number:
			if n, err := h.Int64(); err == nil {
				return int(n)
			}
		}
	case bool:
		if have == nil {
			return false
		}
	case []string:
		switch h := have.(type) {
		case nil:
			return []string(nil)
		case string: // an older Vault's comma-separated list
			return split(h)
		case []any:
			return Strings(h)
		}
	case string:
		switch h := have.(type) {
		case nil:
			return ""
		case json.Number: // "24h" of a plan against 86400
			if d, err := seconds(want); err == nil {
				if n, err := h.Int64(); err == nil && n == d.Seconds() {
					return want
				}
			}
			return h.String()
		}
	}
	return have
}

// seconds reads a duration as Vault does: a bare number counts seconds.
func seconds(s string) (engine.Duration, error) {
	if s != "" && strings.Trim(s, "0123456789") == "" {
		s += "s"
	}
	return engine.ParseDuration(s)
}

// split reads a text as Vault reads one for a field that holds a list
// (go-secure-stdlib/parseutil.ParseCommaStringSlice).
func split(s string) []string {
	if s == "" {
		return []string{}
	}
	return trimmed(strings.Split(s, ","))
}

// trimmed returns a list without the space around its items, as Vault stores it.
func trimmed(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strings.TrimSpace(s)
	}
	return out
}

func same(have, want any) bool {
	if h, ok := have.([]string); ok {
		if w, ok := want.([]string); ok {
			h, w = trimmed(h), trimmed(w)
			return slices.Equal(slices.Sorted(slices.Values(h)), slices.Sorted(slices.Values(w)))
		}
	}
	return reflect.DeepEqual(have, want)
}

// plain turns a value into the plain data that edits hold.
func plain(v any) any {
	switch v := v.(type) {
	case engine.Duration:
		return v.String()
	case []string:
		if v == nil {
			return []string{}
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return int(n)
		}
		return v.String()
	}
	return v
}

// Extra turns fields that a plan gives under Vault's own names, with YAML's types,
// into Fields in the order of their names. known maps the
// names to values of the types that Vault has for them; a name that it lacks
// keeps YAML's type. A text for a list is split at its commas.
func Extra(extra map[string]any, known map[string]any) ([]Field, error) {
	fields := make([]Field, 0, len(extra))
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		want, err := convert(extra[name], known[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		fields = append(fields, Field{Name: name, Want: want})
	}
	return fields, nil
}

func convert(v, like any) (any, error) {
	switch like.(type) {
	case engine.Duration:
		switch v := v.(type) {
		case int:
			return engine.Duration(time.Duration(v) * time.Second), nil
		case string:
			return seconds(v)
		}
		return nil, fmt.Errorf("%v is not a duration: write a number and a unit, such as 30s or 24h", v)
	case []string:
		switch v := v.(type) {
		case string:
			if strings.HasPrefix(v, "[") { // JSON, as Vault takes for policy_identifiers
				return []string{v}, nil
			}
			return split(v), nil
		case []any:
			list := make([]string, len(v))
			for i, one := range v {
				s, ok := one.(string)
				if !ok {
					return nil, fmt.Errorf("%v is not a list of strings", v)
				}
				list[i] = s
			}
			return trimmed(list), nil
		}
		return nil, fmt.Errorf("%v is not a list of strings", v)
	case nil:
		if list, ok := v.([]any); ok {
			return convert(list, []string(nil))
		}
		return v, nil
	}
	if reflect.TypeOf(v) != reflect.TypeOf(like) {
		return nil, fmt.Errorf("%v is not a %T", v, like)
	}
	return v, nil
}
