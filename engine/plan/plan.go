package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/dag"
	"github.com/ztplan/ztplan/engine/plan/foreach"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// A Plan is a plan that was read and found sound. It does not change and may
// be used from many goroutines.
type Plan struct {
	Name        string
	Description string
	File        string // as the user named it
	Dir         string // absolute; relative files resolve here

	// Inputs has read the plan, and reads all its files: for steps, for digests, for
	// evidence.
	Inputs *engine.Inputs

	// Vars holds every variable's value as plain data. A secret one, and one
	// made from a secret, is an engine.Secret.
	Vars map[string]any

	// Fragment is set if the document is a fragment, which is to be checked and not run.
	Fragment bool

	Steps []*Step // in the order of the file, then the closing steps

	in          Input
	src         *source.File
	root        *yaml.Node           // not changed
	units       []*unit              // of fragments
	unit        *unit                // of its own document
	fragments   map[string]*fragment // by path
	byID        map[string]*Step
	groups      map[string][]*Step  // by the ids that stand for several
	ids         []string            // of steps and groups, in the order of the file
	named       map[string]bool     // those in ids
	connected   map[*yaml.Node]bool // the nodes of the connections
	connections []*connection
	types       *spec.Types
	graph       *dag.Graph
	secrets     []string
	loading     *loader // nil once the plan is read
}

