package engine

import (
	"slices"
	"strings"
)

// An Awaited lists the things that persons have to give to a step: see Awaits in [Edit].
type Awaited struct {
	What   []string // "signature", each once
	Text   string   // the instruction: "awaiting signature: sign …"
	Serves bool     // the outputs of the step hold meanwhile
}

// AwaitedOf returns what a step is awaiting if persons have to remove all its edits, and
// nil otherwise or if there are none.
func AwaitedOf(edits []Edit) *Awaited {
	if len(edits) == 0 || len(NotAwaited(edits)) > 0 {
		return nil
	}
	a := &Awaited{Serves: true}
	var texts []string
	for _, e := range edits {
		if text := e.Awaiting(); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
		if !slices.Contains(a.What, e.Awaits) {
			a.What = append(a.What, e.Awaits)
		}
		a.Serves = a.Serves && e.Meanwhile
	}
	a.Text = strings.Join(texts, "; ")
	return a
}

// NotAwaited returns the edits that a run makes or waits for.
func NotAwaited(edits []Edit) []Edit {
	return slices.DeleteFunc(slices.Clone(edits), func(e Edit) bool { return e.Awaits != "" })
}

// Awaiting returns the instruction to a person for an edit with Awaits: "awaiting
// signature: sign …".
func (e Edit) Awaiting() string { return "awaiting " + e.Awaits + ": " + e.Hint }
