package plan

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/dag"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/vars"
)

// APIVersion and DocumentKind are the first keys of every plan.
const (
	APIVersion   = "ztplan.dev/v1"
	DocumentKind = "Plan"
)

// An Input is a plan to read and all that it depends on.
type Input struct {
	// File is the plan's path, as the user named it: messages name it so, and
	// relative files are beside it. It may be missing if Data is given.
	File string
	// Data is the plan's text; if nil, File is read.
	Data []byte
	// Inputs reads all files, the plan included; nil means new ones.
	Inputs *engine.Inputs
	// Kinds are the kinds of steps that a plan may use.
	Kinds []*engine.Kind
	// Connections are the keys that a plan may have below connections.
	Connections []engine.Connection
	// Vars are values of variables from the command line.
	Vars map[string]string
	// VarFiles are YAML or JSON files of variables; later ones come before
	// earlier ones, and Vars come before all.
	VarFiles []string
	// Values are variables that another document gives. They come before VarFiles, and
	// none of them may be a secret. A text becomes what the plan declares.
	Values Values
	// Refused returns, for a key that a kind or a connection does not have, why it is left
	// out on purpose and what to do instead; "" for others. It may be nil.
	Refused func(key string) string
	// Env looks up environment variables that the plan's variables name. Nil means
	// that there are none.
	Env func(name string) (string, bool)
}

// Values are variables that another document gives.
type Values = vars.Values

// Load reads and checks a plan without contacting anything. The error is a
// *[source.Problems] that holds every problem of the plan; then the plan is nil. It
// reads the plan, the variable files and the files that inputs of steps name.
//
// It panics if the types of a kind are wrong; see [spec.CheckKind].
func Load(in Input) (*Plan, error) {
	return whole(Draft(in))
}

// Draft reads a plan as [Load] does and returns what could be read of it together with
// its problems, for readers that contact nothing. A step of a kind that is unknown has no
// Kind, and an input that is wrong is as its kind has it by default. The plan is nil only
// if its file cannot be read.
func Draft(in Input) (*Plan, error) {
	if in.File == "" {
		in.File = "plan.yaml"
	}
	if in.Inputs == nil {
		in.Inputs = engine.NewInputs(context.Background())
	}
	l := newLoader(in)
	l.plan.types = new(spec.Types)
	if err := l.open(); err != nil {
		return nil, source.NewProblems(err)
	}
	if l.plan.root = source.Parse(l.plan.src, "a plan", l.Add); l.plan.root == nil && l.Len() == 0 {
		l.Add(&source.Problem{Position: source.Position{File: in.File, Line: 1, Column: 1}, Summary: "the plan is empty",
			Hint: "a plan begins with apiVersion: " + APIVersion})
	}
	return l.load()
}

// With reads the plan again with variables that another document gives, in place of those
// of [Input.Values]. Its file is not read and parsed again. It may be called from several
// goroutines.
func (p *Plan) With(values Values) (*Plan, error) {
	in := p.in
	in.Values = values
	l := newLoader(in)
	l.plan.types, l.plan.src, l.plan.root, l.plan.Dir = p.types, p.src, p.root, p.Dir
	l.Collector = source.NewCollector(in.Inputs, p.src, p.Dir, nil)
	return whole(l.load())
}

// whole leaves out a plan that has problems.
func whole(p *Plan, err error) (*Plan, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}

func newLoader(in Input) *loader {
	l := &loader{in: in, circles: make(map[string]bool)}
	l.plan = &Plan{File: in.File, Inputs: in.Inputs, in: in, byID: make(map[string]*Step), entries: make(map[string]*entry), loading: l}
	return l
}

// load reads the document that was parsed.
func (l *loader) load() (*Plan, error) {
	l.plan.vars = vars.New(l.plan.src, l.Collector, func(subject string, report func(*source.Problem)) *spec.Decoder {
		return l.plan.decoder(&scope{noSteps: "variables have their values before any step runs"}, subject, report)
	})
	if l.plan.root != nil {
		l.document(l.plan.root)
	}
	l.plan.vars.Seal()
	if l.Len() == 0 {
		l.compareClaims()
	}
	err := l.Err()
	l.plan.loading = nil
	l.plan.secrets = l.Secrets()
	return l.plan, err
}

// A loader holds the state of reading a plan that the plan does not keep.
type loader struct {
	*source.Collector
	in        Input
	plan      *Plan
	name      *yaml.Node // of the plan, until it is resolved
	naming    bool       // it is being resolved
	kinds     map[string]*engine.Kind
	kindNames []string
	compared  int             // ids of steps, for suggestions
	reached   []int           // by step: the step that has an edge to it, plus one
	closers   []closer        // in the order of the file
	circles   map[string]bool // of steps that need each other, by the places of their needs
}

