package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/dag"
	"github.com/ztplan/ztplan/engine/redact"
)

// Run runs the nodes, which must be acyclic and refer only to each other: a
// otherwise the error is a *dag.CycleError.
//
// The error is nil when every step converged and every proof held; else it is
// it joins one *StepError per failed step, in plan order. Steps that were skipped
// because of them are not in it. An interrupted run reports so in
// the Result; its error holds the steps that were cut off.
func Run(ctx context.Context, nodes []Node, opts Options) (*Result, error) {
	r, err := newRunner(nodes, opts)
	if err != nil {
		return nil, err
	}
	return r.run(ctx)
}

// message is sent by a step's goroutine to the owner: an event, or that the
// step is done.
type message struct {
	index int
	event *engine.Event
	done  *outcome
}

type outcome struct {
	state     State
	outputs   any
	edits     int
	retries   int
	err       error
	needs     []string // for skip: because of whom
	blockedBy []string // in a dry run: the needs that differ, or are blocked
	reason    string
	found     []engine.Edit // by a dry run
	awaited   *engine.Awaited
	waits     bool // for skip: a need is awaiting something
}

// runner is owned by the goroutine that calls run.
type runner struct {
	nodes    []Node
	opts     Options
	redactor *redact.Redactor
	settled  *redact.Redactor // of a dry run: without secrets found in blocked steps

	index    map[string]int
	graph    *dag.Graph
	schedule *dag.Schedule
	ready    []int // queue of nodes that may start, in order
	head     int

	results  []StepResult
	found    []finding // of a dry run
	gate     *gate
	ledger   ledger
	makers   *makers
	messages chan message
	running  int

	wall time.Time
}

func newRunner(nodes []Node, opts Options) (*runner, error) {
	if opts.Parallel < 1 {
		opts.Parallel = 10
	}
	if opts.Grace <= 0 {
		opts.Grace = 30 * time.Second
	}
	if opts.Env.Now == nil {
		opts.Env.Now = time.Now
	}
	if opts.Env.Session == nil {
		opts.Env.Session = new(engine.Session)
	}
	if opts.Sink == nil {
		opts.Sink = func(engine.Event) {}
	}
	r := &runner{
		nodes:    nodes,
		opts:     opts,
		redactor: new(redact.Redactor),
		index:    make(map[string]int, len(nodes)),
		results:  make([]StepResult, len(nodes)),
		found:    make([]finding, len(nodes)),
		gate:     newGate(),
		messages: make(chan message, 64),
	}
	r.redactor.Add(opts.Secrets...)
	if opts.Mode == DryRun {
		r.settled = new(redact.Redactor)
		r.settled.Add(opts.Secrets...)
	}
	for i, n := range nodes {
		r.concealLiteral(&n)
		if _, ok := r.index[n.ID]; ok {
			return nil, fmt.Errorf("step %s is given twice", n.ID)
		}
		r.index[n.ID] = i
		r.results[i].ID = n.ID
	}
	needs := make([][]int, len(nodes))
	for i, n := range nodes {
		needs[i] = make([]int, len(n.Needs))
		for k, need := range n.Needs {
			j, ok := r.index[need]
			if !ok {
				return nil, fmt.Errorf("step %s needs %s, which is not a step", n.ID, need)
			}
			needs[i][k] = j
		}
	}
	var err error
	if r.graph, err = dag.New(needs); err != nil {
		return nil, err
	}
	r.makers = newMakers(nodes, r.graph, opts.Env)
	r.schedule = r.graph.Schedule()
	r.ready = r.schedule.Start()
	return r, nil
}

// concealLiteral makes known the secrets that are written into the inputs of a
// step, before anything is shown.
func (r *runner) concealLiteral(n *Node) {
	found := redact.Written(n.literal())
	r.redactor.Add(found...)
	if r.settled != nil {
		r.settled.Add(found...)
	}
}

func (r *runner) run(ctx context.Context) (*Result, error) {
	r.wall = r.opts.Env.Now()
	for i := range r.nodes {
		n := &r.nodes[i]
		ev := n.event(engine.ActionPlan)
		ev.Proof, ev.Position, ev.Needs = n.Kind.Proof, n.Position, n.Needs
		if i == 0 {
			ev.Schema = engine.EventSchema
		}
		r.send(ev)
	}
	for _, text := range r.opts.Remarks {
		r.send(engine.Event{Action: engine.ActionWarn, Message: text})
	}
	for {
		r.start(ctx)
		if r.running == 0 {
			break
		}
		m := <-r.messages
		if m.event != nil {
			r.send(*m.event)
		}
		if m.done != nil {
			r.running--
			r.finish(m.index, *m.done)
		}
	}
	res := &Result{Steps: r.results, Interrupted: ctx.Err() != nil && noCause(context.Cause(ctx)), Redactor: r.redactor}
	how := engine.Ending{DryRun: r.opts.Mode == DryRun, Interrupted: res.Interrupted}
	for i := range r.results {
		if r.results[i].State == "" {
			r.results[i].State, how.Cut = Skipped, true
		}
	}
	res.Summary = r.summary(how)
	if r.opts.Mode == DryRun && ctx.Err() == nil {
		r.digest(&res.Summary)
		res.Review = r.review()
	}
	r.send(engine.Event{Action: engine.ActionEnd, Seconds: res.Summary.WallSeconds, Summary: &res.Summary})
	errs := make([]error, len(r.results))
	for i := range r.results {
		errs[i] = r.results[i].Err
	}
	return res, errors.Join(errs...)
}

