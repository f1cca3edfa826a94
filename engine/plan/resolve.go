package plan

import (
	"cmp"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/document"
	"github.com/ztplan/ztplan/engine/plan/foreach"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// A scope resolves the references of one decoder.
type scope struct {
	unit  *unit         // whose names these are; nil for those of the plan
	entry *entry        // whose forEach gives items; nil for none
	item  *foreach.Item // of the entry; nil if it is not known
	step  *Step         // whose references these are; nil for those of no step

	// outputs returns the outputs of a step; nil while the plan is read.
	outputs func(id string) (any, bool)
	// noSteps is why outputs cannot be referred to, "" if they can; instead is the
	// alternative.
	noSteps, instead string
	// foresee is set once the graph is known: outputs that are foreseen have values.
	foresee bool
	// refer, if not nil, gets every reference to an output.
	refer func(n *yaml.Node, ref *syntax.Reference, to target, secret bool)

	secret bool // the value of the reference counts as a secret
}

// decoder returns a decoder for nodes of the plan or a fragment, which reports problems
// with a subject.
func (p *Plan) decoder(sc *scope, subject string, report func(*source.Problem)) *spec.Decoder {
	if sc.unit == nil {
		sc.unit = p.unit
	}
	d := &spec.Decoder{
		Types: p.types, Document: spec.Document{File: sc.unit.File, FileOf: sc.unit.fileOf}, Scope: sc, Forms: referenceForms,
		Subject: subject, Report: report, Connected: p.connected, Plan: spec.Document{File: p.src, FileOf: p.file}, Refused: p.in.Refused,
		Around: document.BesideWith,
	}
	if sc.step != nil && sc.step.Kind != nil {
		d.Kind = sc.step.Kind.Name
	}
	return d
}

// text returns a scalar with a text.
func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// reported is the fault of a reference to something whose own problem was reported.
var reported = &spec.Fault{}

func fault(hint, format string, args ...any) *spec.Fault {
	return &spec.Fault{Message: fmt.Sprintf(format, args...), Hint: hint}
}

// roots are the first names of references.
var roots = []string{"vars", "steps", "plan", "each"}

const referenceForms = "references are ${vars.NAME}, ${steps.ID.OUTPUT}, ${plan.name}, and with forEach " + foreach.Forms + "; " + syntax.LiteralHint

// Resolve returns the value of a reference.
func (sc *scope) Resolve(n *yaml.Node, ref *syntax.Reference) (spec.Value, *spec.Fault) {
	p := sc.unit.plan
	if p.connected[n] {
		of := *sc
		of.unit, of.entry, of.item = p.unit, nil, nil
		sc = &of
	}
	switch {
	case !slices.Contains(roots, ref.Root):
		hint := cmp.Or(syntax.OtherTool(ref), source.DidYouMean(ref.Root, roots), referenceForms)
		return spec.Value{}, fault(hint, "%s begins with %q: a reference begins with vars, steps, plan or each", ref.Raw, ref.Root)
	case ref.Root == "plan" && p.Fragment:
		return spec.Value{}, reported // not known
	case ref.Root == "plan" && (len(ref.Path) != 1 || ref.Path[0].Name != "name"):
		return spec.Value{}, fault("write ${plan.name}", "%s: the plan has only its name", ref.Raw)
	case ref.Root == "each":
		return sc.each(ref)
	case len(ref.Path) == 0:
		return spec.Value{}, fault(referenceForms, "%s: a name is missing after %s", ref.Raw, ref.Root)
	case ref.Path[0].Index >= 0:
		return spec.Value{}, fault(referenceForms, "%s: want a name after %s, not an index", ref.Raw, ref.Root)
	case ref.Root == "plan":
		if l := p.loading; l != nil && l.naming {
			return spec.Value{}, fault("", "%s: the name of the plan is made of this value", ref.Raw)
		}
		return spec.Value{Node: text(p.Name)}, nil
	case ref.Root == "vars":
		return sc.variable(n, ref)
	}
	return sc.output(n, ref)
}

// variable returns the value of a variable, or the output that is passed to it.
func (sc *scope) variable(n *yaml.Node, ref *syntax.Reference) (v spec.Value, _ *spec.Fault) {
	u, name := sc.unit, ref.Path[0].Name
	_, secret, ok := u.vars.Declared(name)
	if !ok && u.parent != nil {
		if _, _, ok := u.parent.vars.Declared(name); ok {
			return v, fault("a fragment sees its own variables only: declare it in the fragment, and give it below with of the entry that includes it", "%s: there is no variable %q", ref.Raw, name)
		}
	}
	p := u.passed[name]
	if p == nil {
		return u.vars.Value(ref)
	}
	u.vars.Use(name)
	if p.faulty {
		return v, reported
	}
	if sc.noSteps != "" {
		return v, fault("give it a value that is known before any step runs", "%s: no output can be used here: %s; step %s passes it %s, %s",
			ref.Raw, sc.noSteps, u.id, p.ref.Raw, u.parent.place(p.node))
	}
	of, whole := *sc, *ref
	of.unit, of.entry, of.item, of.secret = u.parent, nil, nil, sc.secret || secret
	whole.Root, whole.Path = p.ref.Root, append(slices.Clone(p.ref.Path), ref.Path[1:]...)
	if whole.Root == "vars" {
		return of.variable(n, &whole)
	}
	return of.output(n, &whole)
}

// output returns an output of a step: its type while the plan is read.
func (sc *scope) output(n *yaml.Node, ref *syntax.Reference) (v spec.Value, _ *spec.Fault) {
	if sc.noSteps != "" {
		return v, fault(cmp.Or(sc.instead, "use a variable: ${vars.NAME}"), "%s: no output can be used here: %s", ref.Raw, sc.noSteps)
	}
	p := sc.unit.plan
	at, bad := sc.unit.target(ref)
	if bad != nil {
		return v, bad
	}
	to := at.step
	switch {
	case to == sc.step:
		hint := ""
		if p.connected[n] {
			hint = "give this step its own value: what it says itself comes before connections"
		}
		return v, fault(hint, "%s: step %s cannot use its own output", ref.Raw, to.ID)
	case to.Kind == nil:
		if sc.refer != nil {
			sc.refer(n, ref, at, false)
		}
		return v, reported
	case len(at.path) == 0:
		return v, fault("its outputs are "+source.Listed(p.types.Of(to.Kind.Outputs).Names()), "%s names a step and no output", ref.Raw)
	}
	t, bad := at.typeIn(sc.unit.plan.types, ref)
	if bad != nil {
		return v, bad
	}
	v.Type, v.From, v.Secret = t, to.ID, sc.secret || p.types.HasSecret(t)
	if sc.refer != nil {
		sc.refer(n, ref, at, v.Secret)
	}
	if sc.outputs == nil {
		return sc.early(ref, at, v)
	}
	out, ok := sc.outputs(to.ID)
	if !ok || out == nil {
		return v, fault("", "%s: step %s has no outputs: it did not run", ref.Raw, to.ID)
	}
	part, err := p.types.Output(out, at.path)
	if err != nil {
		return v, fault(engine.HintOf(err), "%s: %v", ref.Raw, err)
	}
	return spec.Value{Output: part, From: to.ID, Secret: v.Secret}, nil
}

// each returns the key or the value of the item of forEach, or a part of it.
func (sc *scope) each(ref *syntax.Reference) (v spec.Value, _ *spec.Fault) {
	if sc.entry == nil || !sc.entry.each {
		hint := "give the step forEach: a list or a mapping"
		if sc.unit.keyed {
			hint = "declare a variable in the fragment, and give it the item below with of the entry that includes it"
		}
		return v, fault(hint, "%s: there is an item only inside a step with forEach", ref.Raw)
	}
	return sc.item.Resolve(sc.unit.plan.decoder(&scope{unit: sc.unit, noSteps: foreach.NoOutputs}, "", silent), ref)
}