func (l *loader) open() *source.Problem {
	p := l.plan
	data := l.in.Data
	if data == nil {
		var err error
		if data, err = p.Inputs.ReadGiven(p.File); err != nil {
			var pe *fs.PathError
			if errors.As(err, &pe) {
				err = pe.Err
			}
			problem := &source.Problem{Position: source.Position{File: p.File}, Summary: err.Error()}
			if best := source.ClosestFile(p.File); best != "" && errors.Is(err, fs.ErrNotExist) {
				problem.Hint = fmt.Sprintf("did you mean %q?", filepath.Join(filepath.Dir(p.File), best))
			}
			return problem
		}
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	abs, err := filepath.Abs(p.File)
	if err != nil {
		return &source.Problem{Position: source.Position{File: p.File}, Summary: err.Error()}
	}
	p.Dir = filepath.Dir(abs)
	p.src = source.NewFile(p.File, data)
	l.Collector = source.NewCollector(p.Inputs, p.src, p.Dir, nil)
	return nil
}

// problem reports something wrong with the plan at a node.
func (l *loader) problem(n *yaml.Node, hint, format string, args ...any) {
	l.Add(&source.Problem{Position: l.plan.position(n), Summary: fmt.Sprintf(format, args...), Hint: hint})
}

// text returns a scalar of the envelope that must be text.
func (l *loader) text(n *yaml.Node, subject string) string {
	return spec.Reporter{File: l.plan.src, Add: l.Add}.Text(n, subject)
}

// identifier reports whether s may name a plan or a step.
func identifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || i > 0 && (c >= '0' && c <= '9' || c == '-')) {
			return false
		}
	}
	return s != ""
}

const identifierHint = "use lower-case letters, digits and hyphens, beginning with a letter"

func (l *loader) document(root *yaml.Node) {
	if root.Kind != yaml.MappingNode {
		l.problem(root, "a plan begins with apiVersion: "+APIVersion, "want a plan, have %s", spec.KindOf(root))
		return
	}
	parts, unknown := split(root, planKeys)
	version, kind := l.constant(root, parts, "apiVersion", APIVersion), l.constant(root, parts, "kind", DocumentKind)
	if !version && !kind && parts["steps"] == nil {
		return // some other document: its other problems do not matter
	}
	for _, key := range unknown {
		l.problem(key, source.Suggestion(key.Value, planKeys, "a plan has "), "unknown key %q", key.Value)
	}
	l.metadata(root, parts["metadata"])
	for _, k := range l.in.Kinds {
		if l.kinds == nil {
			l.kinds = make(map[string]*engine.Kind, len(l.in.Kinds))
		}
		l.kinds[k.Name] = k
		l.kindNames = append(l.kindNames, k.Name)
	}
	if n := parts["vars"]; n != nil {
		l.plan.vars.Declare(n)
	}
	l.plan.vars.Give(vars.Given{Env: l.in.Env, Files: l.in.VarFiles, Values: l.in.Values, Flags: l.in.Vars}, l.in.Inputs)
	l.resolveName()
	l.plan.Vars = l.plan.vars.Resolve()
	l.readSteps(root, parts["steps"])
	if n := parts["connections"]; n != nil {
		l.readConnections(n)
	}
	for _, s := range l.plan.Steps {
		l.About(s.ID, s.Group)
		before := l.Len()
		l.step(s, s.entry.parts)
		s.faulty = l.Len() > before
	}
	l.About("", "")
	l.close()
	l.graph()
	l.foresee()
}

// split returns the values of a mapping by their keys, and the keys that are not known.
func split(n *yaml.Node, known []string) (parts map[string]*yaml.Node, unknown []*yaml.Node) {
	parts = make(map[string]*yaml.Node, len(n.Content)/2)
	for key, val := range source.Pairs(n) {
		parts[key.Value] = val
		if !slices.Contains(known, key.Value) {
			unknown = append(unknown, key)
		}
	}
	return parts, unknown
}

// constant checks a key that must have one value.
func (l *loader) constant(root *yaml.Node, parts map[string]*yaml.Node, key, want string) bool {
	n := parts[key]
	switch {
	case n == nil:
		l.problem(root, fmt.Sprintf("add %s: %s", key, want), "%s is missing", key)
	case n.Kind != yaml.ScalarNode || n.Value != want:
		hint := fmt.Sprintf("write %s: %s", key, want)
		if key == "apiVersion" && n.Kind == yaml.ScalarNode && strings.HasPrefix(n.Value, "ztplan.dev/") {
			hint = fmt.Sprintf("this ztplan reads %s; another release may read %s", want, n.Value)
		}
		l.problem(n, hint, "%s: want %s, have %s", key, want, spec.Describe(n))
	default:
		return true
	}
	return false
}

