package assertdenied

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

// Prove makes the legitimate requests, then the attempts. An attempt whose
// control fails is not made: its refusal would prove nothing.
func (s *Spec) Prove(ctx context.Context, env *engine.Env) (Outputs, []engine.Finding, error) {
	p := &proof{spec: s, env: env}
	var dials, requests []Attempt
	for _, a := range s.Forbidden() {
		if a.Dial != nil {
			dials = append(dials, a)
		} else {
			requests = append(requests, a)
		}
	}
	var vault, server error // independent of each other
	if s.Login != nil {
		vault = p.tryVault(ctx, requests)
	}
	if s.Dial != nil {
		server = p.tryDials(ctx, dials)
	}
	return p.outputs(), p.findings(), both(vault, server)
}

// both joins two errors with the hint of the first.
func both(a, b error) error {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	return engine.WithHint(fmt.Errorf("%w; and %w", a, b), engine.HintOf(a))
}

// A proof is one run of the attempts.
type proof struct {
	spec     *Spec
	env      *engine.Env
	controls []engine.Finding
	verdicts []*verdict
	brief    *brief // signed for an attempt to present it after its end
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
