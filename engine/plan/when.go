package plan

import (
	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// A Condition is a step's when.
type Condition struct {
	Source   string // as the plan writes it
	Position source.Position

	step  *Step
	cond  *spec.Condition
	known bool
	value bool
}

// when reads and checks a step's when; nil if a problem was reported.
func (s *Step) when(d *spec.Decoder, n *yaml.Node) *Condition {
	cond := d.Condition(n)
	if cond == nil {
		return nil
	}
	c := &Condition{Source: n.Value, Position: s.plan.position(n), step: s, cond: cond}
	if !cond.Depends {
		c.value, c.known = d.Eval(cond)
	}
	return c
}

// Known returns the value of a condition that depends on no step.
func (c *Condition) Known() (value, ok bool) { return c.value, c.known }

// Eval returns the value of the condition. outputs is as for [Step.Spec], and so
// is the error.
func (c *Condition) Eval(outputs func(id string) (any, bool)) (bool, error) {
	if c.known {
		return c.value, nil
	}
	if err := c.step.available(outputs); err != nil {
		return false, err
	}
	problems := c.step.plan.collector()
	value, _ := c.step.decoder(problems.Add, outputs).Eval(c.cond)
	return value, engine.Permanent(problems.Err())
}