// start starts the ready steps, as far as the bound on parallel steps allows.
// After an interrupt nothing starts any more.
func (r *runner) start(ctx context.Context) {
	for r.head < len(r.ready) && r.running < r.opts.Parallel && ctx.Err() == nil {
		i := r.ready[r.head]
		r.head++
		out, settled := r.settle(i)
		if settled {
			r.finish(i, out)
			continue
		}
		blockedBy := out.blockedBy
		r.running++
		r.results[i].Started = r.opts.Env.Now()
		n := &r.nodes[i]
		r.send(n.event(engine.ActionStart))
		outputs := r.outputsFor(n)
		go func() {
			s := &stepRun{node: n, index: i, opts: &r.opts, redactor: r.redactor, gate: r.gate, ledger: &r.ledger, makers: r.makers, messages: r.messages}
			var out outcome
			if len(blockedBy) > 0 {
				out = s.lookBlocked(ctx, outputs)
			} else {
				s.settled = r.settled
				out = s.run(ctx, outputs)
			}
			out.blockedBy = blockedBy
			r.messages <- message{index: i, done: &out}
		}()
	}
}

// settle decides about a step without running it, as far as possible. The
// outcome of one that cannot be settled names its blockers.
func (r *runner) settle(i int) (outcome, bool) {
	n := &r.nodes[i]
	blockedBy, known := r.blockedBy(n)
	if n.Skip != "" {
		return outcome{state: Skipped, reason: n.Skip, blockedBy: blockedBy}, true
	}
	var failed, awaiting []string
	for _, need := range n.Needs {
		switch res := &r.results[r.index[need]]; {
		case res.State == Failed:
			failed = append(failed, need)
		case res.awaits():
			awaiting = append(awaiting, need)
		case res.State == Skipped:
			if res.Err != nil || slices.Contains(n.Refs, need) || r.blocked(need) {
				failed = append(failed, need)
			}
		}
	}
	switch {
	case len(failed) > 0:
		return outcome{state: Skipped, needs: failed, reason: "needs " + r.because(failed)}, true
	case len(awaiting) > 0:
		return outcome{state: Skipped, needs: awaiting, reason: r.waitsFor(awaiting), waits: true}, true
	case n.Kind.Proof && r.opts.Mode == DryRun:
		return outcome{state: Would, blockedBy: blockedBy}, true
	case !known:
		return outcome{state: After, blockedBy: blockedBy}, true
	}
	return outcome{blockedBy: blockedBy}, false
}

// blockedBy returns the needs of n after which n may be another: in a dry run those
// that differ, and those that are blocked themselves. A step that is not looked at,
// because it is skipped or a proof, passes its blockers on. known is false if n uses
// an output that is not known before them.
func (r *runner) blockedBy(n *Node) (ids []string, known bool) {
	known = true
	if r.opts.Mode != DryRun {
		return nil, known
	}
	for _, need := range n.Needs {
		j := r.index[need]
		used := slices.Contains(n.Refs, need)
		switch state := r.results[j].State; {
		case state == Skipped, state == Would && !used:
			for _, id := range r.found[j].blockedBy {
				if !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
			continue
		case state == Pending, state == After, state == Would, len(r.found[j].blockedBy) > 0:
		default:
			continue
		}
		if !slices.Contains(ids, need) {
			ids = append(ids, need)
		}
		if used && !n.knows(need, r.results[j].Outputs) {
			known = false
		}
	}
	return ids, known
}

// blocked reports whether a skipped step was skipped because something failed,
// so that a step that only comes after it in order must not run either.
func (r *runner) blocked(id string) bool {
	i := r.index[id]
	return r.nodes[i].Skip == "" && r.results[i].Started.IsZero()
}

// because names those of the steps that failed, or all of them if they were skipped.
func (r *runner) because(ids []string) string {
	failed := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return r.results[r.index[id]].State != Failed })
	switch {
	case len(failed) > 0:
		return join(failed) + ", which failed"
	case len(ids) == 1:
		return ids[0] + ", which was skipped"
	}
	return join(ids) + ", which were skipped"
}

