package plan

import (
	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// A Condition is a step's when, and those of the entries that include it.
type Condition struct {
	Source   string // as the plan writes it
	Position source.Position

	outer   *Condition // that has to hold, too, and is found out first; nil for none
	scope   scope
	subject string
	cond    *spec.Condition
	known   bool
	value   bool
}

// Outer is a condition that has to hold, too, of an entry that includes the step; or nil.
func (c *Condition) Outer() *Condition { return c.outer }

// newCondition reads and checks a condition; nil if a problem was reported.
func newCondition(d *spec.Decoder, sc *scope, n *yaml.Node, subject string) *Condition {
	cond := d.Condition(n)
	if cond == nil {
		return nil
	}
	c := &Condition{Source: n.Value, Position: sc.unit.place(n), scope: *sc, subject: subject, cond: cond}
	c.scope.refer = nil
	if !cond.Depends {
		c.value, c.known = d.Eval(cond)
	}
	return c
}

// fails returns the condition that is known to be false; nil if none is.
func (c *Condition) fails() *Condition {
	for ; c != nil; c = c.outer {
		if c.known && !c.value {
			return c
		}
	}
	return nil
}

// Eval returns the value of the condition. outputs is as for [Step.Spec], and so
// is the error.
func (c *Condition) Eval(outputs func(id string) (any, bool)) (bool, error) {
	if c.outer != nil {
		if value, err := c.outer.Eval(outputs); err != nil || !value {
			return false, err
		}
	}
	if c.known {
		return c.value, nil
	}
	step := c.scope.step
	if err := step.available(outputs); err != nil {
		return false, err
	}
	sc := c.scope
	sc.outputs = outputs
	problems := step.collector()
	value, _ := step.plan.decoder(&sc, c.subject, problems.Add).Eval(c.cond)
	return value, engine.Permanent(problems.Err())
}