func (l *loader) metadata(root, n *yaml.Node) {
	switch {
	case source.IsNull(n):
		l.problem(cmp.Or(n, root), "add metadata: {name: …}", "metadata is missing: a plan has a name")
		return
	case n.Kind != yaml.MappingNode:
		l.problem(n, "write metadata: {name: …}", "metadata: want a mapping, have %s", spec.Describe(n))
		return
	}
	parts, unknown := split(n, metadataKeys)
	for _, key := range unknown {
		l.problem(key, source.Suggestion(key.Value, metadataKeys, "the keys here are "), "metadata: unknown key %q", key.Value)
	}
	if l.name = parts["name"]; l.name == nil {
		l.problem(n, "add name: …", "metadata.name is missing")
	}
	if description := parts["description"]; description != nil {
		l.plan.Description = l.text(description, "metadata.description")
	}
}

// resolveName sets the name of the plan, which may be made of variables.
func (l *loader) resolveName() {
	const subject = "metadata.name"
	n := l.name
	if l.name = nil; n == nil {
		return
	}
	l.naming = true
	defer func() { l.naming = false }()
	d := l.plan.decoder(&scope{noSteps: "the plan has its name before any step runs"}, subject, l.Add)
	value, secret, ok := d.Substitute(n)
	switch {
	case !ok:
		return
	case secret:
		l.problem(n, "use a variable that is no secret", "%s: is made of a secret, and everything shows the name", subject)
		return
	case value != n:
		at := *value
		at.Line, at.Column = n.Line, n.Column
		value = &at
	}
	l.plan.Name = l.text(value, subject)
	if s := l.plan.Name; s != "" && !identifier(s) || s == "" && value.Value == "" {
		l.problem(n, identifierHint, "%s: %q is not a name", subject, s)
	}
}

// readSteps reads the envelopes, so that every id is known before any
// reference is looked at.
func (l *loader) readSteps(root, n *yaml.Node) {
	switch {
	case source.IsNull(n):
		l.problem(cmp.Or(n, root), "add steps: [{id: …, uses: …}]", "steps are missing: a plan has at least one")
		return
	case n.Kind != yaml.SequenceNode:
		l.problem(n, "write every step with a hyphen: - id: …", "steps: want a list, have %s", spec.Describe(n))
		return
	case len(n.Content) == 0:
		l.problem(n, "add steps: [{id: …, uses: …}]", "steps: the list is empty: a plan has at least one")
		return
	}
	l.plan.Steps = make([]*Step, 0, len(n.Content))
	for i, item := range n.Content {
		if item.Kind != yaml.MappingNode {
			l.problem(item, "write id: …, uses: …", "steps[%d]: want a step, have %s", i, spec.Describe(item))
			continue
		}
		l.readEntry(i, item)
	}
}

// decoder returns a decoder that reports its problems and keeps the secrets that the
// plan holds.
func (l *loader) decoder(sc *scope, subject string) *spec.Decoder {
	d := l.plan.decoder(sc, subject, l.Add)
	d.KeepSecret = l.KeepSecret
	return d
}

// step reads everything of a step but its id and its kind.
func (l *loader) step(s *Step, e envelope) {
	subject := s.subject()
	if subject == "" {
		subject = fmt.Sprintf("steps[%d]", s.entry.index)
	}
	l.needs(s, e["needs"], subject)
	sc := &scope{step: s}
	d := l.decoder(sc, subject)
	l.recordRefs(sc, d)
	if !source.IsNull(e["when"]) {
		s.When = s.when(d, e["when"])
	}
	if s.Kind == nil {
		if e["with"] != nil {
			d.Scan(e["with"])
		}
		return
	}
	l.policy(s, e, subject)
	s.with = l.withConnections(s, e["with"])
	if s.draft, s.pending = s.decode(d), d.Pending(); !s.itemKnown() {
		s.draft, s.pending = nil, []string{""} // the inputs as a whole
		return
	}
	l.closing(s, e)
}

// suggestStep is a suggestion for the id of a step. A plan of thousands of steps
// with thousands of mistakes gets suggestions for the first of them only: comparing
// each with each would take longer than reading it.
func (p *Plan) suggestStep(written string) string { return p.suggest(written, p.ids, "the steps are ") }

