package rbac

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/planflags"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps/session/lease"
)

// Command returns the command that prints the roles of a plan.
func Command(a *planflags.Flags) *cobra.Command {
	var o Options
	var uses, users, groups, accounts []string
	cmd := &cobra.Command{
		Use:   "rbac PLAN",
		Short: "Print the roles that a run, a dry run and a status need",
		Long: `Rbac prints the permissions that the plan needs in the cluster: a ClusterRole, and a
Role in each namespace where one suffices, ready for kubectl apply. Each rule says
which step needs it and why. The role for a run is named ztplan-PLAN-run; that for a
dry run and a status, which write nothing, is named ztplan-PLAN-view. The namespaces
of the Roles are printed as well, so a run does not have to make them.

With --user, --group or --serviceaccount, as kubectl create rolebinding has them, the
bindings are printed, too.

The charts of the plan are fetched and rendered; the cluster is not contacted. What
cannot be known before a run is said in comments; with --output json on standard error.
With --installed the releases in the cluster are read, and the right to delete what an
upgrade removes of them is among the permissions.

With the role for a dry run the API server cannot be asked what a manifest would
change, since it takes that for a write: the fields are compared instead.

Exit status: 0 printed, 3 the plan or a flag is invalid.`,
		Example: `  ztplan rbac plans/lab.yaml | kubectl apply -f -
  ztplan rbac plans/lab.yaml --for run --serviceaccount ci:deployer`,
		Args: planflags.OnePlan,
		RunE: func(cmd *cobra.Command, args []string) error {
			sets, err := setsFor(uses)
			if err != nil {
				return err
			}
			subjects, err := subjectsFor(users, groups, accounts)
			if err != nil {
				return err
			}
			if len(subjects) > 0 && len(sets) > 1 {
				return &cli.Error{Code: cli.Invalid, Text: "bindings of which role?", Hint: "add --for run, --for dry-run or --for status"}
			}
			return a.InTarget(cmd.Context(), args[0], func(ctx context.Context, p *plan.Plan, chosen *plan.Selection, env *engine.Env) error {
				return printRoles(ctx, a, NeedsOf(ctx, env, p, chosen, o), p.Name, args[0], sets, subjects)
			})
		},
	}
	a.PlanFlags(cmd)
	a.SelectionFlags(cmd)
	a.TargetFlags(cmd)
	f := cmd.Flags()
	f.StringSliceVar(&uses, "for", nil, "only what this `use` needs: run, dry-run or status (default all)")
	_ = cmd.RegisterFlagCompletionFunc("for", cobra.FixedCompletions([]string{"run", "dry-run", "status"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	f.StringArrayVar(&users, "user", nil, "bind the role to this `user`; repeatable")
	f.StringArrayVar(&groups, "group", nil, "bind the role to this `group`; repeatable")
	f.StringArrayVar(&accounts, "serviceaccount", nil, "bind the role to this ServiceAccount, `namespace:name`; repeatable")
	f.BoolVar(&o.Installed, "installed", false, "read the releases that are installed, for what an upgrade removes of them")
	f.StringVar(&o.LockNamespace, "lock-namespace", lease.DefaultNamespace, "`namespace` of the Lease that keeps two runs of one plan apart")
	return cmd
}

// setsFor returns the sets of permissions of uses, both for none.
func setsFor(uses []string) ([]string, error) {
	if len(uses) == 0 {
		return []string{Run, View}, nil
	}
	var sets []string
	for _, use := range uses {
		switch use {
		case "run":
			sets = append(sets, Run)
		case "dry-run", "status":
			sets = append(sets, View)
		default:
			return nil, &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("--for %s: there is run, dry-run and status", use)}
		}
	}
	slices.Sort(sets)
	return slices.Compact(sets), nil
}

func subjectsFor(users, groups, accounts []string) ([]Subject, error) {
	var list []Subject
	for _, u := range users {
		list = append(list, Subject{Kind: "User", Name: u})
	}
	for _, g := range groups {
		list = append(list, Subject{Kind: "Group", Name: g})
	}
	for _, s := range accounts {
		namespace, name, ok := strings.Cut(s, ":")
		if !ok || namespace == "" || name == "" {
			return nil, &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("--serviceaccount %s: there are not a namespace and a name", s), Hint: "write --serviceaccount NAMESPACE:NAME"}
		}
		list = append(list, Subject{Kind: "ServiceAccount", Namespace: namespace, Name: name})
	}
	return list, nil
}

// printRoles prints the roles of a plan, which is in a file.
func printRoles(ctx context.Context, a *planflags.Flags, needs []Need, plan, file string, sets []string, subjects []Subject) error {
	d := Document{Plan: plan, Subjects: subjects, Needs: needs}
	if len(subjects) == 0 {
		d.Bind = "ztplan rbac " + file + " --for run --serviceaccount NAMESPACE:NAME"
	}
	for _, set := range sets {
		d.Roles = append(d.Roles, Roles("ztplan-"+plan, set, d.Needs)...)
	}
	if ctx.Err() != nil {
		return &cli.Error{Code: cli.Interrupted, Text: "interrupted"}
	}
	if a.Output == "json" {
		for _, text := range d.Useful() {
			fmt.Fprintln(a.Stderr, "of use, and not needed: "+text)
		}
		for _, text := range d.NotKnown() {
			fmt.Fprintln(a.Stderr, "not known before a run: "+text)
		}
		return d.JSON(display.JSONWriter{W: a.Stdout})
	}
	return d.YAML(a.Text)
}
