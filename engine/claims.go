package engine

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// A Claim is one thing that a step brings to a state of its own, whole or in one
// field.
type Claim struct {
	Server string // that has it; "" is the plan's cluster
	Path   string // of the thing, slash-separated: "auth/kubernetes/role/app"
	Want   any    // the state, compared by reflect.DeepEqual; it may hold secrets and is never shown
	Field  string // the input that says so: "roles[0]"
}

// A Claimer is a spec that knows what its step writes. Two steps that claim one
// thing in different states would undo each other in every run, so a plan that
// has them is invalid; two that claim the same state are not. What a step learns
// only when it looks, it claims by [Env.Claim].
type Claimer interface {
	// Claims returns what the step claims, of a plan with a name. What depends on
	// the inputs in unknown is left out; see [Known]. Claims contacts nothing but
	// files beside the plan.
	Claims(plan string, unknown []string) []Claim
}

// Known reports whether an input is known as a whole, given the paths of those
// that are not.
func Known(field string, unknown []string) bool {
	for _, u := range unknown {
		if inside(u, field) || inside(field, u) {
			return false
		}
	}
	return true
}

// inside reports whether the path of an input is top or lies inside it.
func inside(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && (rest == "" || top == "" || rest[0] == '.' || rest[0] == '[')
}

// Claims are what the steps of a plan claim, as far as that is known: what follows
// from the inputs when the plan is read, and what a step learns when it looks, such
// as the objects of a chart. The nil pointer compares nothing. Claims is safe for
// concurrent use.
type Claims struct {
	mu     sync.Mutex
	owners map[thing][]owner
}

// thing identifies what steps claim.
type thing struct{ server, path string }

type owner struct {
	step string
	want any
}

// A Clash is a claim to what another step claims in another state.
type Clash struct {
	Claim
	Step string // the other one
}

// Add takes note of what a step claims, in place of what it said of the same
// things before, and returns those that another step claims in another state. Of
// these it takes no note.
func (c *Claims) Add(step string, claims []Claim) []Clash {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owners == nil {
		c.owners = make(map[thing][]owner)
	}
	var clashes []Clash
	for _, claim := range claims {
		t := thing{claim.Server, claim.Path}
		owners := c.owners[t]
		if i := slices.IndexFunc(owners, func(o owner) bool { return o.step != step && !reflect.DeepEqual(o.want, claim.Want) }); i >= 0 {
			clashes = append(clashes, Clash{claim, owners[i].step})
			continue
		}
		mine := owner{step, claim.Want}
		if i := slices.IndexFunc(owners, func(o owner) bool { return o.step == step }); i >= 0 {
			owners[i] = mine
		} else {
			c.owners[t] = append(owners, mine)
		}
	}
	return clashes
}

// Claim takes note of what the step claims. The error, of the plan, says what of
// that another step claims in another state. A step calls it before its first
// write.
func (e *Env) Claim(claims []Claim) error {
	clashes := e.Claims.Add(e.Step, claims)
	if len(clashes) == 0 {
		return nil
	}
	slices.SortFunc(clashes, func(a, b Clash) int { return strings.Compare(a.Path, b.Path) })
	const most = 3
	var texts []string
	for _, c := range clashes[:min(len(clashes), most)] {
		texts = append(texts, fmt.Sprintf("%s is what step %s makes as well, and differently", c.Path, c.Step))
	}
	if more := len(clashes) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return WithHint(InPlan(errors.New(strings.Join(texts, "; "))), TwoOwners)
}

// TwoOwners is what to do about two steps that want one thing in different states.
const TwoOwners = "each would undo the other in every run: leave it to one of them, or write the same in both"
