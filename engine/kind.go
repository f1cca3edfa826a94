package engine

import (
	"context"
	"fmt"
	"reflect"
	"time"
)

// A Policy is how long and how often a step is tried. It belongs to the
// plan's step envelope; a kind only brings defaults.
type Policy struct {
	// Timeout bounds everything: looking, writing and waiting.
	Timeout time.Duration
	// Attempts bounds rounds of writing, and of proving; 0 means until Timeout.
	Attempts int
	// Delay is the pause before the second attempt; each further pause is
	// Backoff times longer, up to MaxDelay.
	Delay    time.Duration
	Backoff  float64
	MaxDelay time.Duration
	// Jitter is the fraction by which each pause may be shorter or longer, 0 to 1.
	Jitter float64
}

// DefaultPolicy is the policy of a step when neither its kind nor the plan has one.
func DefaultPolicy() Policy {
	return Policy{
		Timeout:  5 * time.Minute,
		Attempts: 3,
		Delay:    time.Second,
		Backoff:  2,
		MaxDelay: 30 * time.Second,
		Jitter:   0.2,
	}
}

// A Kind is one sort of step: a name, a fresh spec with its defaults, and how
// to look or prove. It is a value; the list of kinds is a literal in package
// steps.
type Kind struct {
	Name    string
	New     func() any   // a pointer to a fresh spec struct holding the defaults
	Spec    reflect.Type // the spec struct
	Outputs reflect.Type // the struct of outputs
	Policy  Policy
	Proof   bool // runs every time and brings nothing to the state that a plan asks for

	inspect func(context.Context, any, *Env) (any, []Edit, error)
	prove   func(context.Context, any, *Env) (any, []Finding, error)
	intent  func(any) []string
}

// NewKind declares a kind of step that converges. spec returns a fresh spec
// that holds the defaults.
func NewKind[S Step[O], O any](name string, policy Policy, spec func() S) *Kind {
	return &Kind{
		Name:    name,
		New:     func() any { return spec() },
		Spec:    structOf[S](),
		Outputs: reflect.TypeFor[O](),
		Policy:  policy,
		inspect: func(ctx context.Context, s any, env *Env) (any, []Edit, error) {
			return s.(S).Inspect(ctx, env)
		},
	}
}

// NewProof declares a kind of step that measures.
func NewProof[S Proof[O], O any](name string, policy Policy, spec func() S) *Kind {
	return &Kind{
		Name:    name,
		New:     func() any { return spec() },
		Spec:    structOf[S](),
		Outputs: reflect.TypeFor[O](),
		Policy:  policy,
		Proof:   true,
		prove: func(ctx context.Context, s any, env *Env) (any, []Finding, error) {
			return s.(S).Prove(ctx, env)
		},
		intent: func(s any) []string { return s.(S).Intent() },
	}
}

// Changes returns the changes that a proof with this spec may make, nil for none.
func (k *Kind) Changes(spec any) []Edit {
	if c, ok := spec.(Changer); ok && k.Proof {
		return c.Changes()
	}
	return nil
}

// WritesToTarget reports whether a step with this spec may write to the target of
// the plan, given the paths of the inputs that are not known yet.
func (k *Kind) WritesToTarget(spec any, unknown []string) bool {
	if w, ok := spec.(TargetWriter); ok {
		return w.WritesToTarget(unknown)
	}
	return !k.Proof || len(k.Changes(spec)) > 0
}

// Permissions returns the permissions that a step with this spec needs, nil if its kind
// leaves the target alone, and descriptions of those that are not known; see
// [PermissionNeeder]. A proof needs all of them in order to prove only: a dry run does
// not contact anything for it.
func (k *Kind) Permissions(ctx context.Context, spec any, env *Env, unknown []string) (needed []Permission, notKnown []string) {
	n, ok := spec.(PermissionNeeder)
	if !ok {
		return nil, nil
	}
	needed, notKnown = n.Permissions(ctx, env, unknown)
	for i := range needed {
		needed[i].Write = needed[i].Write || k.Proof
	}
	return needed, notKnown
}

func structOf[S any]() reflect.Type {
	t := reflect.TypeFor[S]()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// Inspect looks, with a spec made by New. It panics if the kind is a proof.
func (k *Kind) Inspect(ctx context.Context, spec any, env *Env) (any, []Edit, error) {
	if k.inspect == nil {
		panic(fmt.Sprintf("kind %s is a proof: it cannot be inspected", k.Name))
	}
	return k.inspect(ctx, spec, env)
}

// Prove measures, with a spec made by New. It panics if the kind is no proof.
func (k *Kind) Prove(ctx context.Context, spec any, env *Env) (any, []Finding, error) {
	if k.prove == nil {
		panic(fmt.Sprintf("kind %s is no proof", k.Name))
	}
	return k.prove(ctx, spec, env)
}

// Intent returns the actions of Prove, a line each; nil if the kind is no proof.
func (k *Kind) Intent(spec any) []string {
	if k.intent == nil {
		return nil
	}
	return k.intent(spec)
}