// A Step is one step of a plan.
type Step struct {
	// ID is the id that the plan writes. That of an instance has its key as well:
	// certs["shop"], certs[0].
	ID    string
	Index int // in Plan.Steps, and the node in Plan.Graph
	Kind  *engine.Kind

	// Group is the id as the document has it, if that is another one than ID: of an instance of
	// a step with forEach, and of a step of a fragment. Steps with the same Group and Position
	// are alike. It is "" for another step.
	Group string
	// Empty is set for a step whose forEach has no items. It stands for the instances that
	// there are not, and never runs; it has no inputs.
	Empty bool

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

	draft    any      // see [Step.Draft]
	pending  []string // its inputs that are not known
	faulty   bool     // it has problems, which were reported
	foreseen any      // its outputs that follow from its inputs; see [engine.Foreseer]

	plan  *Plan
	entry *entry        // that is written for it, or for the step that asked for it
	item  *foreach.Item // of forEach; nil if that is not known
	with  *yaml.Node    // with, completed from the connections
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

// An Edge is the first reason that was found why one step needs another.
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

// IDs returns the ids that [Plan.Select] takes: those of steps, of steps with forEach, and
// of fragments.
func (p *Plan) IDs() []string { return slices.Clone(p.ids) }

// Graph returns the graph of the steps; its nodes are their indices.
func (p *Plan) Graph() *dag.Graph { return p.graph }

// Secrets returns the secrets that the plan and its variables hold, of at least four
// characters, for the redaction of output.
func (p *Plan) Secrets() []engine.Secret {
	out := make([]engine.Secret, len(p.secrets))
	for i, s := range p.secrets {
		out[i] = engine.NewSecret(s)
	}
	return out
}

// Sources returns the documents: the plan, then its fragments by their names.
func (p *Plan) Sources() []*source.File {
	out := []*source.File{p.src}
	for _, f := range p.Fragments() {
		out = append(out, p.fragments[f.Path].src)
	}
	return out
}

// Fragments returns the files of the fragments that the plan includes, by name.
func (p *Plan) Fragments() []engine.File {
	var out []engine.File
	for _, f := range p.fragments {
		out = append(out, f.File)
	}
	slices.SortFunc(out, func(a, b engine.File) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Display returns the name of a file that the plan reads, as messages give it: see
// [source.Collector.Display].
func (p *Plan) Display(path string) string { return p.collector().Display(path) }

// Unused returns the variables that nothing refers to, by the places of their declarations.
// A variable of a fragment is one if no use of the fragment refers to it.
func (p *Plan) Unused() map[source.Position]string {
	unused, uses := make(map[source.Position]string), make(map[string]int)
	in := make(map[source.Position]int)
	for _, u := range append([]*unit{p.unit}, p.units...) {
		uses[u.File.Name]++
		for name, at := range u.vars.Unused() {
			in[at]++
			unused[at] = name
		}
	}
	maps.DeleteFunc(unused, func(at source.Position, _ string) bool { return in[at] < uses[at.File] })
	return unused
}

// file resolves a path that the plan names. An empty name is no file.
func (p *Plan) file(name string) engine.File { return p.Inputs.File(p.Dir, name) }

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

// Knows reports whether outputs of the step id hold all that this step refers to. An
// empty value counts as not known: see [engine.Step] for the outputs of a step that
// has differences.
func (s *Step) Knows(id string, outputs any) bool {
	if outputs == nil {
		return false
	}
	return !slices.ContainsFunc(s.Refs, func(r Ref) bool {
		return r.Step == id && !s.plan.types.Holds(outputs, keypath.Parse(r.Output))
	})
}

// subject is the name of the step in messages: "step ID (kind)".
func (s *Step) subject() string {
	switch {
	case s.ID == "":
		return ""
	case s.Kind == nil:
		return "step " + s.ID
	}
	return "step " + s.ID + " (" + s.Kind.Name + ")"
}

// scope returns the scope of the step's inputs.
func (s *Step) scope() *scope {
	return &scope{unit: s.entry.unit, entry: s.entry, item: s.item, step: s}
}

// decoder returns a decoder for the step's inputs. outputs may be nil: see [scope].
func (s *Step) decoder(report func(*source.Problem), outputs func(id string) (any, bool)) *spec.Decoder {
	sc := s.scope()
	sc.outputs = outputs
	return s.plan.decoder(sc, s.subject(), report)
}

// collector returns a collector for problems with the step that show after the plan was
// read.
func (s *Step) collector() *source.Collector {
	c := s.plan.collector()
	c.About(s.ID, "", s.entry.unit.File.Name, s.entry.unit.included)
	return c
}

// silent drops problems that have been reported.
func silent(*source.Problem) {}

// Spec returns the step's inputs: a fresh spec made by Kind.New, with the values of
// outputs in place of references, and all checks made again with these values.
//
// outputs returns the outputs of a step: a struct of the type Kind.Outputs of
// that step, or a pointer to one, and false if it has none. If a step that
// this one refers to has none, the error is a [MissingOutputsError]. Any other
// error is permanent and holds [source.Problems].
func (s *Step) Spec(outputs func(id string) (any, bool)) (any, error) {
	if err := s.available(outputs); err != nil {
		return nil, err
	}
	c := s.collector()
	inputs := s.decode(s.decoder(c.Add, outputs))
	if err := c.Err(); err != nil {
		return nil, engine.Permanent(err)
	}
	return inputs, nil
}

// Draft returns the step's inputs as far as they are known before any step has
// run, and the paths of the inputs that are not: these are zero. An output that follows
// from the inputs of its step is known: see [engine.Foreseer]. It is the same value
// each time, and not to be changed. An empty step has nil and the path "".
func (s *Step) Draft() (inputs any, unknown []string) { return s.draft, s.pending }

// Literal returns the inputs that the plan gives the step, as plain data to be
// shown, without the defaults of the kind: see [spec.Decoder.Literal].
func (s *Step) Literal() map[string]any {
	if source.IsNull(s.with) {
		return map[string]any{}
	}
	return s.decoder(silent, nil).Literal(s.with, s.Kind.Spec)
}

// A MissingOutputsError is a reference to a step without outputs: one that was left
// out, or has not run.
type MissingOutputsError struct {
	Step     string // without outputs
	Ref      Ref
	Position source.Position
}

// Error names the reference.
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
func (s *Step) decode(d *spec.Decoder) any {
	inputs := s.Kind.New()
	with := s.with
	if source.IsNull(with) {
		with = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: s.Position.Line, Column: s.Position.Column}
	}
	sound := d.Decode(with, nil, inputs)
	if h, ok := inputs.(engine.PathHolder); ok {
		h.ResolvePaths(func(path string) string { return s.entry.unit.fileOf(path).Name })
	}
	if check, ok := inputs.(engine.Validator); ok && sound && s.known() {
		problems := engine.Problems{Dir: s.plan.Dir}
		check.Validate(&problems)
		for _, p := range problems.List() {
			s.validated(d, p)
		}
	}
	return inputs
}

// validated reports a problem that a kind found itself, unless it follows from
// an input that is not known yet, or from one that is wrong anyway.
func (s *Step) validated(d *spec.Decoder, p engine.Problem) {
	if d.Unsettled(p.Field) || slices.ContainsFunc(p.After, d.Unsettled) {
		return
	}
	n, subject := s.find(p.Field), d.Subject
	if p.Field != "" {
		subject += ": " + p.Field
		if s.plan.connected[n] {
			subject = "connections." + p.Field
		}
	}
	problem := &source.Problem{Position: s.Place(n), Summary: subject + ": " + p.Message, Detail: d.Elsewhere(n), Hint: p.Hint}
	if p.File != "" {
		problem.Position = source.Position{File: s.plan.collector().Display(p.File), Line: p.Line, Column: p.Column}
	}
	d.Report(problem)
}

// PositionOf returns where the plan gives an input: "expect.status",
// "roles[0].name", `labels["a/b"]`. An input that the plan does not write is
// where it would be written: in the nearest mapping around it. The keys of the
// envelope (when, retry.delay) are found, too.
func (s *Step) PositionOf(path string) source.Position { return s.Place(s.find(path)) }

// Place returns the position of a node of the step.
func (s *Step) Place(n *yaml.Node) source.Position { return s.entry.unit.place(n) }

func (s *Step) find(path string) *yaml.Node {
	elems := keypath.Parse(path)
	if len(elems) == 0 {
		return s.Node
	}
	if n, depth := keypath.Descend(s.with, elems); depth > 0 {
		return n
	}
	if n, depth := keypath.Descend(s.Node, elems); depth > 0 && elems[0].Name != "with" {
		return n
	}
	if _, with := source.Lookup(s.Node, "with"); !source.IsNull(with) {
		return with
	}
	return s.Node
}
