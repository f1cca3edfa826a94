package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/history"
	"github.com/ztplan/ztplan/cmd/ztplan/planrun"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/journal"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/session"
	"github.com/ztplan/ztplan/steps/session/lease"
)

// safety holds the safeguards of a run that writes: the review, the journal,
// the lock.
type safety struct {
	expect        string
	lockNamespace string
	noLock        bool
	patient       bool // wait for the plan's lock: the pod before this one may have been killed
}

func (s *safety) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.expect, "expect", "", "refuse, before any write, unless the edits are those of this `digest`, which a dry run prints, or of this file, which --dry-run --output json printed")
	cmd.Flags().StringVar(&s.lockNamespace, "lock-namespace", lease.DefaultNamespace, "`namespace` of the Lease that keeps two runs of one plan apart")
	cmd.Flags().BoolVar(&s.noLock, "no-lock", false, "take no lock: nothing keeps a second run of the plan from writing at the same time")
}

// guarded sets up the safeguards of a run that writes and completes its
// options. The run uses the context that is returned; finish is called when it
// is over and returns why it was stopped, if the lock was the reason.
func (a *app) guarded(ctx context.Context, p *plan.Plan, nodes []run.Node, opts *run.Options) (_ context.Context, finish func(*run.Result) error, _ error) {
	if a.safety.expect != "" {
		want, err := readReview(a.safety.expect)
		if err == nil {
			opts.Review, err = a.expected(ctx, p.File, want, nodes, *opts)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	where, err := a.Journals(p, session.Of(&opts.Env).Cluster)
	var j *journal.Journal
	if err == nil {
		j, err = a.journal(where)
	}
	if err != nil {
		return nil, nil, &cli.Error{Code: cli.Failed, Text: err.Error(), Hint: engine.HintOf(err)}
	}
	opts.Journal = j
	ctx, stop := context.WithCancelCause(ctx)
	held := new(locks)
	if !a.safety.noLock && planrun.WritesToCluster(p, nodes) {
		held = a.locks(p, nodes, *opts, lease.Request{
			Namespace: a.safety.lockNamespace, Plan: p.Name, Holder: lease.Self(j.Run()), Since: time.Now(),
			Dead: func(run string) bool { return journal.Dead(where.Base, run) },
			Lost: stop,
		})
		opts.BeforeFirstWrite, opts.Fence = held.acquire, held
	}
	return ctx, func(res *run.Result) (lost error) {
		defer stop(nil)
		var summary engine.Summary
		if res != nil {
			summary = res.Summary
		}
		if err := held.release(context.Background()); err != nil && a.Verbose {
			fmt.Fprintln(a.Stderr, "ztplan: "+err.Error())
		}
		if err := held.err(); err != nil {
			lost = &cli.Error{Code: cli.Failed, Text: err.Error(), Hint: engine.HintOf(err)}
			if said(res, err) {
				lost = &cli.Error{Code: cli.Failed}
			}
		}
		if err := j.Close(summary); err != nil {
			fmt.Fprintln(a.Stderr, "ztplan: "+err.Error())
		}
		return lost
	}, nil
}

// said reports whether a step failed because of err.
func said(res *run.Result, err error) bool {
	return res != nil && slices.ContainsFunc(res.Steps, func(s run.StepResult) bool { return errors.Is(s.Err, err) })
}

// remarks returns remarks from the journals of earlier runs: that the
// last was about another cluster, and which of their objects the plan does not ask
// for any more. It writes nothing; without journals there are none.
func (a *app) remarks(p *plan.Plan, c session.Cluster) []string {
	where, err := a.Journals(p, c)
	if err != nil {
		return nil
	}
	var out []string
	last, _ := journal.Last(where, "")
	if text := history.Elsewhere(where, last); text != "" {
		out = append(out, text)
	}
	for _, m := range journal.Orphans(where) {
		const left = "%s; what earlier runs made %s is left alone, unless another step has it now: %s"
		if p.Step(m.Step) == nil {
			out = append(out, fmt.Sprintf(left, "the plan has no step "+m.Step+" any more", "in it", m))
		} else {
			out = append(out, fmt.Sprintf(left, "step "+m.Step+" asks for less than before", "beyond that", m))
		}
	}
	return out
}

// journal reports the end of the last run, if it was cut off, and begins the
// journal of this one.
func (a *app) journal(where journal.Plan) (*journal.Journal, error) {
	last, err := journal.Last(where, "")
	if err != nil {
		fmt.Fprintln(a.Stderr, "ztplan: the last run is not known: "+err.Error())
	} else if text := lastRun(last); text != "" {
		fmt.Fprintln(a.Stderr, "ztplan: "+text)
	}
	return journal.Open(where, a.Now)
}

// lastRun returns a remark about the last run, or "".
func lastRun(r *journal.Report) string {
	if r == nil || r.Alive || r.Ended && len(r.Unfinished) == 0 {
		return ""
	}
	var edits []string
	for _, e := range r.Unfinished {
		edits = append(edits, e.Path+" (step "+e.Step+")")
	}
	what := strings.Join(edits, ", ")
	began := r.Run.Time.Local().Format(time.DateTime)
	switch {
	case r.Ended:
		return fmt.Sprintf("the last run, of %s, could not tell whether this took effect: %s: looking again", began, what)
	case what == "":
		return fmt.Sprintf("the last run, of %s, was cut off while it applied nothing: looking again", began)
	}
	return fmt.Sprintf("the last run, of %s, was cut off while applying %s: looking again", began, what)
}
