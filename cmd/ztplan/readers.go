package main

import (
	"fmt"

	"github.com/ztplan/ztplan/engine"
)

// readers hands the events of a run to their readers, which all serve people or
// later evidence. One that panics is left out from then on: the run must not be cut
// off in the middle of an edit because of it.
type readers struct {
	list []func(engine.Event)
	say  func(string)
	err  error // the first panic
}

func (r *readers) Event(e engine.Event) {
	for i, read := range r.list {
		if read == nil {
			continue
		}
		if err := engine.Try(func() error { read(e); return nil }); err != nil {
			r.list[i] = nil
			if r.err == nil {
				r.err = err
			}
			r.say(fmt.Sprintf("ztplan: an output of the run is not complete: %v%s", err, engine.HintOf(err)))
		}
	}
}
