// Package document has the documents of the language as they are written: every key that a
// plan or a fragment may have outside the inputs of kinds, and the checks of its outermost
// keys.
package document

import (
	"reflect"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/vars"
)

// A Plan is a plan as it is written. Its keys are the fields of this type and of theirs; the
// schema and the reference are made from the tags and comments.
type Plan struct {
	// APIVersion is the version of the language.
	APIVersion string `yaml:"apiVersion" check:"required,oneof=ztplan.dev/v1"`
	// Kind of the document.
	Kind string `yaml:"kind" check:"required,oneof=Plan"`
	// Metadata names the plan.
	Metadata Metadata `yaml:"metadata" check:"required"`
	// Vars are variables, by name: ${vars.NAME}. Each is a value, which is its default, or a
	// declaration. --var NAME=VALUE and --var-file set them. See ztplan explain vars.
	Vars map[string]vars.Declaration `yaml:"vars"`
	// Connections say how the plan reaches its servers; a step may override them. See ztplan
	// explain connections.
	Connections map[string]any `yaml:"connections"`
	// Steps of the plan; it has one at least. Their order does not matter. See ztplan explain
	// steps.
	Steps []Step `yaml:"steps" check:"required"`
}

// A Fragment is a fragment as it is written: steps that a plan includes.
type Fragment struct {
	// APIVersion is the version of the language.
	APIVersion string `yaml:"apiVersion" check:"required,oneof=ztplan.dev/v1"`
	// Kind of the document.
	Kind string `yaml:"kind" check:"required,oneof=Fragment"`
	// Vars are the variables of the fragment, as in a plan. The entry that includes it gives
	// their values below with, and nothing else does: env is not for fragments.
	Vars map[string]vars.Declaration `yaml:"vars"`
	// Steps of the fragment; it has one at least. They see the variables and steps of the
	// fragment only.
	Steps []Step `yaml:"steps" check:"required"`
	// Outputs of the fragment, by name: each is a reference to one of its steps,
	// ${steps.ID.OUTPUT}. To the plan they are outputs of the entry that includes it.
	Outputs map[string]string `yaml:"outputs"`
}

// Metadata names a plan.
type Metadata struct {
	// Name of the plan, in lower-case letters, digits and hyphens. It appears in events, in
	// the name of the plan's lock and in default names. It may be made of variables:
	// shop-${vars.env}.
	Name string `yaml:"name" check:"required"`
	// Description says what the plan sets up.
	Description string `yaml:"description"`
}

// A Step is an entry of steps.
type Step struct {
	// ID is the step's name, in lower-case letters, digits and hyphens. Other steps refer to it,
	// --only and --skip take it, events carry it.
	ID string `yaml:"id" check:"required"`
	// Uses is the kind of the step. See ztplan explain.
	Uses string `yaml:"uses"`
	// Include is the file of a fragment, relative to this document: its steps stand in place of
	// this entry, which has no uses then. See ztplan explain include.
	Include string `yaml:"include"`
	// Needs are steps that must be done first, by id: a, or hosts[each.key] for an instance
	// of one with forEach. It takes no references. A reference to an output is such a
	// dependency without being listed.
	Needs OneOrMore `yaml:"needs"`
	// ForEach makes a step for every item of a list or a mapping: ${each.key} and
	// ${each.value} are its index or key, and its value. See ztplan explain forEach.
	ForEach Collection `yaml:"forEach"`
	// When is a condition: the step is skipped when it is false. See ztplan explain when.
	When Expression `yaml:"when"`
	Policy
	// With holds the inputs of the kind, or the variables of the fragment. See ztplan explain
	// KIND.
	With map[string]any `yaml:"with"`
}

// OneOrMore is a text or a list of texts.
type OneOrMore []string

// A Collection is a list or a mapping of any values.
type Collection any

// An Expression is the text of a condition, or true or false.
type Expression string

// A Policy bounds how long and how often a step is tried. A nil field has the default of the
// kind.
type Policy struct {
	// Timeout bounds everything that the step does: looking, writing, waiting, in all of its
	// attempts. It is a duration such as 90s, 5m, 1h30m or 30d.
	Timeout *engine.Duration `yaml:"timeout" check:"min=1ms"`
	// Retry is how often and how fast the step tries again. See ztplan explain retry.
	Retry Retry `yaml:"retry"`
}

// Over sets the given fields in p. If only one of delay and maxDelay is given, the other one
// follows it where the two would contradict each other. The result is false if both are
// given and do.
func (in Policy) Over(p *engine.Policy) bool {
	if in.Timeout != nil {
		p.Timeout = in.Timeout.Std()
	}
	r := in.Retry
	if r.Attempts != nil {
		p.Attempts = *r.Attempts
	}
	if r.Backoff != nil {
		p.Backoff = *r.Backoff
	}
	if r.Jitter != nil {
		p.Jitter = *r.Jitter
	}
	if r.Delay != nil {
		p.Delay = r.Delay.Std()
		p.MaxDelay = max(p.MaxDelay, p.Delay)
	}
	if r.MaxDelay != nil {
		p.MaxDelay = r.MaxDelay.Std()
		if r.Delay == nil {
			p.Delay = min(p.Delay, p.MaxDelay)
		}
	}
	return r.Delay == nil || r.MaxDelay == nil || p.Delay <= p.MaxDelay
}

// Retry is how often and how fast a step tries again. Nil stands for the default of the
// kind.
type Retry struct {
	// Attempts is how many rounds of writing or proving there are at most; 0 means until the
	// timeout.
	Attempts *int `yaml:"attempts" check:"min=0"`
	// Delay is the pause before the second attempt, such as 500ms or 2s. It is lowered to
	// maxDelay if only maxDelay is given.
	Delay *engine.Duration `yaml:"delay" check:"min=0s"`
	// Backoff is the factor by which each further pause is longer than the one before.
	Backoff *float64 `yaml:"backoff" check:"min=1"`
	// MaxDelay is the longest pause, such as 30s. It must not be less than delay, and is
	// raised to it if only delay is given.
	MaxDelay *engine.Duration `yaml:"maxDelay" check:"min=0s"`
	// Jitter is the fraction by which each pause may be shorter or longer: 0.2 for a fifth.
	Jitter *float64 `yaml:"jitter" check:"min=0,max=1"`
}

// The keys of mappings in documents.
var (
	PlanKeys     = keysOf[Plan]()
	MetadataKeys = keysOf[Metadata]()
	StepKeys     = keysOf[Step]()
	FragmentKeys = keysOf[Fragment]()
)

func keysOf[T any]() []string { return new(spec.Types).Of(reflect.TypeFor[T]()).Names() }
