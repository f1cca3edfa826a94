package compare

import (
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

// The states of steps that count here.
const (
	proved = "proved"
	failed = "failed"
)

// steps compares the results of the runs and of their steps, and returns the proofs
// that held before and did not now: other missing records follow from them.
func (c *Comparison) steps() (missing map[string]bool) {
	before, after := c.Before.Result(), c.After.Result()
	if before != after {
		worse := before == engine.ResultProved || after == engine.ResultFailed || after == engine.ResultInterrupted
		c.add(Difference{Kind: Result, Regression: worse, Subject: "the run", Before: c.Before.Outcome(), After: c.After.Outcome()})
	}
	missing = make(map[string]bool)
	had := make(map[string]bool)
	for _, s := range c.Before.Steps {
		had[s.ID] = true
		now := stepOf(c.After, s.ID)
		switch {
		case s.State == proved && (now == nil || now.State != proved):
			missing[s.ID] = true
			c.add(Difference{Kind: MissingProof, Regression: true, Step: s.ID, Subject: s.Kind, Before: proved, After: state(now)})
		case now != nil && now.State == failed && s.State != failed:
			c.add(Difference{Kind: FailedStep, Regression: true, Step: s.ID, Subject: s.Kind, Before: s.State, After: failed})
		case s.State == proved:
			c.rules(s, *now)
		}
	}
	for _, s := range c.After.Steps {
		if !had[s.ID] && s.State == failed {
			c.add(Difference{Kind: FailedStep, Regression: true, Step: s.ID, Subject: s.Kind, After: failed})
		}
	}
	return missing
}

// rules finds the rules of a proof that are not checked any more.
func (c *Comparison) rules(before, after evidence.Step) {
	have := make(map[string]bool)
	for _, r := range ruleNames(c.After, after) {
		have[r] = true
	}
	for _, r := range ruleNames(c.Before, before) {
		if !have[r] {
			have[r] = true
			c.add(Difference{Kind: MissingRule, Regression: true, Step: before.ID, Subject: r, Before: "held"})
		}
	}
}

// ruleNames returns the names of the rules of a proof's measurements. Its findings are for
// people: their names have limits in them.
func ruleNames(d *evidence.Document, s evidence.Step) (names []string) {
	add := func(step string, rules []evidence.Rule) {
		for _, r := range rules {
			if step == s.ID {
				names = append(names, r.Name)
			}
		}
	}
	for _, r := range d.Rotations {
		add(r.Step, r.Rules)
	}
	for _, h := range d.Handshakes {
		add(h.Step, h.Rules)
	}
	return names
}

// denials finds the attempts that are not refused, or not made any more. An attempt that
// was made several times was refused if it was each time.
func (c *Comparison) denials(missing map[string]bool) {
	type key struct{ step, name string }
	refused := func(d *evidence.Document) (order []key, all map[key]bool, answer map[key]string) {
		all, answer = make(map[key]bool), make(map[key]string)
		for _, r := range d.Denials {
			name, _, _ := strings.Cut(r.What, ": ")
			k := key{r.Step, name}
			held, seen := all[k]
			if !seen {
				order = append(order, k)
			}
			all[k] = (held || !seen) && r.Refused
			if !r.Refused {
				answer[k] = r.Answer
			}
		}
		return order, all, answer
	}
	order, was, _ := refused(c.Before)
	others, is, answer := refused(c.After)
	for _, k := range order {
		if _, ok := is[k]; was[k] && !ok && !missing[k.step] {
			c.add(Difference{Kind: MissingDenial, Regression: true, Step: k.step, Subject: k.name, Before: "refused"})
		}
	}
	for _, k := range others {
		if is[k] {
			continue
		}
		d := Difference{Kind: DenialHole, Step: k.step, Subject: k.name, After: answer[k]}
		held, known := was[k]
		switch {
		case held:
			d.Before, d.Regression = "refused", true
		case known:
			d.Before = "not refused"
		default:
			d.Regression = true
		}
		c.add(d)
	}
}

func stepOf(d *evidence.Document, id string) *evidence.Step {
	i := slices.IndexFunc(d.Steps, func(s evidence.Step) bool { return s.ID == id })
	if i < 0 {
		return nil
	}
	return &d.Steps[i]
}

func state(s *evidence.Step) any {
	if s == nil {
		return nil
	}
	return s.State
}
