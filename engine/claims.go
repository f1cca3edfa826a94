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
	Server string // that has it; "" is the target of the plan, [Files] this machine
	Path   string // of the thing, slash-separated: "roles/app"
	Want   any    // the state, compared by reflect.DeepEqual; it may hold secrets and is never shown
	Field  string // the input of the claim: "roles[0]"
}

// A Claimer is a spec that knows the writes of its step. Two steps that claim one
// thing in different states would undo each other in every run: a plan that has
// them is invalid. Two claims of one state are valid. A step claims by [Env.Claim]
// facts that it learns in Inspect only.
type Claimer interface {
	// Claims returns the claims of the step, of a plan with a name, without those
	// that depend on the inputs in unknown; see [Known]. It reads files beside the
	// plan and contacts nothing else.
	Claims(plan string, unknown []string) []Claim
}

// Files is the server of claims on files: of a file that a step writes, or that it waits
// for. Two steps that have one file in different states are a mistake, and so is a file
// that a step claims and another reads as an input.
const Files = "files"

// FileClaim returns the claim on a file; want identifies its content. A file without a
// name, and one whose field is in unknown, is claimed by none.
func FileClaim(f File, want any, field string, unknown []string) []Claim {
	if f.IsZero() || !Known(field, unknown) {
		return nil
	}
	return []Claim{{Server: Files, Path: f.Place(), Want: want, Field: field}}
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

// Claims are the claims of all steps of a plan, as far as they are known: those
// that follow from the inputs when the plan is read, and those that a step learns
// in Inspect. The nil pointer compares nothing. Claims is safe for concurrent use.
type Claims struct {
	mu     sync.Mutex
	owners map[thing][]owner
}

// thing identifies the object of a claim.
type thing struct{ server, path string }

type owner struct {
	step string
	want any
}

// A Clash is a claim of two steps to one thing, in different states.
type Clash struct {
	Claim
	Step string // the other one
}

// Add adds the claims of a step, in place of its earlier ones of the same things.
// It returns, and does not add, those that another step claims in another state.
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

// Claim adds claims of the step; it is called before the step's first write. The
// error is one of the plan and names the claims that another step makes in another
// state.
func (e *Env) Claim(claims []Claim) error {
	clashes := e.Claims.Add(e.Step, claims)
	if len(clashes) == 0 {
		return nil
	}
	slices.SortFunc(clashes, func(a, b Clash) int { return strings.Compare(a.Path, b.Path) })
	const most = 3
	var texts []string
	for _, c := range clashes[:min(len(clashes), most)] {
		texts = append(texts, fmt.Sprintf("%s is %s", c.Path, c.Mistake(c.Step)))
	}
	if more := len(clashes) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return WithHint(InPlan(errors.New(strings.Join(texts, "; "))), clashes[0].Advice())
}

// Mistake returns the fault of a claim that step other makes as well, as the end of a
// sentence about the thing.
func (c Claim) Mistake(other string) string {
	if c.Server == Files {
		return fmt.Sprintf("a file of step %s as well", other)
	}
	return fmt.Sprintf("what step %s makes as well, and differently", other)
}

// Advice is the hint for a thing that two steps claim in different states.
func (c Claim) Advice() string {
	if c.Server == Files {
		return "give each of them a file of its own; with forEach, put ${each.key} into the name"
	}
	return TwoOwners
}

// TwoOwners is the hint for two steps that want one thing in different states.
const TwoOwners = "each would undo the other in every run: leave it to one of them, or write the same in both"
