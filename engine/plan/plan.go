package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/dag"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// A Plan is a plan that was read and found sound. It does not change and may
// be used from many goroutines.
type Plan struct {
	Name        string
	Description string
	File        string // as the user named it
	Dir         string // absolute; relative files resolve here

	// Inputs are what the plan was read through. Its files are read through them,
	// too, whenever that is: by steps, for digests, for evidence.
	Inputs *engine.Inputs

	// Vars holds every variable's value as plain data. A secret one, and one
	// made from a secret, is an engine.Secret.
	Vars map[string]any

	Connections Connections

	Steps []*Step // in the order of the file, then the closing steps

	src       *source.File
	byID      map[string]*Step
	ids       []string // in the order of the file
	vars      map[string]*variable
	connected map[*yaml.Node]bool // what belongs to the connections
	vault     *yaml.Node          // connections.vault
	types     *typeCache
	graph     *dag.Graph
	secrets   []string
	loading   *loader // nil once the plan is read
}

// A Step is one step of a plan.
type Step struct {
	ID    string
	Index int // in Plan.Steps, and the node in Plan.Graph
	Kind  *engine.Kind

	// Needs are all steps that must be over before this one starts: those of
	// Explicit, then those that it refers to, each once.
	Needs []string
	// Explicit are those that the plan writes as needs.
	Explicit []string
	// Refs are its references to outputs of other steps, in when and in its
	// inputs, those from the connections included.
	Refs []Ref

	Policy engine.Policy
	When   *Condition // nil means always

	// Closes is the id of the step that asked for this one; it is empty for a
	// step that the plan writes. See [engine.Closer].
	Closes string

	Position source.Position // of the step in the plan
	Node     *yaml.Node      // the step as written

	plan  *Plan
	with  *yaml.Node // with, and what it takes from the connections
	edges []Edge
}

// A Ref is a reference to an output of another step.
type Ref struct {
	Step   string // whose output
	Output string // path of the output: "certificate", "labels.app"
	Input  string // path of the input that holds the reference, or "when"
	Text   string // as written: "${steps.root.certificate}"
	Secret bool

	Position source.Position
}

// An Edge says why one step needs another; the first reason that was found.
type Edge struct {
	From, To string
	Ref      string // the reference that makes the edge; "" if needs does
	Position source.Position

	to *Step
}

func (s *Step) edgeTo(to *Step) int {
	return slices.IndexFunc(s.edges, func(e Edge) bool { return e.to == to })
}

// Step returns the step with an id, or nil.
func (p *Plan) Step(id string) *Step { return p.byID[id] }

// Graph returns the graph of the steps; its nodes are their indices.
func (p *Plan) Graph() *dag.Graph { return p.graph }

// Edges returns why steps need each other: all edges, by step in the order of
// the file, and within a step as in Needs.
func (p *Plan) Edges() []Edge {
	var edges []Edge
	for _, s := range p.Steps {
		edges = append(edges, s.edges...)
	}
	return edges
}

// Secrets returns the secrets that the plan and its variables hold, for
// whoever shows anything to take out. Secrets shorter than four characters are
// not among them.
func (p *Plan) Secrets() []engine.Secret {
	out := make([]engine.Secret, len(p.secrets))
	for i, s := range p.secrets {
		out[i] = engine.NewSecret(s)
	}
	return out
}

func (p *Plan) position(n *yaml.Node) source.Position {
	return source.Position{File: p.File, Line: n.Line, Column: n.Column}
}

// collector returns a collector for problems that show after the plan was read.
func (p *Plan) collector() *source.Collector {
	return source.NewCollector(p.Inputs, p.src, p.Dir, p.secrets)
}

// DataNeeds returns the steps whose outputs this one refers to, each once, in
// the order of Refs. If one of them is left out, so is this step: see
// [Plan.Select].
func (s *Step) DataNeeds() []string {
	var ids []string
	for _, r := range s.Refs {
		if !slices.Contains(ids, r.Step) {
			ids = append(ids, r.Step)
		}
	}
	return ids
}

// Knows reports whether all that this step uses of the outputs of the step id
// is in them. What is empty counts as not known: see [engine.Step] for what the
// outputs of a step that differs are.
func (s *Step) Knows(id string, outputs any) bool {
	if outputs == nil {
		return false
	}
	for _, r := range s.Refs {
		if r.Step != id {
			continue
		}
		ref, bad := parseReference(r.Text)
		if bad != nil {
			return false
		}
		v, err := s.plan.types.walk(reflect.ValueOf(outputs), ref.path[1:])
		if err != nil || incomplete(v) {
			return false
		}
	}
	return true
}

// incomplete reports whether a value holds nothing, or one of its fields does.
func incomplete(v reflect.Value) bool {
	switch {
	case empty(v):
		return true
	case v.Kind() == reflect.Struct && v.Type() != secretType && v.Type() != fileType && !scalar(v.Type()):
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && incomplete(v.Field(i)) {
				return true
			}
		}
		return false
	}
	return v.IsZero()
}

// subject is how messages name the step: "step root (pkiRoot)".
func (s *Step) subject() string {
	switch {
	case s.ID == "":
		return ""
	case s.Kind == nil:
		return "step " + s.ID
	}
	return "step " + s.ID + " (" + s.Kind.Name + ")"
}

