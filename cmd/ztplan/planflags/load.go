package planflags

import (
	"context"
	"errors"
	"os"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/lint/rule"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps"
)

// OnePlan is the argument rule of commands that take a plan.
var OnePlan = cli.OneArgument("plan", "plans/lab.yaml")

// Read reads and checks the plan. Nothing is contacted.
func (a *Flags) Read(ctx context.Context, file string) (*plan.Plan, error) {
	return a.read(ctx, file, plan.Load)
}

// Draft is Read for a plan that may have problems; see [plan.Draft].
func (a *Flags) Draft(ctx context.Context, file string) (*plan.Plan, error) {
	return a.read(ctx, file, plan.Draft)
}

func (a *Flags) read(ctx context.Context, file string, how func(plan.Input) (*plan.Plan, error)) (*plan.Plan, error) {
	vars, err := a.Variables()
	if err != nil {
		return nil, err
	}
	a.Inputs = engine.NewInputs(ctx)
	return how(plan.Input{File: file, Inputs: a.Inputs, Kinds: steps.All(), Connections: steps.Connections(), Vars: vars, VarFiles: a.VarFiles, Fragment: a.Fragment, Values: a.Values, Refused: rule.Refused, Env: os.LookupEnv})
}

// Load is Read with the selection of steps. It prints every problem.
func (a *Flags) Load(ctx context.Context, file string) (*plan.Plan, *plan.Selection, error) {
	p, err := a.Read(ctx, file)
	var chosen *plan.Selection
	if err == nil {
		chosen, err = p.Select(a.Only, a.Skip)
	}
	switch {
	case errors.As(err, new(*cli.Error)):
		return nil, nil, err
	case ctx.Err() != nil:
		return nil, nil, &cli.Error{Code: cli.Interrupted, Text: "interrupted while reading the plan"}
	case err != nil:
		a.Problems(err)
		return nil, nil, &cli.Error{Code: cli.Invalid}
	}
	return p, chosen, nil
}
