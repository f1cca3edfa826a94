package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

// writableOf returns the edits that can be applied.
func writableOf(edits []engine.Edit) []engine.Edit {
	return slices.DeleteFunc(slices.Clone(edits), func(e engine.Edit) bool { return e.Apply == nil })
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

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errTimeout)
}

// noCause reports whether a context was ended without a cause of its own. A
// cause may well wrap the end of another context, so that it is not asked with
// errors.Is.
func noCause(cause error) bool {
	return cause == context.Canceled || cause == context.DeadlineExceeded
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
