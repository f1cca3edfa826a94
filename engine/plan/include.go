package plan

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/document"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/syntax"
	"github.com/ztplan/ztplan/engine/plan/vars"
)

// Bounds of a plan with its fragments: fragments that include each other multiply.
const (
	maxDepth = 10
	maxUses  = 10_000
	maxSteps = 100_000
)

// A fragment is the document of a fragment, read once for all entries that include it.
type fragment struct {
	engine.File
	src   *source.File
	parts map[string]*yaml.Node
	sound bool // its steps can be read
}

// include reads the fragment of an entry, and its steps once for each instance.
func (l *loader) include(e *entry) {
	u, subject := e.unit, e.subject()
	for _, key := range []string{"uses", "timeout", "retry"} {
		if e.parts[key] == nil {
			continue
		}
		hint := "write it at the steps of the fragment"
		if key == "uses" {
			hint = "an entry is a step, with uses, or a fragment, with include"
		}
		k, _ := source.Lookup(e.node, key)
		u.Problem(k, hint, "%s: %s and include exclude each other", subject, key)
	}
	f := l.fragment(e)
	instances := l.instances(e)
	if f == nil || !f.sound {
		e.failed = true
		return
	}
	for _, in := range instances {
		if len(l.plan.Steps) > maxSteps || len(l.units) == maxUses {
			if !l.full {
				u.Problem(e.parts["include"], "include fewer fragments in each other",
					"%s: more than %d steps, or %d fragments, are included", subject, maxSteps, maxUses)
			}
			l.full, e.failed = true, true
			return
		}
		l.use(e, f, in)
	}
}

// fragment reads the document that an entry includes; nil if that is not possible.
func (l *loader) fragment(e *entry) *fragment {
	u, n, subject := e.unit, e.parts["include"], e.subject()
	name := u.Text(n, subject+": include")
	switch {
	case name == "":
		return nil
	case strings.Contains(name, "${"):
		u.Problem(n, "write the path of a file; when: chooses between two entries", "%s: include: a path cannot hold references", subject)
		return nil
	case u.depth == maxDepth:
		u.Problem(n, "", "%s: include: fragments include each other more than %d deep", subject, maxDepth)
		return nil
	}
	file := u.fileOf(name)
	chain := []string{file.Name}
	for in := u; in.parent != nil; in = in.parent {
		if chain = append(chain, in.file.Name); in.file.Path == file.Path {
			slices.Reverse(chain)
			u.Problem(n, "", "%s: include: fragments include each other in a circle: %s", subject, strings.Join(chain, " -> "))
			return nil
		}
	}
	f := l.plan.fragments[file.Path]
	if f == nil {
		data, err := file.Read()
		if err != nil {
			l.unreadable(e, file, err)
			return nil
		}
		f = &fragment{File: file, src: source.NewFile(l.beside(file), data)}
		l.plan.fragments[file.Path] = f
		l.AddFile(f.src)
		f.parts, f.sound = document.ParseFragment(f.src, l.Add)
	}
	return f
}

// unreadable reports that the file of a fragment cannot be read.
func (l *loader) unreadable(e *entry, file engine.File, err error) {
	u, n := e.unit, e.parts["include"]
	hint := ""
	if errors.Is(err, fs.ErrNotExist) {
		hint = "the path is relative to the directory of " + u.File.Name
		if best := source.ClosestFile(file.Path); best != "" {
			hint = fmt.Sprintf("did you mean %q?", filepath.ToSlash(filepath.Join(filepath.Dir(n.Value), best)))
		}
	}
	u.Problem(n, hint, "%s: include: file %q: %v", e.subject(), file.Name, source.Unread(err))
}

// beside returns the name of a file as messages give it: one that is found from where the
// user named the plan.
func (l *loader) beside(file engine.File) string {
	if filepath.IsAbs(file.Name) {
		return file.Name
	}
	return filepath.Join(filepath.Dir(l.plan.File), file.Name)
}

// use reads the steps of a fragment for an instance of the entry that includes it.
func (l *loader) use(e *entry, f *fragment, in instance) {
	parent := e.unit
	at := parent.place(e.parts["include"])
	u := &unit{
		Reporter: source.Reporter{File: f.src, Add: l.Add}, plan: l.plan, dir: filepath.Dir(f.Name), entries: make(map[string]*entry),
		parent: parent, entry: e, item: in.item, file: f, id: in.id, group: in.group, keyed: parent.keyed || in.item != nil,
		vague: in.vague, empty: in.empty, depth: parent.depth + 1, included: "included at " + at.String(),
		passed: make(map[string]*passed), outputs: make(map[string]*syntax.Reference),
	}
	if parent.included != "" {
		u.included += ", " + parent.included
	}
	e.units = append(e.units, u)
	l.units = append(l.units, u)
	u.vars = l.variables(u)
	u.vars.ForFragment()
	l.about(u, "", "")
	u.vars.Declare(f.parts["vars"])
	l.about(parent, u.id, e.id)
	l.give(u)
	l.about(u, u.id, e.id)
	u.vars.Resolve()
	l.about(u, "", "")
	l.readSteps(u, f.parts["steps"])
	for key, n := range source.Pairs(cmp.Or(f.parts["outputs"], new(yaml.Node))) {
		l.readOutput(u, key, n)
	}
	l.about(parent, "", "")
}

