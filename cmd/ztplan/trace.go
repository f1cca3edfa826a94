package main

import (
	"context"
	"fmt"
	"os"

	"github.com/ztplan/ztplan/cmd/ztplan/trace"
	"github.com/ztplan/ztplan/engine/run"
)

// traced returns the tracer of a run, nil unless the environment asks for one.
// A fault of tracing is a warning: it never decides about a run.
func (a *app) traced(ctx context.Context, mode run.Mode) *trace.Tracer {
	t, err := trace.New(ctx, trace.Options{Version: a.Version, DryRun: mode == run.DryRun, Env: os.LookupEnv})
	if err != nil {
		fmt.Fprintln(a.Stderr, "ztplan: warning: nothing is traced: "+err.Error())
	}
	return t
}

// endTrace sends the rest of the trace and prints its id.
func (a *app) endTrace(t *trace.Tracer, res *run.Result) {
	id, err := t.Close(a.Kill, res != nil && res.Interrupted)
	if err != nil {
		fmt.Fprintln(a.Stderr, "ztplan: warning: the trace is not complete: "+err.Error())
	}
	if id != "" {
		fmt.Fprintf(a.Stderr, "trace: %s at %s\n", id, t.Where())
	}
}
