package run

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/ztplan/ztplan/engine"
)

// A ledger is what the steps of a run wrote, by its leaves. A step that wants one
// of another step otherwise would be undone by it in the next run.
type ledger struct {
	mu     sync.Mutex
	leaves map[string]leaf
}

type leaf struct {
	step string
	want any
}

// check returns an error if e changes what another step wrote in this run, or
// takes it away. That it brings back what something else changed is fine.
func (l *ledger) check(step, server string, e engine.Edit) error {
	want := leavesOf(server, e.Path, e.Want)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, side := range []map[string]any{want, leavesOf(server, e.Path, e.Have)} {
		for path := range side {
			before, ok := l.leaves[path]
			if now, stays := want[path]; ok && before.step != step && !(stays && reflect.DeepEqual(now, before.want)) {
				return engine.WithHint(
					engine.Permanent(fmt.Errorf("step %s wrote it in this run, and step %s wants it otherwise", before.step, step)),
					"each of the two would undo the other in every run: leave it to one of them, or write the same in both")
			}
		}
	}
	return nil
}

// add takes note of an edit that was applied.
func (l *ledger) add(step, server string, e engine.Edit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leaves == nil {
		l.leaves = make(map[string]leaf)
	}
	for path, want := range leavesOf(server, e.Path, e.Want) {
		l.leaves[path] = leaf{step, want}
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
