package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/history"
	"github.com/ztplan/ztplan/engine/plan"
)

const noFiles = cobra.ShellCompDirectiveNoFileComp

// completeRun completes the id of a run, newest first.
func (a *app) completeRun(cmd *cobra.Command, args []string, _ string) (ids []string, _ cobra.ShellCompDirective) {
	reports, err := a.history(cmd.Context())
	if err != nil || len(args) > 0 {
		return nil, noFiles
	}
	for _, r := range history.Runs(reports) {
		ids = append(ids, cobra.CompletionWithDesc(r.ID, r.Plan+", "+r.Began.Local().Format(time.DateTime)+", "+r.Outcome))
	}
	return ids, noFiles | cobra.ShellCompDirectiveKeepOrder
}

// completeOutput completes an output that can be printed, of the last run's plan, and then
// the file of a plan.
func (a *app) completeOutput(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
	case 1:
		return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
	default:
		return nil, noFiles
	}
	last, err := a.lastRun(cmd.Context())
	var p *plan.Plan
	if err == nil {
		p, err = a.read(cmd.Context(), last.Run.File)
	}
	if err != nil {
		return nil, noFiles
	}
	for _, s := range p.Steps {
		for _, name := range s.OutputNames() {
			if out, err := p.Output(s.ID + "." + name); err == nil && !out.Secret && !s.Kind.Proof {
				names = append(names, s.ID+"."+name)
			}
		}
	}
	return names, noFiles
}

// completeLab completes the commands of the lab, and the parts of the one that is up.
func (a *app) completeLab(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	switch {
	case len(args) == 0:
		return labCommands, noFiles
	case len(args) > 1 || args[0] != "restart" && args[0] != "kill":
		return nil, noFiles
	}
	_, lab, err := a.findLab(cmd.Context())
	if err != nil {
		return nil, noFiles
	}
	for _, c := range lab.Components {
		names = append(names, c.Name)
	}
	return names, noFiles
}
