package plan

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/foreach"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// A scope resolves the references of one decoder.
type scope struct {
	plan *Plan
	step *Step // whose references these are; nil for those of no step

	// outputs returns the outputs of a step; nil while the plan is read.
	outputs func(id string) (any, bool)
	// noSteps is why outputs cannot be referred to; "" if they can.
	noSteps string
	// foresee is set once the graph is known: outputs that are foreseen have values.
	foresee bool
	// refer, if not nil, gets every reference to an output.
	refer func(n *yaml.Node, ref *spec.Reference, to *Step, secret bool)
}

// decoder returns a decoder for nodes of the plan, which reports problems with a
// subject.
func (p *Plan) decoder(sc *scope, subject string, report func(*source.Problem)) *spec.Decoder {
	sc.plan = p
	d := &spec.Decoder{
		Types: p.types, File: p.src, Scope: sc, Forms: referenceForms, FileOf: p.file,
		Subject: subject, Report: report, Connected: p.connected, Refused: p.in.Refused,
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

const referenceForms = "references are ${vars.NAME}, ${steps.ID.OUTPUT}, ${plan.name}, and with forEach " + foreach.Forms + "; " + spec.LiteralHint

// Resolve returns the value of a reference.
func (sc *scope) Resolve(n *yaml.Node, ref *spec.Reference) (spec.Value, *spec.Fault) {
	switch {
	case !slices.Contains(roots, ref.Root):
		hint := cmp.Or(source.DidYouMean(ref.Root, roots), referenceForms)
		return spec.Value{}, fault(hint, "%s begins with %q: a reference begins with vars, steps, plan or each", ref.Raw, ref.Root)
	case ref.Root == "plan" && (len(ref.Path) != 1 || ref.Path[0].Name != "name"):
		return spec.Value{}, fault("write ${plan.name}", "%s: the plan has only its name", ref.Raw)
	case ref.Root == "each":
		return sc.each(ref)
	case len(ref.Path) == 0:
		return spec.Value{}, fault(referenceForms, "%s: a name is missing after %s", ref.Raw, ref.Root)
	case ref.Path[0].Index >= 0:
		return spec.Value{}, fault(referenceForms, "%s: want a name after %s, not an index", ref.Raw, ref.Root)
	case ref.Root == "plan":
		if l := sc.plan.loading; l != nil && l.naming {
			return spec.Value{}, fault("", "%s: the name of the plan is made of this value", ref.Raw)
		}
		return spec.Value{Node: text(sc.plan.Name)}, nil
	case ref.Root == "vars":
		return sc.plan.vars.Value(ref)
	}
	return sc.output(n, ref)
}

// output returns an output of a step: its type while the plan is read.
func (sc *scope) output(n *yaml.Node, ref *spec.Reference) (v spec.Value, _ *spec.Fault) {
	if sc.noSteps != "" {
		return v, fault("use a variable: ${vars.NAME}", "%s: no output can be used here: %s", ref.Raw, sc.noSteps)
	}
	to, bad := sc.plan.referred(ref)
	if bad != nil {
		return v, bad
	}
	path := to.entry.outputPath(ref.Path)
	switch {
	case to == sc.step:
		hint := ""
		if sc.plan.connected[n] {
			hint = "give this step its own value: what it says itself comes before connections"
		}
		return v, fault(hint, "%s: step %s cannot use its own output", ref.Raw, to.ID)
	case to.Kind == nil:
		if sc.refer != nil {
			sc.refer(n, ref, to, false)
		}
		return v, reported
	case len(path) == 0:
		return v, fault("its outputs are "+source.Listed(sc.plan.types.Of(to.Kind.Outputs).Names()), "%s names a step and no output", ref.Raw)
	}
	t, bad := sc.outputType(ref, to, path)
	if bad != nil {
		return v, bad
	}
	v.Type, v.From, v.Secret = t, to.ID, sc.plan.types.HasSecret(t)
	if sc.refer != nil {
		sc.refer(n, ref, to, v.Secret)
	}
	if sc.outputs == nil {
		return sc.early(ref, to, path, v)
	}
	out, ok := sc.outputs(to.ID)
	if !ok || out == nil {
		return v, fault("", "%s: step %s has no outputs: it did not run", ref.Raw, to.ID)
	}
	part, err := sc.plan.types.Output(out, path)
	if err != nil {
		return v, fault(engine.HintOf(err), "%s: %v", ref.Raw, err)
	}
	return spec.Value{Output: part, From: to.ID, Secret: v.Secret}, nil
}

// outputType returns the type of the output that a reference names.
func (sc *scope) outputType(ref *spec.Reference, to *Step, path []keypath.Elem) (reflect.Type, *spec.Fault) {
	t := to.Kind.Outputs
	for i, e := range path {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		so, fields := keypath.String(path[:i]), sc.plan.types.Fields(t)
		switch {
		case fields != nil:
			ft, ok := fields.Field(e.Name)
			if !ok || e.Index >= 0 {
				return nil, fault(source.Suggestion(e.Name, fields.Names(), "there is "), "%s: step %s (%s) has no output %q",
					ref.Raw, to.ID, to.Kind.Name, keypath.String(path[:i+1]))
			}
			t = ft
		case t.Kind() == reflect.Map && e.Index < 0, t.Kind() == reflect.Slice && e.Index >= 0:
			t = t.Elem()
		case t.Kind() == reflect.Slice:
			return nil, fault(fmt.Sprintf("write ${steps.%s.%s[0]} for its first item", to.ID, so),
				"%s: output %s is a list and has no %q", ref.Raw, so, e.Name)
		default:
			return nil, fault("", "%s: output %s is %s and has no parts", ref.Raw, so, spec.TypeName(t))
		}
	}
	return t, nil
}

// each returns the key or the value of the item of forEach, or a part of it.
func (sc *scope) each(ref *spec.Reference) (v spec.Value, _ *spec.Fault) {
	if sc.step == nil || sc.step.Group == "" {
		return v, fault("give the step forEach: a list or a mapping", "%s: there is an item only inside a step with forEach", ref.Raw)
	}
	return sc.step.item.Resolve(sc.plan.decoder(&scope{noSteps: foreach.NoOutputs}, "", silent), ref)
}
