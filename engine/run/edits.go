package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

func writableOf(edits []engine.Edit) []engine.Edit {
	n := 0
	for _, e := range edits {
		if e.Apply != nil {
			n++
		}
	}
	if n == len(edits) {
		return edits
	}
	out := make([]engine.Edit, 0, n)
	for _, e := range edits {
		if e.Apply != nil {
			out = append(out, e)
		}
	}
	return out
}

// stillThere returns the first edit that the last round meant to remove and
// that is still there, or "".
func stillThere(edits []engine.Edit, left map[string]bool) string {
	for _, e := range edits {
		if left[e.Path] {
			return e.Path
		}
	}
	return ""
}

func paths(edits []engine.Edit) string {
	const most = 3
	names := make([]string, 0, most)
	for _, e := range edits[:min(len(edits), most)] {
		name := e.Path
		if text, ok := e.Have.(string); ok && text != "" {
			name += " (" + text + ")"
		}
		names = append(names, name)
	}
	text := join(names)
	if more := len(edits) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// violated returns an error that lists the rules that do not hold, or nil.
func violated(findings []engine.Finding) error {
	var b strings.Builder
	n := 0
	for _, f := range findings {
		if f.Holds {
			continue
		}
		if n++; n > 1 {
			b.WriteString("; ")
		}
		b.WriteString(f.Rule)
		if f.Have != nil {
			fmt.Fprintf(&b, ": saw %v", f.Have)
		}
		if f.Detail != "" {
			b.WriteString(" (" + f.Detail + ")")
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("does not hold: %s", b.String())
}

// textOf is the text of a step's error without the other fields of the event:
// position, step and kind.
func textOf(err error) string {
	var se *StepError
	if !errors.As(err, &se) {
		return err.Error()
	}
	if se.Path != "" {
		return se.Path + ": " + se.text
	}
	return se.text
}

// plainOutputs turns an outputs struct into a map, by its field tags.
func plainOutputs(outputs any) map[string]any {
	if outputs == nil {
		return nil
	}
	m := make(map[string]any)
	for name, v := range fieldsOf(outputs) {
		m[name] = v
	}
	if len(m) == 0 {
		return nil
	}
	if b, err := json.Marshal(m); err != nil || json.Unmarshal(b, &m) != nil {
		return nil
	}
	return m
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errTimeout)
}

// noCause reports whether a context was ended without a cause of its own. A
// cause may well wrap the end of another context, so that it is not asked with
// errors.Is.
func noCause(cause error) bool {
	return cause == context.Canceled || cause == context.DeadlineExceeded
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

func join(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
