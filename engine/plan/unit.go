package plan

import (
	"cmp"
	"path/filepath"
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/foreach"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/syntax"
	"github.com/ztplan/ztplan/engine/plan/vars"
)

// A unit is a document with steps, which have its variables and each other as their names:
// the plan, or a fragment as one entry includes it.
type unit struct {
	source.Reporter // Add is for the loader
	plan            *Plan
	dir             string // of the document, relative to that of the plan; "" for the plan
	vars            *vars.Set
	entries         map[string]*entry
	ids             []string // of entries and their instances, as references within the document have them

	// Of a fragment:

	parent   *unit         // with the entry that includes it
	entry    *entry        // that includes it
	item     *foreach.Item // of the entry's forEach
	file     *fragment
	id       string // of the entry or of its instance: shop, apps["shop"]
	group    string // that id without keys
	keyed    bool   // the id has a key
	vague    bool   // it stands for instances that there are not, or that are not known
	empty    bool   // it stands for instances that there are not
	depth    int
	included string             // where, for problems
	passed   map[string]*passed // by variable
	outputs  map[string]*syntax.Reference
	needs    []need
}

// A passed output is one that an entry gives to a variable of a fragment.
type passed struct {
	node *yaml.Node
	ref  *syntax.Reference // in the parent unit: to an output, or to a variable that is passed one

	faulty bool // it has a problem, which was reported
}

// A need is one id that needs has, and the steps that it names.
type need struct {
	steps    []*Step
	position source.Position
}

// full returns an id within the document as the plan has it.
func (u *unit) full(id string) string {
	if u.id == "" || id == "" {
		return id
	}
	return u.id + "." + id
}

// place returns where a node of a step is: in the document, or among the plan's connections.
func (u *unit) place(n *yaml.Node) source.Position {
	if u.plan.connected[n] {
		return u.plan.src.Place(n)
	}
	return u.File.Place(n)
}

// fileOf resolves a path that the document names. The name of the file is relative to the
// directory of the plan, so that it names one file in the plan as a whole.
func (u *unit) fileOf(name string) engine.File {
	if u.dir != "" && name != "" && !filepath.IsAbs(name) {
		name = filepath.Join(u.dir, name)
	}
	return u.plan.file(name)
}

// around returns the units of fragments around an entry of this one, the outermost first.
func (u *unit) around() []*unit {
	var out []*unit
	for ; u.parent != nil; u = u.parent {
		out = append(out, u)
	}
	slices.Reverse(out)
	return out
}

// A target is an output of a step: all of them if the path is empty.
type target struct {
	step *Step
	path []keypath.Elem
}

// typeIn returns the type of the output.
func (to target) typeIn(types *spec.Types, ref *syntax.Reference) (reflect.Type, *spec.Fault) {
	by := spec.Producer{Step: to.step.ID, Entry: to.step.entry.unit.full(to.step.entry.id), Kind: to.step.Kind.Name}
	return types.OutputType(to.step.Kind.Outputs, ref, to.path, by)
}

// target returns the output that a reference of the document is about.
func (u *unit) target(ref *syntax.Reference) (to target, _ *spec.Fault) {
	id := ref.Path[0].Name
	e := u.entries[id]
	if e == nil {
		return to, u.noStep(ref.Raw, id)
	}
	i, bad := e.instance(ref)
	if bad != nil {
		return to, bad
	}
	path := ref.Path[1:]
	if e.each {
		path = path[1:]
	}
	if e.includes() {
		return e.units[i].output(ref.Raw, path)
	}
	return target{e.steps[i], path}, nil
}

// noStep is the fault of a reference to a step that the document does not have.
func (u *unit) noStep(raw, id string) *spec.Fault {
	hint := u.suggestStep(id)
	for p := u.parent; p != nil; p = p.parent {
		if p.entries[id] != nil {
			hint = "a fragment sees its own steps only: declare a variable, and pass the output below with of the entry that includes it"
		}
	}
	return fault(hint, "%s: there is no step %q", raw, id)
}

// output returns the output of a step that an output of the fragment is.
func (u *unit) output(raw string, path []keypath.Elem) (to target, _ *spec.Fault) {
	names := source.Keys(cmp.Or(u.file.parts["outputs"], new(yaml.Node)))
	if len(path) == 0 {
		hint := "its outputs are " + source.Listed(names)
		if len(names) == 0 {
			hint = "it has none: add outputs to " + u.File.Name
		}
		return to, fault(hint, "%s names a fragment and no output of it", raw)
	}
	ref, known := u.outputs[path[0].Name]
	if !known {
		hint := source.Suggestion(path[0].Name, names, "its outputs are ")
		return to, fault(cmp.Or(hint, "add outputs to it"), "%s: fragment %s has no output %q", raw, u.File.Name, keypath.String(path[:1]))
	}
	if ref == nil {
		return to, reported
	}
	return u.target(&syntax.Reference{Raw: raw, Root: ref.Root, Path: append(slices.Clone(ref.Path), path[1:]...)})
}

// suggestStep is a suggestion for the id of a step. A plan of thousands of steps
// with thousands of mistakes gets suggestions for the first of them only: comparing
// each with each would take longer than reading it.
func (u *unit) suggestStep(written string) string { return u.suggest(written, u.ids, "the steps are ") }

func (u *unit) suggest(written string, ids []string, intro string) string {
	const most = 1_000_000
	if l := u.plan.loading; l != nil {
		if l.compared += len(ids); l.compared > most+len(ids) {
			return ""
		}
	}
	return source.Suggestion(written, ids, intro)
}
