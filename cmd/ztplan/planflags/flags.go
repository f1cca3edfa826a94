package planflags

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps/session"
	"github.com/ztplan/ztplan/steps/session/cluster"
)

// PlanFlags are the flags of commands that read a plan.
func (a *Flags) PlanFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&a.Vars, "var", nil, "set a plan variable, `name=value`; repeatable")
	f.StringArrayVar(&a.VarFiles, "var-file", nil, "read plan variables from a YAML or JSON `file`; repeatable")
	a.completes(cmd, "var", func(p *plan.Plan, _ string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for name := range p.Vars {
			names = append(names, name+"=")
		}
		slices.Sort(names)
		return names, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	})
	_ = cmd.MarkFlagFilename("var-file", "yaml", "yml", "json") // the flag is there
	if cmd.Flags().Lookup("output") == nil {
		a.OutputFlag(cmd, "text", "json", "github") // github annotates problems of the plan
	}
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = cli.CompleteFiles("yaml", "yml")
	}
}

// SelectionFlags are the flags of commands that choose steps of a plan.
func (a *Flags) SelectionFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	cli.IDsVar(f, &a.Only, "only", "run only these step `ids` and what they need")
	cli.IDsVar(f, &a.Skip, "skip", "leave out these step `ids`")
	for _, name := range []string{"only", "skip"} {
		a.completes(cmd, name, func(p *plan.Plan, begun string) ([]string, cobra.ShellCompDirective) {
			before := begun[:strings.LastIndex(begun, ",")+1] // of a list
			var ids []string
			for _, id := range p.IDs() {
				ids = append(ids, before+id)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		})
	}
}

// LabFlags are the flags of commands that can be about the embedded lab.
func (a *Flags) LabFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&a.Lab, "lab", false, "use the embedded lab: the one that is up, or one started for this command")
	f.StringVar(&a.LabDir, "lab-dir", "", "with --lab: state `directory` of the lab; separates labs (default ~/.local/state/ztplan/lab)")
	_ = cmd.MarkFlagDirname("lab-dir") // the flag is there
}

// TargetFlags are the flags of commands that contact the target of a plan.
func (a *Flags) TargetFlags(cmd *cobra.Command) {
	a.LabFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&a.Kubeconfig, "kubeconfig", "", "path of the kubeconfig `file` (default $KUBECONFIG, then ~/.kube/config)")
	f.StringVar(&a.Context, "context", "", "kubeconfig `context` (default the current one)")
	f.StringArrayVar(&a.Mirrors, "mirror", nil, "fetch what is below one address from another, `URL=URL`; repeatable")
	cli.CountVar(f, &a.Parallel, "parallel", 10, "steps that run at once")
	_ = cmd.RegisterFlagCompletionFunc("context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) { // the flag is there
		names, _ := cluster.Contexts(session.Cluster{Kubeconfig: a.Kubeconfig})
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

// completes registers the completion of a flag from the plan that the command line names.
// A plan that is not valid completes to nothing.
func (a *Flags) completes(cmd *cobra.Command, flag string, words func(p *plan.Plan, begun string) ([]string, cobra.ShellCompDirective)) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) { // the flag is there
		if len(args) == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		p, err := a.Read(cmd.Context(), args[len(args)-1])
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return words(p, begun)
	})
}
