package plan

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/foreach"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// An envelope is a step as written, by its keys.
type envelope map[string]*yaml.Node

// An entry is an item of steps in the plan: one step, or with forEach its instances.
type entry struct {
	index  int // in steps, as written
	id     string
	parts  envelope
	each   bool // it has forEach
	failed bool // forEach could not be read: the keys are not known
	steps  []*Step
}

func (l *loader) readEntry(i int, n *yaml.Node) {
	parts, unknown := split(n, stepKeys)
	e := &entry{index: i, parts: parts, each: parts["forEach"] != nil}
	subject := fmt.Sprintf("steps[%d]", i)
	at := l.plan.position(n)
	if parts["id"] == nil {
		l.problem(n, "add id: …", "%s: id is missing", subject)
	} else if id := l.text(parts["id"], subject+".id"); id != "" || spec.IsText(parts["id"]) {
		first := l.plan.entries[id]
		switch {
		case !identifier(id):
			l.problem(parts["id"], identifierHint, "%s: %q is not an id", subject, id)
		case first != nil:
			l.problem(parts["id"], "give one of them another id", "step %s: another step has this id, in line %d", id, first.steps[0].Position.Line)
		default:
			l.plan.entries[id] = e
		}
		if identifier(id) {
			e.id = id
		}
	}
	if e.id != "" {
		subject = "step " + e.id
	}
	var kind *engine.Kind
	if parts["uses"] == nil {
		l.problem(n, "the kinds are "+source.Listed(l.kindNames), "%s: uses is missing", subject)
	} else if name := l.text(parts["uses"], subject+": uses"); name != "" || spec.IsText(parts["uses"]) {
		if kind = l.kinds[name]; kind == nil {
			l.problem(parts["uses"], source.Suggestion(name, l.kindNames, "the kinds are "), "%s: there is no kind %q", subject, name)
		}
	}
	for _, key := range unknown {
		hint := source.Suggestion(key.Value, stepKeys, "a step has ")
		if kind != nil {
			if best := source.Closest(key.Value, l.plan.types.Of(kind.Spec).Names()); strings.EqualFold(best, key.Value) {
				hint = fmt.Sprintf("%s is an input: write it below with", best)
			}
		}
		l.problem(key, hint, "%s: unknown key %q", subject, key.Value)
	}
	l.addSteps(e, &Step{plan: l.plan, entry: e, ID: e.id, Kind: kind, Node: n, Position: at}, subject)
}

// addSteps adds the steps of an entry, which are like one: that itself, or its instances.
func (l *loader) addSteps(e *entry, like *Step, subject string) {
	add := func(s Step) {
		s.Index = len(l.plan.Steps)
		e.steps = append(e.steps, &s)
		l.plan.Steps = append(l.plan.Steps, &s)
		if l.plan.entries[e.id] == e {
			l.plan.byID[s.ID] = &s
			l.plan.ids = append(l.plan.ids, s.ID)
		}
	}
	if !e.each {
		add(*like)
		return
	}
	like.Group = e.id
	items, ok := foreach.Read(l.decoder(&scope{noSteps: foreach.NoOutputs}, subject), e.parts["forEach"])
	if e.failed = !ok; e.failed || len(items) == 0 {
		like.Empty = ok
		add(*like)
		return
	}
	if l.plan.entries[e.id] == e {
		l.plan.ids = append(l.plan.ids, e.id)
	}
	for _, item := range items {
		s := *like
		s.ID, s.item = keypath.String([]keypath.Elem{keypath.Key(e.id), item.Key}), item
		add(s)
	}
}

// itemKnown reports whether the step has an item if it needs one.
func (s *Step) itemKnown() bool { return s.Group == "" || s.item != nil }

// outputPath returns the part of a path, which begins with the id of a step of this entry,
// that leads to an output.
func (e *entry) outputPath(path []keypath.Elem) []keypath.Elem {
	if e.each {
		return path[2:]
	}
	return path[1:]
}

// referred returns the one step that a reference is about.
func (p *Plan) referred(ref *spec.Reference) (*Step, *spec.Fault) {
	id := ref.Path[0].Name
	e := p.entries[id]
	switch {
	case e == nil:
		return nil, fault(p.suggestStep(id), "%s: there is no step %q", ref.Raw, id)
	case !e.each:
		return e.steps[0], nil
	case len(ref.Path) < 2 || !ref.Path[1].IsIndex():
		hint := fmt.Sprintf("write ${steps.%s[each.key].NAME} in a step with the same forEach", id)
		if first := e.steps[0]; first.item != nil {
			hint = fmt.Sprintf("write ${steps.%s.NAME} for one of them, and %s", first.ID, strings.TrimPrefix(hint, "write "))
		}
		return nil, fault(hint, "%s: step %s has forEach: which of its instances is meant?", ref.Raw, id)
	}
	return p.instance(ref.Raw, e, ref.Path[1])
}

// instance returns the step of an entry with forEach that an index names.
func (p *Plan) instance(raw string, e *entry, index keypath.Elem) (*Step, *spec.Fault) {
	if e.failed {
		return nil, reported
	}
	id := keypath.String([]keypath.Elem{keypath.Key(e.id), index})
	if s := p.byID[id]; s != nil && s.entry == e {
		return s, nil
	}
	if e.steps[0].Empty {
		return nil, fault("", "%s: there is no step %s: forEach of %s is empty", raw, id, e.id)
	}
	ids := make([]string, len(e.steps))
	for i, s := range e.steps {
		ids[i] = s.ID
	}
	return nil, fault(p.suggest(id, ids, "its instances are "), "%s: there is no step %s: forEach has no such key", raw, id)
}

func (l *loader) needs(s *Step, n *yaml.Node, subject string) {
	if source.IsNull(n) {
		return
	}
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	for _, item := range items {
		id := l.text(item, subject+": needs")
		if id == "" && !spec.IsText(item) {
			continue
		}
		steps, bad := l.needed(s, item, id, subject)
		if bad != nil {
			if bad != reported {
				l.problem(item, bad.Hint, "%s: needs: %s", subject, bad.Message)
			}
			continue
		}
		for _, to := range steps {
			if l.edge(s, to, Edge{Position: l.plan.position(item)}) {
				s.Explicit = append(s.Explicit, to.ID)
			}
		}
	}
}

// needed returns the steps that an id in needs names: one, or all instances of one with
// forEach.
func (l *loader) needed(s *Step, item *yaml.Node, id, subject string) ([]*Step, *spec.Fault) {
	ref, ok := spec.ParseID(id)
	if ok {
		d := l.decoder(&scope{step: s, noSteps: "which steps are needed is known before any step runs"}, subject+": needs")
		if ref, ok = d.Indexed(item, ref); !ok {
			return nil, reported
		}
	}
	var e *entry
	if ok {
		e = l.plan.entries[ref.Path[0].Name]
	}
	switch {
	case e == nil || len(ref.Path) > 2 || len(ref.Path) == 2 && !(e.each && ref.Path[1].IsIndex()):
		return nil, fault(l.plan.suggestStep(id), "there is no step %q", id)
	case e == s.entry:
		return nil, fault("", "a step cannot need itself")
	case len(ref.Path) == 1:
		return e.steps, nil
	}
	to, bad := l.plan.instance(id, e, ref.Path[1])
	if bad != nil {
		return nil, bad
	}
	return []*Step{to}, nil
}
