package plan

import (
	"errors"
	"fmt"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// An Output is an output of a step, or a part of one.
type Output struct {
	Step   *Step
	Secret bool // it is a secret, or holds one

	name string
	path []keypath.Elem // within the outputs of the step
}

// Output returns the output that a name stands for: "root.certificate", the middle of
// the reference ${steps.root.certificate}. The error has a hint.
func (p *Plan) Output(name string) (*Output, error) {
	path := keypath.Parse(name)
	if len(path) == 0 || path[0].IsIndex() || keypath.String(path) != name {
		return nil, engine.WithHint(fmt.Errorf("%q names no output", name), "write STEP.NAME, as in root.certificate; of an instance, 'certs[\"shop\"].name', in single quotes for the shell")
	}
	ref := &syntax.Reference{Raw: name, Root: "steps", Path: path}
	sc := &scope{unit: p.unit}
	v, bad := sc.output(nil, ref)
	at, _ := p.unit.target(ref)
	if bad != nil {
		// A step of a fragment has outputs that the fragment does not show.
		for i := 2; i < len(path); i++ {
			if s := p.byID[keypath.String(path[:i])]; s != nil && s.entry.unit != p.unit {
				at = target{s, path[i:]}
				v.Type, bad = at.typeIn(p.types, ref)
				v.Secret = bad == nil && p.types.HasSecret(v.Type)
			}
		}
	}
	if bad != nil {
		return nil, engine.WithHint(errors.New(bad.Message), bad.Hint)
	}
	return &Output{Step: at.step, Secret: v.Secret, name: name, path: at.path}, nil
}

// Value returns the output, given the outputs of its step. An empty value is an error:
// it is not known.
func (o *Output) Value(outputs any) (any, error) {
	types := o.Step.plan.types
	if outputs == nil || !types.Holds(outputs, o.path) {
		return nil, fmt.Errorf("%s is not known", o.name)
	}
	v, err := types.Output(outputs, o.path)
	if err != nil {
		return nil, err
	}
	return v.Interface(), nil
}

// OutputNames returns the names of the step's outputs.
func (s *Step) OutputNames() []string { return s.plan.types.Of(s.Kind.Outputs).Names() }
