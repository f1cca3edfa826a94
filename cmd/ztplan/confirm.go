package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/planrun"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/session"
	"github.com/ztplan/ztplan/steps/session/cluster"
)

// confirmed asks on a terminal before a run writes to a cluster, and shows the findings
// of a dry run. It does not ask about the lab, about edits that were reviewed
// (--expect), and when nothing is to be written.
func (a *app) confirmed(ctx context.Context, nodes []run.Node, opts run.Options) error {
	if a.Lab || a.safety.expect != "" || !a.Asks() || len(planrun.Writers(nodes)) == 0 {
		return nil
	}
	target := session.Of(&opts.Env).Cluster
	fmt.Fprintln(a.Stderr, "ztplan: looking at what would be written")
	opts.Mode, opts.Sink, opts.Env.Session = run.DryRun, nil, new(engine.Session)
	defer opts.Env.Session.Close()
	res, err := run.Run(ctx, nodes, opts)
	switch {
	case res == nil:
		return err
	case res.Interrupted:
		return &cli.Error{Code: cli.Interrupted, Text: "interrupted while looking; nothing was written"}
	}
	what := writes(res)
	if what == "" {
		return nil
	}
	return a.Confirm(ctx, "This run writes to "+named(target)+":\n  "+what)
}

// named names a cluster by its context and the address of its API server.
func named(c session.Cluster) string {
	server := cluster.Server(c)
	if server == "" {
		return "a cluster that is not known: the kubeconfig names none"
	}
	if _, used := cluster.Contexts(c); used != "" {
		return "the cluster at " + server + ", context " + used
	}
	return "the cluster at " + server
}

// writes counts the writes that a dry run found, "" for none.
func writes(res *run.Result) string {
	later, failed, edits := 0, 0, res.Summary.Edits
	for _, s := range res.Steps {
		switch s.State {
		case run.After:
			later++
		case run.Awaiting:
			edits -= s.Edits // a person makes these
		case run.Failed:
			failed++
		}
	}
	s := res.Summary
	var parts []string
	add := func(n int, text string) {
		if n > 0 {
			parts = append(parts, text)
		}
	}
	add(edits, fmt.Sprintf("%s in %s", display.Count(edits, "edit"), display.Count(s.Pending-later, "step")))
	add(later, display.Count(later, "step")+" that are known only after others")
	add(s.ProofEdits, display.Count(s.ProofEdits, "change")+" by proofs")
	add(failed, display.Count(failed, "step")+" that could not be looked at")
	return strings.Join(parts, ", ")
}