// outputsFor captures the outputs that n may use, so that its goroutine shares nothing
// with the owner.
func (r *runner) outputsFor(n *Node) Outputs {
	if len(n.Needs) == 0 {
		return func(string) (any, bool) { return nil, false }
	}
	seen := make(map[string]any, len(n.Needs))
	for _, need := range n.Needs {
		if res := &r.results[r.index[need]]; res.Outputs != nil {
			seen[need] = res.Outputs
		}
	}
	return func(id string) (any, bool) { v, ok := seen[id]; return v, ok }
}

func (r *runner) finish(i int, out outcome) {
	n, res := &r.nodes[i], &r.results[i]
	if out.state == Would {
		if err := engine.Try(func() error { r.intend(i, out.blockedBy); return nil }); err != nil {
			out.state, out.err = Failed, n.failure("", err, r.redactor)
		}
	}
	res.State, res.Outputs, res.Edits, res.Retries, res.Err = out.state, out.outputs, out.edits, out.retries, out.err
	res.Awaited, res.waits = out.awaited, out.waits
	r.makers.finish(i, out.state)
	ev := n.event("")
	ev.Needs, ev.Message = out.needs, out.reason
	r.found[i].blockedBy = out.blockedBy
	if !res.Started.IsZero() {
		res.Ended = r.opts.Env.Now()
		ev.Seconds = res.Ended.Sub(res.Started).Seconds()
	}
	switch out.state {
	case Unchanged:
		ev.Action, ev.Outputs, ev.Needs = engine.ActionUnchanged, plainOutputs(out.outputs), out.blockedBy
		r.found[i].looked = true
	case Changed:
		ev.Action, ev.Outputs = engine.ActionChanged, plainOutputs(out.outputs)
	case Proved:
		ev.Action, ev.Outputs = engine.ActionProved, plainOutputs(out.outputs)
	case Awaiting:
		ev.Action, ev.Needs, ev.Message = engine.ActionAwaiting, out.blockedBy, out.awaited.Text
		ev.Outputs = plainOutputs(out.outputs)
		r.found[i].edits, r.found[i].looked = out.found, true
	case Pending:
		ev.Action, ev.Needs = engine.ActionPending, out.blockedBy
		r.found[i].edits, r.found[i].looked = out.found, true
	case After:
		ev.Action, ev.Needs = engine.ActionAfter, out.blockedBy
		ev.Want = n.literal()
	case Would:
		res.Edits = len(r.found[i].changes)
	case Skipped:
		ev.Action = engine.ActionSkip
	case Failed:
		ev.Action, ev.Position = engine.ActionFail, n.Position
		ev.Error = textOf(out.err)
		if ev.Hint = engine.HintOf(out.err); ev.Hint == "" {
			ev.Hint = r.opts.knownHint(ev.Error)
		}
		ev.Until = engine.UntilOf(out.err)
		if ev.Next = engine.NextOf(out.err); ev.Next == "" && r.opts.Next != nil {
			ev.Next = r.opts.Next(n.ID, ev.Error)
		}
	}
	if ev.Action != "" {
		r.send(ev)
	}
	if len(out.blockedBy) > 0 && (out.state == Unchanged || out.state == Pending || out.state == After || len(r.found[i].changes) > 0) {
		r.found[i].after = afterOf(n, out.blockedBy, &r.opts.Env)
	}
	r.ready = append(r.ready, r.schedule.Done(i)...)
}

// intend reports the actions and changes of a proof in a dry run.
func (r *runner) intend(i int, blockedBy []string) {
	n := &r.nodes[i]
	for _, line := range n.Kind.Intent(n.Preview()) {
		ev := n.event(engine.ActionWould)
		ev.Message = line
		r.send(ev)
	}
	r.found[i].changes = r.changes(n, blockedBy)
	for _, e := range r.found[i].changes {
		ev := n.event(engine.ActionWould)
		ev.Path, ev.Want, ev.Message = e.Path, e.Want, e.Note
		r.send(ev)
	}
}

// changes returns the changes of a proof in a dry run: by its present inputs or, if it
// is blocked, by its literal ones.
func (r *runner) changes(n *Node, blockedBy []string) []engine.Edit {
	if len(blockedBy) == 0 {
		if spec, err := n.Spec(r.outputsFor(n)); err == nil {
			r.redactor.AddFrom(spec)
			r.settled.AddFrom(spec)
			return n.Kind.Changes(spec)
		}
	}
	return n.Kind.Changes(n.Preview())
}

func (r *runner) send(ev engine.Event) {
	ev.Time = r.opts.Env.Now()
	ev.Plan = r.opts.Env.Plan
	r.opts.Sink(r.redactor.Event(ev))
}
