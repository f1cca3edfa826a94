package assertdenied

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/evidence"
)

// Prove makes the legitimate requests, then the attempts. An attempt whose
// control fails is not made: its refusal would prove nothing.
func (s *Spec) Prove(ctx context.Context, env *engine.Env) (Outputs, []engine.Finding, error) {
	p := &proof{spec: s, env: env}
	var dials, requests []Attempt
	for _, a := range s.attempts() {
		if a.Dial != nil {
			dials = append(dials, a)
		} else {
			requests = append(requests, a)
		}
	}
	var errs []error
	if s.Login != nil {
		errs = append(errs, p.tryVault(ctx, requests))
	}
	if s.Dial != nil {
		errs = append(errs, p.tryDials(ctx, dials))
	}
	return p.outputs(), p.findings(), first(errs)
}

// first returns the first error; others that say the same of another part are
// joined to it without losing its hint.
func first(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return engine.WithHint(errors.Join(errs...), engine.HintOf(errs[0]))
}

// A proof is one run of the attempts.
type proof struct {
	spec     *Spec
	env      *engine.Env
	controls []engine.Finding
	verdicts []*verdict
}

// granted notes that a legitimate request was granted.
func (p *proof) granted(what, how string) {
	p.controls = append(p.controls, engine.Finding{Rule: "control: " + what, Holds: true, Have: how, Want: "granted"})
}

// try begins an attempt.
func (p *proof) try(a Attempt, by, control string) *verdict {
	p.env.Statusf("trying %s", a.Name)
	return &verdict{
		rule: a.Name + " is refused",
		record: evidence.Denial{
			What: a.Name + ": " + p.spec.describe(a), By: by, Method: a.method(), Control: control, At: p.env.Now(),
		},
	}
}

// done ends an attempt and puts it on record.
func (p *proof) done(v *verdict) {
	p.env.Logf("%s: %s", v.record.What, v.have)
	p.verdicts = append(p.verdicts, v)
	if p.env.Record != nil {
		p.env.Record(evidence.RecordDenial, v.record)
	}
}

func (p *proof) findings() []engine.Finding {
	list := slices.Clone(p.controls)
	for _, v := range p.verdicts {
		list = append(list, v.finding())
	}
	return list
}

func (p *proof) outputs() Outputs {
	out := Outputs{Attempts: len(p.verdicts), Refusals: []string{}}
	for _, v := range p.verdicts {
		if v.record.Refused {
			out.Refused++
			out.Refusals = append(out.Refusals, fmt.Sprintf("%s: %s", v.record.What, v.have))
		}
	}
	return out
}

// noControl explains that a legitimate request was not granted.
func noControl(what string, err error) error {
	hint := engine.HintOf(err)
	if hint == "" {
		hint = "check the legitimate request in the plan: names, role, path and audience as the issuer uses them"
	}
	return engine.WithHint(fmt.Errorf("control: %s: refusals would prove nothing: %w", what, err), hint)
}
