package doctor

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/planflags"
	"github.com/ztplan/ztplan/cmd/ztplan/planrun"
	"github.com/ztplan/ztplan/cmd/ztplan/rbac"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/redact"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/session/checkup"
	"github.com/ztplan/ztplan/steps/session/lease"
)

// checkLimit bounds each check.
const checkLimit = 20 * time.Second

// Command returns the command that makes the checks of a plan.
func Command(a *planflags.Flags) *cobra.Command {
	var lockNamespace string
	cmd := &cobra.Command{
		Use:   "doctor PLAN",
		Short: "What would be in the way of a run?",
		Long: `Doctor looks, before a run, at what the plan relies on: whether the cluster answers,
whether the user has the permissions that the steps need, whether charts can be
fetched, whether there is a default StorageClass where one is needed, whether node
ports are free, whether Vault answers and is sealed, whether the Secrets and ConfigMaps
of client and trustFrom hold what they should, and whether the clocks agree. All
checks are made at once, each for 20 seconds at most. Nothing is written.

Each check is ok, warn or fail. A warning is no obstacle by itself: what the plan
itself will do, and checks that could not be made, with the reason.

Exit status: 0 no check failed, 1 a check failed, 3 the plan is invalid and nothing
was contacted, 130 interrupted.`,
		Example: `  ztplan doctor plans/lab.yaml
  ztplan doctor plans/lab.yaml --lab
  ztplan doctor plans/lab.yaml -o json`,
		Args: planflags.OnePlan,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.InTarget(cmd.Context(), args[0], func(ctx context.Context, p *plan.Plan, chosen *plan.Selection, env *engine.Env) error {
				return examine(ctx, a, p, chosen, env, lockNamespace)
			})
		},
	}
	a.PlanFlags(cmd)
	a.SelectionFlags(cmd)
	a.TargetFlags(cmd)
	cmd.Flags().StringVar(&lockNamespace, "lock-namespace", lease.DefaultNamespace, "`namespace` of the Lease that keeps two runs of one plan apart")
	return cmd
}

// examine makes the checks of a plan and prints their verdicts.
func examine(ctx context.Context, a *planflags.Flags, p *plan.Plan, chosen *plan.Selection, env *engine.Env, lockNamespace string) error {
	// The permissions are found on first use: that renders charts.
	needs := sync.OnceValue(func() []rbac.Need {
		return rbac.NeedsOf(ctx, env, p, chosen, rbac.Options{LockNamespace: lockNamespace, Installed: true})
	})
	list := planrun.Nodes(p, chosen)
	env.MayCome = func(thing string) bool {
		needs()
		return slices.ContainsFunc(list, func(n run.Node) bool {
			own := *env
			own.Step = n.ID
			return n.Skip == "" && n.MayMake(&own, thing, false)
		})
	}
	cluster, clock := clusterChecks()
	checks := append([]Check{clock, accessCheck(needs)}, stepChecks(p, chosen)...)
	report := Run(ctx, env, p.Name, cluster, checks, checkLimit)
	if ctx.Err() != nil {
		return &cli.Error{Code: cli.Interrupted, Text: "interrupted"}
	}
	hidden := new(redact.Redactor)
	hidden.Add(p.Secrets()...)
	report.Redact(hidden.Text)
	var err error
	if a.Output == "json" {
		err = report.JSON(display.JSONWriter{W: a.Stdout})
	} else {
		err = report.Text(a.Text)
	}
	if err != nil {
		return err
	}
	if report.Result == engine.LevelFail {
		return &cli.Error{Code: cli.Failed}
	}
	return nil
}

// clusterChecks are made by one request.
func clusterChecks() (cluster, clock Check) {
	type both struct{ answer, clock engine.Verdict }
	var once sync.Once
	var found both
	ask := func(ctx context.Context, env *engine.Env) both {
		once.Do(func() { found.answer, found.clock = checkup.Cluster(ctx, env) })
		return found
	}
	cluster.Name = "cluster"
	cluster.Run = func(ctx context.Context, env *engine.Env) engine.Verdict { return ask(ctx, env).answer }
	clock.Name, clock.Target = "clock of the cluster", true
	clock.Run = func(ctx context.Context, env *engine.Env) engine.Verdict { return ask(ctx, env).clock }
	return cluster, clock
}

// accessCheck asks for exactly the permissions that ztplan rbac prints.
func accessCheck(needs func() []rbac.Need) Check {
	check := Check{}
	check.Name, check.Target = "permissions", true
	check.Run = func(ctx context.Context, env *engine.Env) engine.Verdict {
		var list []checkup.Need
		unknown := 0
		for _, n := range needs() {
			unknown += len(n.NotKnown)
			for _, p := range n.Permissions {
				list = append(list, checkup.Need{Who: n.Who, Permission: p})
			}
		}
		v := checkup.Access(ctx, env, list)
		if unknown > 0 && v.Level == engine.LevelOK {
			v.Detail += "; ztplan rbac PLAN says which are not known before a run"
		}
		return v
	}
	return check
}

// stepChecks are the checks of the steps that are not left out; several of one name
// are one check.
func stepChecks(p *plan.Plan, chosen *plan.Selection) []Check {
	var list []Check
	for _, s := range p.Steps {
		draft, unknown := s.Draft()
		c, ok := draft.(engine.Checker)
		if !ok || chosen.Left[s.ID] != "" {
			continue
		}
		for _, check := range c.Checks(unknown) {
			if check.Own {
				check.Name += " of step " + s.ID
			} else if i := slices.IndexFunc(list, func(have Check) bool { return have.Name == check.Name }); i >= 0 {
				list[i].Steps = append(list[i].Steps, s.ID)
				continue
			}
			list = append(list, Check{Check: check, Steps: []string{s.ID}})
		}
	}
	return list
}
