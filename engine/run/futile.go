package run

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/diff"
)

// futile holds the edits, by path, that were applied without an error, while every
// look since finds an edit of the same path. An edit that is wanted again exactly
// as it was applied did not help: it is not sent again, because the changed object
// may be at work, and every further change restarts it. Confirmed edits are never futile.
type futile map[string]engine.Edit

// keep forgets the edits whose paths are not among those of a look.
func (f futile) keep(edits []engine.Edit) {
	there := make(map[string]bool, len(edits))
	for _, e := range edits {
		there[e.Path] = true
	}
	for path := range f {
		if !there[path] {
			delete(f, path)
		}
	}
}

// add takes up an edit that was applied.
func (f futile) add(e engine.Edit) {
	if !e.Confirmed {
		f[e.Path] = e
	}
}

// has reports whether the same edit was applied already.
func (f futile) has(e engine.Edit) bool {
	applied, ok := f[e.Path]
	return ok && reflect.DeepEqual(applied.Have, e.Have) && reflect.DeepEqual(applied.Want, e.Want)
}

// undone is the error for a confirmed edit that is wanted again after each of the rounds.
func undone(e engine.Edit, rounds int) error {
	return engine.WithHint(fmt.Errorf("%s was made %v %d times, and is %v again", e.Path, e.Want, rounds, e.Have),
		"each time it was seen to take effect, and something has undone it since: look at the log of the server, and at its restarts")
}

// didNotHelp is the error for an edit that was applied and is wanted again.
func didNotHelp(e engine.Edit) error {
	text := "still differs after the change was made"
	const most = 3
	var fields []string
	for _, l := range diff.Leaves(e.Have, e.Want) {
		if l.Path != "" {
			fields = append(fields, l.Path)
		}
	}
	if more := len(fields) - most; more > 0 {
		fields = append(fields[:most], fmt.Sprintf("%d more", more))
	}
	if len(fields) > 0 {
		text += ": " + strings.Join(fields, ", ")
	}
	return engine.WithHint(errors.New(text),
		"it is not made again in this run: something changes it back or removes it, or the server stores it differently; compare what is there with what the plan asks for")
}