func (s *Step) decoder(report func(*source.Problem)) *decoder {
	return &decoder{p: s.plan, step: s, subject: s.subject(), report: report}
}

// Spec returns the step's inputs as its kind wants them: a fresh spec made by
// Kind.New, every reference to an output replaced by what the output holds,
// every check made again with these values.
//
// outputs returns what a step learned: a struct of the type Kind.Outputs of
// that step, or a pointer to one, and false if it has none. If a step that
// this one refers to has none, the error is a [MissingOutputsError]. Any other
// error is permanent and holds [source.Problems].
func (s *Step) Spec(outputs func(id string) (any, bool)) (any, error) {
	if err := s.available(outputs); err != nil {
		return nil, err
	}
	c := s.plan.collector()
	d := s.decoder(c.Add)
	d.outputs = outputs
	spec := s.decode(d)
	if err := c.Err(); err != nil {
		return nil, engine.Permanent(err)
	}
	return spec, nil
}

// Draft returns the step's inputs as far as they are known before any step has
// run, and the paths of the inputs that are not: these are zero.
func (s *Step) Draft() (spec any, unknown []string) {
	d := s.decoder(func(*source.Problem) {})
	spec = s.decode(d)
	return spec, d.pending
}

// A MissingOutputsError says that a step refers to a step without outputs: one
// that was left out, or has not run.
type MissingOutputsError struct {
	Step     string // without outputs
	Ref      Ref
	Position source.Position
}

// Error says which reference cannot be followed.
func (e *MissingOutputsError) Error() string {
	return fmt.Sprintf("%s: step %s has no outputs: it did not run", e.Ref.Text, e.Step)
}

func (s *Step) available(outputs func(id string) (any, bool)) error {
	for _, r := range s.Refs {
		if _, ok := outputs(r.Step); !ok {
			return &MissingOutputsError{Step: r.Step, Ref: r, Position: r.Position}
		}
	}
	return nil
}

// decode makes the spec: defaults, inputs, the kind's own checks.
func (s *Step) decode(d *decoder) any {
	spec := s.Kind.New()
	v := reflect.ValueOf(spec).Elem()
	with := s.with
	if source.IsNull(with) {
		with = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: s.Position.Line, Column: s.Position.Column}
	}
	d.path = d.path[:0]
	out := d.value(with, v, false)
	s.plan.resolveFiles(v)
	if check, ok := spec.(engine.Validator); ok && out == set {
		problems := engine.Problems{Dir: s.plan.Dir}
		check.Validate(&problems)
		for _, p := range problems.List() {
			d.validated(p)
		}
	}
	return spec
}

// validated reports a problem that a kind found itself, unless it follows from
// an input that is not known yet, or from one that is wrong anyway.
func (d *decoder) validated(p engine.Problem) {
	for _, path := range d.pending {
		if below(p.Field, path) || p.Field != "" && below(path, p.Field) {
			return
		}
	}
	for _, path := range d.bad {
		if p.Field != "" && (below(p.Field, path) || below(path, p.Field)) {
			return
		}
	}
	at := d.step.PositionOf(p.Field)
	subject := d.subject
	if p.Field != "" {
		subject += ": " + p.Field
		if n := d.step.find(p.Field); d.p.connected[n] {
			subject = "connections." + p.Field
		}
	}
	problem := &source.Problem{File: at.File, Line: at.Line, Column: at.Column, Summary: subject + ": " + p.Message, Hint: p.Hint}
	if p.File != "" {
		problem.File, problem.Line, problem.Column = d.display(p.File), p.Line, p.Column
	}
	d.report(problem)
}

func (d *decoder) display(path string) string {
	return d.p.collector().Display(path)
}

// below reports whether a path is another one or lies inside it.
func below(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && (rest == "" || top == "" || rest[0] == '.' || rest[0] == '[')
}

// PositionOf returns where the plan gives an input: "expect.status",
// "roles[0].name", `labels["a/b"]`. An input that the plan does not write is
// where it would be written: in the nearest mapping around it. The keys of the
// envelope (when, retry.delay) are found, too.
func (s *Step) PositionOf(path string) source.Position { return s.plan.position(s.find(path)) }

func (s *Step) find(path string) *yaml.Node {
	elems := parsePath(path)
	if len(elems) == 0 {
		return s.Node
	}
	if !source.IsNull(s.with) {
		if n, depth := descend(s.with, elems); depth > 0 {
			return n
		}
	}
	if n, depth := descend(s.Node, elems); depth > 0 && elems[0].name != "with" {
		return n
	}
	if _, with := source.Lookup(s.Node, "with"); !source.IsNull(with) {
		return with
	}
	return s.Node
}

// descend follows a path as far as it goes and returns how far that was.
func descend(n *yaml.Node, path []elem) (*yaml.Node, int) {
	for i, e := range path {
		var next *yaml.Node
		if e.index < 0 {
			_, next = source.Lookup(n, e.name)
		} else if n.Kind == yaml.SequenceNode && e.index < len(n.Content) {
			next = n.Content[e.index]
		}
		if next == nil {
			return n, i
		}
		n = next
	}
	return n, len(path)
}