func (p *Plan) suggest(written string, ids []string, intro string) string {
	const most = 1_000_000
	if l := p.loading; l != nil {
		if l.compared += len(ids); l.compared > most+len(ids) {
			return ""
		}
	}
	return source.Suggestion(written, ids, intro)
}

// recordRefs makes a step's scope record the references of its decoder.
func (l *loader) recordRefs(sc *scope, d *spec.Decoder) {
	sc.refer = func(n *yaml.Node, ref *spec.Reference, to *Step, secret bool) {
		at := d.Place(n, ref)
		sc.step.Refs = append(sc.step.Refs, Ref{
			Step: to.ID, Output: keypath.String(to.entry.outputPath(ref.Path)), Input: d.Path(), Text: ref.Raw, Secret: secret, Position: at,
		})
		l.edge(sc.step, to, Edge{Position: at, Ref: ref.Raw})
	}
}

// edge adds an edge unless there is one, and reports whether it did. All edges
// of a step are added before those of the next.
func (l *loader) edge(s, to *Step, e Edge) bool {
	if l.reached == nil {
		l.reached = make([]int, len(l.plan.Steps))
	}
	if l.reached[to.Index] == s.Index+1 {
		return false
	}
	l.reached[to.Index] = s.Index + 1
	e.From, e.To, e.to = s.ID, to.ID, to
	s.edges = append(s.edges, e)
	return true
}

// policy sets the policy of a step: the kind's, with the step's timeout and retry.
func (l *loader) policy(s *Step, e envelope, subject string) {
	s.Policy = s.Kind.Policy
	if s.Policy == (engine.Policy{}) {
		s.Policy = engine.DefaultPolicy()
	}
	if e["timeout"] == nil && e["retry"] == nil {
		return
	}
	var in StepPolicy
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	add := func(key string, val *yaml.Node) {
		if val != nil {
			n.Content = append(n.Content, text(key), val)
		}
	}
	add("timeout", e["timeout"])
	add("retry", e["retry"])
	l.decoder(&scope{step: s, noSteps: "how a step is tried is known before any step runs"}, subject).Decode(n, nil, &in)
	p := &s.Policy
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
	if r.MaxDelay != nil {
		p.MaxDelay = r.MaxDelay.Std()
	}
	if r.Delay != nil {
		p.Delay = r.Delay.Std()
		if p.Delay > p.MaxDelay && r.MaxDelay == nil {
			p.MaxDelay = p.Delay
		} else if p.Delay > p.MaxDelay {
			_, at := source.Lookup(e["retry"], "maxDelay")
			l.problem(cmp.Or(at, e["retry"]), "", "%s: retry.maxDelay: %v is less than retry.delay, %v", subject, *r.MaxDelay, *r.Delay)
		}
	}
}

// graph builds the graph and reports cycles.
func (l *loader) graph() {
	needs := make([][]int, len(l.plan.Steps))
	for i, s := range l.plan.Steps {
		for _, e := range s.edges {
			needs[i] = append(needs[i], e.to.Index)
		}
		s.Needs = make([]string, len(s.edges))
		for j, e := range s.edges {
			s.Needs[j] = e.to.ID
		}
	}
	g, err := dag.New(needs)
	var circle *dag.CycleError
	if errors.As(err, &circle) {
		for _, c := range circle.Cycles {
			l.cycle(c)
		}
		return
	}
	l.plan.graph = g
}

func (l *loader) cycle(nodes []int) {
	steps := l.plan.Steps
	var names, why, places []string
	for i, n := range nodes {
		s, to := steps[n], steps[nodes[(i+1)%len(nodes)]]
		names = append(names, s.ID)
		e := s.edges[s.edgeTo(to)]
		by := "needs"
		if e.Ref != "" {
			by = e.Ref
		}
		why = append(why, fmt.Sprintf("%s needs %s: %s, %s", s.ID, to.ID, e.Position, by))
		places = append(places, e.Position.String()+by)
	}
	slices.Sort(places)
	if places := strings.Join(places, "\n"); l.circles[places] {
		return // of other instances of these steps
	} else {
		l.circles[places] = true
	}
	names = append(names, names[0])
	first := steps[nodes[0]]
	l.Add(&source.Problem{
		Position: first.edges[first.edgeTo(steps[nodes[1%len(nodes)]])].Position,
		Summary:  "steps need each other in a circle: " + strings.Join(names, " -> "),
		Detail:   strings.Join(why, "\n"),
		Hint:     "remove one of these",
	})
}