// alone reads a fragment that is the document.
func (l *loader) alone() {
	u := l.plan.unit
	l.plan.Fragment = true
	parts, sound := document.ReadFragment(l.plan.root, u.Reporter)
	u.file, u.outputs = &fragment{src: u.File, parts: parts}, make(map[string]*syntax.Reference)
	l.kindsByName()
	u.vars.ForFragment()
	u.vars.Declare(parts["vars"])
	u.vars.Missing()
	l.plan.Vars = u.vars.Resolve()
	if sound {
		l.readSteps(u, parts["steps"])
	}
	for key, n := range source.Pairs(cmp.Or(parts["outputs"], new(yaml.Node))) {
		l.readOutput(u, key, n)
	}
	l.steps()
	l.scanOutputs(u)
}

// variables returns the variables of a document, of which none is read.
func (l *loader) variables(u *unit) *vars.Set {
	return vars.New(u.File, l.Collector, func(subject string, report func(*source.Problem)) *spec.Decoder {
		return l.plan.decoder(&scope{unit: u, noSteps: "variables have their values before any step runs"}, subject, report)
	})
}

// give gives the variables of a fragment the values that its entry has below with.
func (l *loader) give(u *unit) {
	parent, with, subject := u.parent, u.entry.parts["with"], "step "+u.id+": with"
	if !source.IsNull(with) && with.Kind != yaml.MappingNode {
		parent.Problem(with, "write with: {name: value}", "%s: want a mapping, have %s", subject, source.Describe(with))
		with = nil
	}
	for key, n := range source.Pairs(cmp.Or(with, new(yaml.Node))) {
		if _, _, ok := u.vars.Declared(key.Value); !ok {
			parent.Problem(key, source.Suggestion(key.Value, u.vars.Names(), "its variables are "), "%s: fragment %s has no variable %q", subject, u.File.Name, key.Value)
		} else {
			l.giveValue(u, key.Value, n, subject+"."+key.Value)
		}
	}
	for _, name := range u.vars.Missing() {
		at := cmp.Or(with, u.entry.node)
		parent.Problem(at, fmt.Sprintf("add %s: … below with", name), "%s: %s is missing: fragment %s has no default for it", subject, name, u.File.Name)
	}
}

// giveValue gives a variable of a fragment the value n, or an output; null is no value.
func (l *loader) giveValue(u *unit, name string, n *yaml.Node, subject string) {
	d := l.decoder(u.given(), subject)
	ref, ok := d.Whole(n)
	if ok && ref != nil && u.parent.passes(ref) {
		u.passed[name] = &passed{node: n, ref: ref}
	}
	if !ok || u.passed[name] != nil {
		u.vars.Pass(name)
		return
	}
	value, ok := d.Substitute(n)
	switch {
	case ok && value.Size > spec.MaxNodes:
		u.parent.Problem(n, "", "%s: has more than %d values", subject, spec.MaxNodes)
		u.vars.Pass(name)
	case !ok:
		u.vars.Pass(name)
	case !source.IsNull(value.Node):
		if value.FileOf == nil {
			value.FileOf = u.parent.fileOf
		}
		u.vars.Put(name, value, subject, u.parent.place(n))
	}
}

// given is the scope of the values that the entry of a fragment gives, which are known
// before any step runs.
func (u *unit) given() *scope {
	return &scope{
		unit: u.parent, entry: u.entry, item: u.item, noSteps: "an output is passed as a whole value",
		instead: "give it to a variable of its own, NAME: ${steps.ID.OUTPUT}, and put it together in the fragment",
	}
}

// passes reports whether a reference is one to an output, maybe through a variable.
func (u *unit) passes(ref *syntax.Reference) bool {
	return len(ref.Path) > 0 && (ref.Root == "steps" || ref.Root == "vars" && u.passed[ref.Path[0].Name] != nil)
}

// readOutput reads an output of a fragment.
func (l *loader) readOutput(u *unit, key, n *yaml.Node) {
	subject := "outputs." + key.Value
	if !keypath.IsName(key.Value) {
		u.Problem(key, "use letters, digits, _ and -, beginning with a letter", "outputs: %q is not a name for an output", key.Value)
		return
	}
	u.outputs[key.Value] = nil
	ref, ok := l.decoder(&scope{unit: u}, subject).Whole(n)
	switch {
	case ok && ref != nil && ref.Root == "steps" && len(ref.Path) > 1:
		u.outputs[key.Value] = ref
	case ok:
		u.Problem(n, "write ${steps.ID.OUTPUT}", "%s: want an output of a step, have %s", subject, source.Describe(n))
	}
}

// check reports the problems of a fragment's interface: outputs that are passed to it, and
// the steps that it needs.
func (l *loader) check(u *unit) {
	l.about(u.parent, u.id, u.entry.id)
	sc := &scope{unit: u.parent, entry: u.entry, item: u.item}
	u.needs = l.needed(sc, u.entry.parts["needs"], "step "+u.id)
	for name, p := range u.passed {
		subject := "step " + u.id + ": with." + name
		d := l.decoder(sc, subject)
		d.Scan(p.node)
		v, bad := sc.Resolve(p.node, p.ref)
		p.faulty = bad != nil
		if want, _, _ := u.vars.Declared(name); bad == nil && want != "" && want != spec.TypeOfOutput(v.Type) {
			p.faulty = true
			u.parent.Problem(p.node, "", "%s: want %s, and %s is %s", subject, source.TypeWord(want), p.ref.Raw, spec.TypeName(v.Type))
		}
	}
}

// scanOutputs reports outputs of a fragment that its steps do not have; what refers to them
// has no problem of its own.
func (l *loader) scanOutputs(u *unit) {
	l.about(u, "", "")
	for name, n := range source.Pairs(cmp.Or(u.file.parts["outputs"], new(yaml.Node))) {
		if u.outputs[name.Value] != nil {
			before := l.Len()
			if l.decoder(&scope{unit: u}, "outputs."+name.Value).Scan(n); l.Len() > before {
				u.outputs[name.Value] = nil
			}
		}
	}
}
