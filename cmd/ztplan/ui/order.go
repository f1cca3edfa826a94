package ui

import "github.com/ztplan/ztplan/engine"

// InOrder returns a reader of events that hands them on step by step, in the
// order in which the plan has the steps, whatever the order in which they were
// done: two dry runs that find the same print the same. A step's events come
// together, when it and all steps before it are done.
func InOrder(next func(engine.Event)) func(engine.Event) {
	o := &inOrder{next: next, kept: make(map[string][]engine.Event), done: make(map[string]bool)}
	return o.event
}

type inOrder struct {
	next    func(engine.Event)
	order   []string // steps whose turn is still to come
	kept    map[string][]engine.Event
	done    map[string]bool
	proving string // the proof that lists its changes; nothing ends it
}

func (o *inOrder) event(e engine.Event) {
	if o.proving != "" && e.Step != o.proving {
		o.done[o.proving], o.proving = true, ""
		o.flush()
	}
	switch e.Action {
	case engine.ActionPlan:
		o.order = append(o.order, e.Step)
		o.next(e)
		return
	case engine.ActionEnd:
		for _, id := range o.order {
			o.done[id] = true
		}
		o.flush()
		o.next(e)
		return
	}
	if e.Step == "" {
		o.next(e)
		return
	}
	o.kept[e.Step] = append(o.kept[e.Step], e)
	switch e.Action {
	case engine.ActionWould:
		o.proving = e.Step
	case engine.ActionUnchanged, engine.ActionChanged, engine.ActionProved, engine.ActionAwaiting, engine.ActionPending,
		engine.ActionAfter, engine.ActionSkip, engine.ActionFail:
		o.done[e.Step] = true
		o.flush()
	}
}

func (o *inOrder) flush() {
	for len(o.order) > 0 && o.done[o.order[0]] {
		id := o.order[0]
		o.order = o.order[1:]
		for _, e := range o.kept[id] {
			o.next(e)
		}
		delete(o.kept, id)
	}
}
