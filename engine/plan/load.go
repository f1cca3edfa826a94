package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/dag"
	"github.com/ztplan/ztplan/engine/plan/document"
	"github.com/ztplan/ztplan/engine/plan/input"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/merge"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/syntax"
	"github.com/ztplan/ztplan/engine/plan/vars"
)

// An Input is a plan to read and all that it depends on.
type Input = input.Input

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

// Draft reads a plan as [Load] does and returns the readable part of it with its problems,
// for readers that contact nothing. A step of a kind that is unknown has no Kind, and an
// input that is wrong is as its kind has it by default. The plan is nil only if its file
// cannot be read.
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
			Hint: "a plan begins with apiVersion: " + document.APIVersion})
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
	maps.Copy(l.plan.fragments, p.fragments)
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
	l.plan = &Plan{
		File: in.File, Inputs: in.Inputs, in: in, byID: make(map[string]*Step), loading: l,
		named: make(map[string]bool), groups: make(map[string][]*Step), fragments: make(map[string]*fragment),
	}
	return l
}

// load reads the document that was parsed.
func (l *loader) load() (*Plan, error) {
	u := &unit{Reporter: source.Reporter{File: l.plan.src, Add: l.Add}, plan: l.plan, entries: make(map[string]*entry)}
	l.plan.unit, u.vars = u, l.variables(u)
	if l.plan.root != nil {
		l.document(l.plan.root)
	}
	l.plan.units = l.units
	for _, u := range append(l.units, u) {
		u.vars.Seal()
		u.Add = nil
	}
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
	units     []*unit    // of fragments, in the order of their steps
	full      bool       // fragments that include each other make too much of the plan
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
			problem := &source.Problem{Position: source.Position{File: p.File}, Summary: source.Unread(err).Error()}
			if best := source.ClosestFile(p.File); best != "" && errors.Is(err, fs.ErrNotExist) {
				problem.Hint = fmt.Sprintf("did you mean %q?", filepath.Join(filepath.Dir(p.File), best))
			}
			return problem
		}
	}
	abs, err := filepath.Abs(p.File)
	if err != nil {
		return &source.Problem{Position: source.Position{File: p.File}, Summary: err.Error()}
	}
	p.Dir = filepath.Dir(abs)
	p.src = source.NewFile(p.File, data)
	l.Collector = source.NewCollector(p.Inputs, p.src, p.Dir, nil)
	return nil
}

// problem reports something wrong with the plan's own document at a node.
func (l *loader) problem(n *yaml.Node, hint, format string, args ...any) {
	l.plan.unit.Problem(n, hint, format, args...)
}

// about places the problems that follow in a unit, and in the entry or step with an id;
// local is that id in the document. See [source.Collector.About].
func (l *loader) about(u *unit, id, local string) {
	if local == id {
		local = ""
	}
	l.About(id, local, u.File.Name, u.included)
}

func (l *loader) document(root *yaml.Node) {
	if !document.MayBePlan(l.plan.unit.Reporter, root) {
		return
	}
	parts, unknown := document.Split(root, document.PlanKeys)
	u := l.plan.unit
	if kind := parts["kind"]; kind != nil && kind.Value == document.FragmentKind {
		if l.in.Fragment {
			l.alone()
			return
		}
		u.Problem(kind, "write include: with the path of this file at an entry of steps in a plan, and check that plan", "this is a fragment: a plan includes it")
		return
	}
	version, kind := document.Constant(u.Reporter, root, parts, "apiVersion", document.APIVersion), document.Constant(u.Reporter, root, parts, "kind", document.PlanKind)
	if !version && !kind && parts["steps"] == nil {
		return // some other document: its other problems do not matter
	}
	meant := document.TakeMeant(parts, unknown, document.PlanKeys)
	for _, key := range unknown {
		l.problem(key, source.KeyHint(key.Value, document.PlanKeys, "a plan has "), "unknown key %q", key.Value)
	}
	if parts["metadata"] != nil || !meant["metadata"] {
		l.name, l.plan.Description = document.ReadMetadata(u.Reporter, root, parts["metadata"])
	}
	l.kindsByName()
	u.vars.Declare(parts["vars"])
	u.vars.Give(vars.Given{Env: l.in.Env, Files: l.in.VarFiles, Values: l.in.Values, Flags: l.in.Vars}, l.in.Inputs)
	l.resolveName()
	l.plan.Vars = u.vars.Resolve()
	if missing := parts["steps"] == nil && meant["steps"]; !missing && document.HasSteps(u.Reporter, root, parts["steps"], "a plan") {
		l.plan.Steps = make([]*Step, 0, len(parts["steps"].Content))
		l.readSteps(u, parts["steps"])
	}
	l.readConnections(parts["connections"])
	l.steps()
}

// steps reads the steps of the document, and of those that it includes, once all are known.
func (l *loader) steps() {
	for _, u := range slices.Backward(l.units) {
		l.scanOutputs(u) // of inner fragments first: others refer to them
	}
	for _, u := range l.units {
		l.check(u)
	}
	for _, s := range l.plan.Steps {
		l.about(s.entry.unit, s.ID, s.entry.id)
		before := l.Len()
		l.step(s)
		s.faulty = l.Len() > before
	}
	l.about(l.plan.unit, "", "")
	l.close()
	l.graph()
	l.foresee()
}

