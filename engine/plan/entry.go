package plan

import (
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/document"
	"github.com/ztplan/ztplan/engine/plan/foreach"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// An envelope is a step as written, by its keys.
type envelope map[string]*yaml.Node

// An entry is an item of steps in a document: one step or a fragment, or with forEach its
// instances.
type entry struct {
	unit   *unit
	index  int // in steps, as written
	id     string
	node   *yaml.Node
	parts  envelope
	each   bool           // it has forEach
	failed bool           // forEach, or the fragment, could not be read
	steps  []*Step        // all of them, those of fragments included
	units  []*unit        // of an entry that includes a fragment
	at     map[string]int // in steps or units, by the id of the instance within the document
}

func (e *entry) includes() bool { return e.parts["include"] != nil }

// listed reports whether the entry has an id, which no earlier one of the document has.
func (e *entry) listed() bool { return e.unit.entries[e.id] == e }

// subject begins the problems with the entry.
func (e *entry) subject() string {
	if e.id == "" {
		return fmt.Sprintf("steps[%d]", e.index)
	}
	return "step " + e.unit.full(e.id)
}

func (l *loader) readEntry(u *unit, i int, n *yaml.Node) {
	parts, unknown := document.Split(n, document.StepKeys)
	meant := document.TakeMeant(parts, unknown, document.StepKeys)
	e := &entry{unit: u, index: i, node: n, parts: parts, each: parts["forEach"] != nil || meant["forEach"]}
	if parts["id"] != nil || !meant["id"] {
		l.entryID(e)
	}
	l.about(u, u.full(e.id), e.id)
	defer l.about(u, "", "")
	var kind *engine.Kind
	switch {
	case e.includes():
	case parts["uses"] == nil && meant["uses"]:
	case parts["uses"] == nil:
		u.Problem(n, "the kinds are "+source.Listed(l.kindNames), "%s: uses is missing", e.subject())
	default:
		name := u.Text(parts["uses"], e.subject()+": uses")
		if kind = l.kinds[name]; kind == nil && source.IsText(parts["uses"]) {
			u.Problem(parts["uses"], source.Suggestion(name, l.kindNames, "the kinds are "), "%s: there is no kind %q", e.subject(), name)
		}
	}
	for _, key := range unknown {
		hint := source.KeyHint(key.Value, document.StepKeys, "a step has ")
		if kind != nil {
			if best := source.Closest(key.Value, l.plan.types.Of(kind.Spec).Names()); strings.EqualFold(best, key.Value) {
				hint = fmt.Sprintf("%s is an input: write it below with", best)
			}
		}
		u.Problem(key, hint, "%s: unknown key %q", e.subject(), key.Value)
	}
	if e.includes() {
		l.include(e)
		return
	}
	for _, in := range l.instances(e) {
		s := &Step{plan: l.plan, entry: e, ID: in.id, Kind: kind, Node: n, Position: u.place(n), Empty: in.empty, item: in.item}
		if s.ID != e.id {
			s.Group = e.id
		}
		l.addStep(e, s, in.group)
	}
}

// entryID reads the id of an entry.
func (l *loader) entryID(e *entry) {
	u, n := e.unit, e.parts["id"]
	subject := e.subject()
	if n == nil {
		u.Problem(e.node, "add id: …", "%s: id is missing", subject)
		return
	}
	id := u.Text(n, subject+".id")
	if !source.IsText(n) {
		return
	}
	first := u.entries[id]
	switch {
	case !document.IsID(id):
		u.Problem(n, document.IDHint, "%s: %q is not an id", subject, id)
		return
	case first != nil:
		u.Problem(n, "give one of them another id", "step %s: another step has this id, in line %d", u.full(id), first.node.Line)
	default:
		u.entries[id] = e
	}
	e.id = id
}

// An instance is an entry itself, or one item of its forEach.
type instance struct {
	id, group string // as the plan has it; group is without keys
	item      *foreach.Item
	vague     bool // there is no item: see [unit]
	empty     bool
}

// instances returns the instances of an entry, and adds their ids. There is one at least.
func (l *loader) instances(e *entry) []instance {
	u := e.unit
	like := instance{id: u.full(e.id), group: strings.TrimPrefix(u.group+"."+e.id, "."), vague: u.vague, empty: u.empty}
	e.at = make(map[string]int)
	listed := e.listed()
	add := func(local string) {
		if listed {
			e.at[local] = len(e.at)
			u.ids = append(u.ids, local)
		}
	}
	if !e.each {
		add(e.id)
		return []instance{like}
	}
	sc := &scope{unit: u, noSteps: foreach.NoOutputs}
	var items []*foreach.Item
	ok := false
	if e.parts["forEach"] != nil { // else the key that stands for it was reported
		items, ok = foreach.Read(l.decoder(sc, e.subject()), e.parts["forEach"])
	}
	if e.failed = !ok; e.failed || len(items) == 0 {
		like.vague, like.empty = true, ok || u.empty
		add(e.id)
		return []instance{like}
	}
	if listed {
		u.ids = append(u.ids, e.id)
	}
	out := make([]instance, len(items))
	for i, item := range items {
		local := keypath.String([]keypath.Elem{keypath.Key(e.id), item.Key})
		add(local)
		out[i] = like
		out[i].id, out[i].item = u.full(local), item
	}
	return out
}

// addStep adds a step of an entry to the plan. group is its id without keys.
func (l *loader) addStep(e *entry, s *Step, group string) {
	p := l.plan
	s.Index = len(p.Steps)
	p.Steps = append(p.Steps, s)
	listed := true
	for in := e; in != nil; in = in.unit.entry {
		in.steps = append(in.steps, s)
		listed = listed && in.listed()
	}
	if !listed {
		return
	}
	p.byID[s.ID] = s
	for _, u := range e.unit.around() {
		p.among(u.parent.full(u.entry.id), s)
		p.among(u.id, s)
	}
	p.among(e.unit.full(e.id), s)
	p.among(group, s)
	p.name(s.ID)
}

// name adds an id that selects steps.
func (p *Plan) name(id string) {
	if !p.named[id] {
		p.named[id] = true
		p.ids = append(p.ids, id)
	}
}

// among adds a step to those that an id selects.
func (p *Plan) among(id string, s *Step) {
	list := p.groups[id]
	if id == s.ID || len(list) > 0 && list[len(list)-1] == s {
		return
	}
	p.groups[id] = append(list, s)
	p.name(id)
}

// known reports whether the step has an item if it needs one.
func (s *Step) known() bool { return !s.entry.unit.vague && (!s.entry.each || s.item != nil) }

// instance returns which instance of the entry a reference is about.
func (e *entry) instance(ref *syntax.Reference) (int, *spec.Fault) {
	switch {
	case e.failed:
		return 0, reported
	case !e.each:
		return 0, nil
	case len(ref.Path) < 2 || !ref.Path[1].IsIndex():
		hint := fmt.Sprintf("write ${steps.%s[each.key].NAME} in a step with the same forEach", e.id)
		if ids := e.ids(); ids[0] != e.id {
			hint = fmt.Sprintf("write ${steps.%s.NAME} for one of them, and %s", ids[0], strings.TrimPrefix(hint, "write "))
		}
		return 0, fault(hint, "%s: step %s has forEach: which of its instances is meant?", ref.Raw, e.id)
	}
	id := keypath.String([]keypath.Elem{keypath.Key(e.id), ref.Path[1]})
	if i, ok := e.at[id]; ok {
		return i, nil
	}
	ids := e.ids()
	if ids[0] == e.id {
		return 0, fault("", "%s: there is no step %s: forEach of %s is empty", ref.Raw, id, e.id)
	}
	hint := "its instances are " + source.Listed(ids)
	if strings.Contains(ref.Raw, strconv.Quote(ref.Path[1].Name)) { // not the key of an item, or an index
		hint = e.unit.suggest(id, ids, "its instances are ")
	}
	return 0, fault(hint, "%s: there is no step %s: forEach has no such key", ref.Raw, id)
}

// ids returns the ids of the instances within the document, in their order.
func (e *entry) ids() []string {
	out := make([]string, len(e.at))
	for id, i := range e.at {
		out[i] = id
	}
	return out
}

// needed returns the steps that n, the value of needs, names for an entry: sc has its item.
func (l *loader) needed(sc *scope, n *yaml.Node, subject string) (out []need) {
	if source.IsNull(n) {
		return nil
	}
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	u := sc.entry.unit
	for _, item := range items {
		if item.Kind == yaml.MappingNode {
			u.Problem(item, "write the ids of steps: needs: [a, b]", "%s: needs: want text, have a mapping", subject)
			continue
		}
		id := u.Text(item, subject+": needs")
		if !source.IsText(item) {
			continue
		}
		steps, bad := l.neededBy(sc, item, id, subject)
		if bad == nil {
			out = append(out, need{steps, u.place(item)})
		} else if bad != reported {
			u.Problem(item, bad.Hint, "%s: needs: %s", subject, bad.Message)
		}
	}
	return out
}

// neededBy returns the steps that an id in needs names: those of one entry, or of an
// instance of it.
func (l *loader) neededBy(sc *scope, item *yaml.Node, id, subject string) ([]*Step, *spec.Fault) {
	isStep := func(id string) bool { return sc.entry.unit.entries[id] != nil }
	if written := syntax.MeantID(id, isStep); written != "" {
		return nil, fault("write "+written+": needs holds ids of steps, and no references", "%q is not the id of a step", id)
	}
	ref, ok := syntax.ParseID(id)
	if ok {
		known := &scope{unit: sc.entry.unit, entry: sc.entry, item: sc.item, noSteps: "which steps are needed is known before any step runs"}
		if ref, ok = l.decoder(known, subject+": needs").Indexed(item, ref); !ok {
			return nil, reported
		}
	}
	var e *entry
	if ok {
		e = sc.entry.unit.entries[ref.Path[0].Name]
	}
	switch {
	case e != nil && e.includes() && len(ref.Path) > 1 && !ref.Path[len(ref.Path)-1].IsIndex():
		return nil, fault("a fragment is needed as a whole; a reference to an output of it needs the step that has the output", "%s is a step within a fragment", id)
	case e == nil:
		bad := sc.entry.unit.noStep("needs", id)
		return nil, fault(bad.Hint, "there is no step %q", id)
	case len(ref.Path) > 2 || len(ref.Path) == 2 && !(e.each && ref.Path[1].IsIndex()):
		return nil, fault(sc.entry.unit.suggestStep(id), "there is no step %q", id)
	case e == sc.entry:
		return nil, fault("", "a step cannot need itself")
	case len(ref.Path) == 1:
		return e.steps, nil
	}
	i, bad := e.instance(ref)
	switch {
	case bad != nil:
		return nil, bad
	case !e.includes():
		return e.steps[i : i+1], nil
	}
	return l.plan.groups[e.units[i].id], nil
}
