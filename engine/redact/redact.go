// Package redact removes secrets from all that leaves a run: by their value, in every form
// that they travel in, and by the shape of a text.
package redact

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/sensitive"
)

// shortest is the length below which a secret is too common a text to be
// searched for: redaction by type still holds for it.
const shortest = 6

// A Redactor replaces every secret it knows in all that leaves a run. It is
// the second line of defence: the first is that a Secret does not print.
//
// It is safe for use by several goroutines.
type Redactor struct {
	mu       sync.Mutex
	known    map[string]bool
	replacer *strings.Replacer // nil when stale or without secrets
}

// Add registers secrets: as they are, each long line of those with several, and
// the forms that they travel in: as JSON and Go write them between quotes, as in a URL, in
// hexadecimal, and in base64, also as part of something longer.
func (r *Redactor) Add(secrets ...engine.Secret) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range secrets {
		text := s.Reveal()
		if len(text) < shortest || r.known[text] {
			continue
		}
		if r.known == nil {
			r.known = make(map[string]bool)
		}
		for _, form := range forms(text) {
			r.known[form] = true
		}
		delete(r.known, "")
		r.replacer = nil
	}
}

// AddFrom registers every Secret inside v: structs, maps, slices, pointers.
func (r *Redactor) AddFrom(v any) {
	for s := range engine.Secrets(v) {
		r.Add(s)
	}
}

// Written returns the secrets that are written into inputs and may be searched for. A text
// of several lines is hidden where it stands: its lines may be ordinary ones.
func Written(inputs any) (out []engine.Secret) {
	for s := range engine.Secrets(inputs) {
		if text := s.Reveal(); !strings.Contains(text, "\n") && sensitive.Findable(text, false) {
			out = append(out, s)
		}
	}
	for _, text := range sensitive.AssignedIn(inputs) {
		out = append(out, engine.NewSecret(text))
	}
	return out
}

// Text returns s with every known secret replaced, and every text with a secret's shape.
func (r *Redactor) Text(s string) string {
	if s == "" {
		return s
	}
	if rep := r.current(); rep != nil {
		s = rep.Replace(s)
	}
	return sensitive.Mask(s, engine.Redacted)
}

// Value returns v as plain data with every secret replaced.
func (r *Redactor) Value(v any) any {
	switch v := v.(type) {
	case nil, bool:
		return v
	case int, int64, float64, json.Number:
		if text := fmt.Sprint(v); r.Text(text) != text {
			return engine.Redacted
		}
		return v
	case string:
		return r.Text(v)
	case engine.Secret:
		return engine.Redacted
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = r.Value(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[r.Text(k)] = r.Value(e)
		}
		return out
	}
	b, err := json.Marshal(v)
	if err != nil {
		return r.Text(fmt.Sprint(v))
	}
	var plain any
	if err := json.Unmarshal(b, &plain); err != nil {
		return r.Text(fmt.Sprint(v))
	}
	return r.Value(plain)
}

// Event returns e with every secret replaced.
func (r *Redactor) Event(e engine.Event) engine.Event {
	e.Path = r.Text(e.Path)
	e.Message = r.Text(e.Message)
	e.Error = r.Text(e.Error)
	e.Hint = r.Text(e.Hint)
	e.Next = r.Text(e.Next)
	if e.Have != nil {
		e.Have = r.Value(e.Have)
	}
	if e.Want != nil {
		e.Want = r.Value(e.Want)
	}
	if e.Data != nil {
		e.Data = r.Value(e.Data)
	}
	if e.Outputs != nil {
		e.Outputs, _ = r.Value(e.Outputs).(map[string]any)
	}
	return e
}

func (r *Redactor) current() *strings.Replacer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) == 0 {
		return nil
	}
	if r.replacer == nil {
		// A secret that contains another one is replaced whole.
		longestFirst := func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) }
		pairs := make([]string, 0, 2*len(r.known))
		for _, s := range slices.SortedFunc(maps.Keys(r.known), longestFirst) {
			pairs = append(pairs, s, engine.Redacted)
		}
		r.replacer = strings.NewReplacer(pairs...)
	}
	return r.replacer
}