func (l *loader) kindsByName() {
	for _, k := range l.in.Kinds {
		if l.kinds == nil {
			l.kinds = make(map[string]*engine.Kind, len(l.in.Kinds))
		}
		l.kinds[k.Name] = k
		l.kindNames = append(l.kindNames, k.Name)
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
	v, ok := d.Substitute(n)
	switch {
	case !ok:
		return
	case v.Secret:
		l.problem(n, "use a variable that is no secret", "%s: is made of a secret, and everything shows the name", subject)
		return
	}
	value := *v.Node
	value.Line, value.Column = n.Line, n.Column
	l.plan.Name = l.plan.unit.Text(&value, subject)
	if source.IsText(&value) && !document.IsID(l.plan.Name) {
		l.problem(n, document.IDHint, "%s: %q is not a name", subject, l.plan.Name)
	}
}

// readSteps reads the envelopes, so that every id is known before any
// reference is looked at.
func (l *loader) readSteps(u *unit, n *yaml.Node) {
	for i, item := range n.Content {
		if item.Kind != yaml.MappingNode {
			u.Problem(item, "write id: …, uses: …", "steps[%d]: want a step, have %s", i, source.Describe(item))
			continue
		}
		l.readEntry(u, i, item)
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
func (l *loader) step(s *Step) {
	u, e := s.entry.unit, s.entry.parts
	subject := s.subject()
	if subject == "" {
		subject = s.entry.subject()
	}
	for _, in := range u.around() {
		l.addNeeds(s, in.needs)
		if when := in.entry.parts["when"]; !source.IsNull(when) {
			sc := &scope{unit: in.parent, entry: in.entry, item: in.item, step: s}
			l.about(in.parent, in.id, in.entry.id)
			l.when(s, sc, when, "step "+in.id)
			l.about(u, s.ID, s.entry.id)
		}
	}
	l.addNeeds(s, l.needed(s.scope(), e["needs"], subject))
	sc := s.scope()
	if !source.IsNull(e["when"]) {
		l.when(s, sc, e["when"], subject)
	}
	d := l.decoder(sc, subject)
	l.recordRefs(sc, d)
	if s.Kind == nil {
		if e["with"] != nil {
			d.Scan(e["with"])
		}
		return
	}
	l.policy(s, e, subject)
	if s.with = l.withConnections(s, e["with"]); l.plan.Fragment {
		s.with = merge.Absent(l.plan.types.Of(s.Kind.Spec), l.in.Connections, s.with, text("${plan.connections}"), s.Position, d.Scan)
	}
	if s.draft, s.pending = s.decode(d), d.Pending(); !s.known() {
		s.draft, s.pending = nil, []string{""} // the inputs as a whole
		return
	}
	l.closing(s, e)
}

// addNeeds adds the edges of a step to others that it needs.
func (l *loader) addNeeds(s *Step, needs []need) {
	for _, n := range needs {
		for _, to := range n.steps {
			if l.edge(s, to, Edge{Position: n.position}) {
				s.Explicit = append(s.Explicit, to.ID)
			}
		}
	}
}

// when adds a condition to a step: its own, or that of an entry which includes the fragment
// with the step.
func (l *loader) when(s *Step, sc *scope, n *yaml.Node, subject string) {
	d := l.decoder(sc, subject)
	l.recordRefs(sc, d)
	if c := newCondition(d, sc, n, subject); c != nil {
		c.outer, s.When = s.When, c
	}
}

// recordRefs makes a step's scope record the references of its decoder.
func (l *loader) recordRefs(sc *scope, d *spec.Decoder) {
	sc.refer = func(n *yaml.Node, ref *syntax.Reference, to target, secret bool) {
		at := d.Place(n, ref)
		sc.step.Refs = append(sc.step.Refs, Ref{
			Step: to.step.ID, Output: keypath.String(to.path), Input: d.Path(), Text: ref.Raw, Secret: secret, Position: at,
		})
		l.edge(sc.step, to.step, Edge{Position: at, Ref: ref.Raw})
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
	var in document.Policy
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	add := func(key string, val *yaml.Node) {
		if val != nil {
			n.Content = append(n.Content, text(key), val)
		}
	}
	add("timeout", e["timeout"])
	add("retry", e["retry"])
	sc := s.scope()
	sc.noSteps = "how a step is tried is known before any step runs"
	d := l.decoder(sc, subject)
	d.Decode(n, nil, &in)
	if !in.Over(&s.Policy) && !d.Unsettled("retry.delay") && !d.Unsettled("retry.maxDelay") {
		_, at := source.Lookup(e["retry"], "maxDelay")
		s.entry.unit.Problem(cmp.Or(at, e["retry"]), "", "%s: retry.maxDelay: %v is less than retry.delay, %v", subject, *in.Retry.MaxDelay, *in.Retry.Delay)
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
