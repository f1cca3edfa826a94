package run

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/ztplan/ztplan/engine"
)

// A ledger holds the values that the steps of a run wrote, by path. A step that wants one
// of another step otherwise would be undone by it in the next run.
type ledger struct {
	mu     sync.Mutex
	leaves map[string]leaf
}

type leaf struct {
	step string
	want any
}

// check returns an error if e, or one of its parts, changes a value that another step
// wrote in this run, or takes it away. It may bring back a value that something else
// changed.
func (l *ledger) check(step, server string, e engine.Edit) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, part := range append([]engine.Edit{e}, e.Parts...) {
		if before := l.undoes(step, server, part); before != "" {
			subject := part.Path
			if i == 0 {
				subject = "it"
			}
			return engine.WithHint(
				engine.Permanent(fmt.Errorf("step %s wrote %s in this run, and step %s wants it otherwise", before, subject, step)),
				engine.TwoOwners)
		}
	}
	return nil
}

// undoes returns the step, other than step, whose work e undoes; "" if none.
func (l *ledger) undoes(step, server string, e engine.Edit) string {
	if e.Want == nil { // all below it goes
		for path, before := range l.leaves {
			if before.step != step && engine.Below(path, server+" "+e.Path) {
				return before.step
			}
		}
		return ""
	}
	want := leavesOf(server, e.Path, e.Want)
	for _, side := range []map[string]any{want, leavesOf(server, e.Path, e.Have)} {
		for path := range side {
			before, ok := l.leaves[path]
			if now, stays := want[path]; ok && before.step != step && !(stays && reflect.DeepEqual(now, before.want)) {
				return before.step
			}
		}
	}
	return ""
}

// add takes note of an edit that was applied.
func (l *ledger) add(step, server string, e engine.Edit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leaves == nil {
		l.leaves = make(map[string]leaf)
	}
	for _, part := range append([]engine.Edit{e}, e.Parts...) {
		for path, want := range leavesOf(server, part.Path, part.Want) {
			l.leaves[path] = leaf{step, want}
		}
	}
}

// leavesOf returns the values in v, which is at a path of a server, by their own
// paths.
func leavesOf(server, path string, v any) map[string]any {
	out := make(map[string]any)
	var walk func(string, any)
	walk = func(path string, v any) {
		m, is := v.(map[string]any)
		if !is {
			out[path] = v
			return
		}
		for key, v := range m {
			walk(path+"/"+key, v)
		}
	}
	if v != nil {
		walk(server+" "+path, v)
	}
	return out
}
