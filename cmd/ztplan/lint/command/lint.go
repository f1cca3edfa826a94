package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/lint"
	lintrule "github.com/ztplan/ztplan/cmd/ztplan/lint/rule"
	"github.com/ztplan/ztplan/cmd/ztplan/lint/sarif"
	"github.com/ztplan/ztplan/cmd/ztplan/planflags"
	"github.com/ztplan/ztplan/cmd/ztplan/ui"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// LintCommand returns the command that looks for weak points of a plan.
func LintCommand(a *planflags.Flags) *cobra.Command {
	var explain string
	cmd := &cobra.Command{
		Use:   "lint PLAN",
		Short: "Is the trust set-up sound? Offline",
		Long: `Lint looks for what makes a set-up fail later, or unsafe now: versions that are
known to be bad, lifetimes in the wrong order, permissions that the plan forgets,
values that a chart ignores, proofs that are missing. It contacts nothing. Charts are
read from beside the plan, or from the cache where a run has left them.

The table at the end has, for each Certificate, the time that remains when its
renewal fails once: renewBefore without the pause until the next try.

Of a fragment by itself, the rules are about its text: most others are about a plan
as a whole, so lint the plan that includes it.

A comment on a line, or above it, takes one finding out; the reason is required:

  # ztplan:ignore RULE reason

Forms of the output are text, json, github and sarif (SARIF 2.1.0, for code
scanning). With json, a line has the list of findings, and the next the table; the
problems of an invalid plan are in a line before them.

Exit status: 0 no errors (there may be warnings), 1 errors, 3 the plan is
invalid: its problems are printed, and what lint finds besides.`,
		Example: `  ztplan lint plans/lab.yaml
  ztplan lint plans/lab.yaml -o sarif > lint.sarif
  ztplan lint --explain renewal-backoff
  ztplan lint --explain all`,
		Args: func(cmd *cobra.Command, args []string) error {
			if explain != "" && len(args) == 0 {
				return nil
			}
			return planflags.OnePlan(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if explain != "" {
				return explainRule(a, explain)
			}
			return examine(cmd.Context(), a, args[0])
		},
	}
	a.OutputFlag(cmd, "text", "json", "github", "sarif")
	a.PlanFlags(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&a.Mirrors, "mirror", nil, "the cache has what is below one address from another, `URL=URL`; repeatable")
	f.StringVar(&explain, "explain", "", "print why there is a `rule`, its sources, and what to do; all lists the rules")
	_ = cmd.RegisterFlagCompletionFunc("explain", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) { // the flag is there
		ids := []string{"all"}
		for _, r := range lintrule.All() {
			ids = append(ids, r.ID)
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// explainRule prints a rule, or the list of all.
func explainRule(a *planflags.Flags, id string) error {
	rules := lintrule.All()
	if id != "all" {
		r, ok := lintrule.Find(id)
		if !ok {
			e := &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("there is no rule %q", id), Hint: "ztplan lint --explain all lists the rules"}
			if best := lintrule.Suggest(id); best != "" {
				e.Hint = best
			}
			return e
		}
		rules = []lintrule.Rule{r}
	}
	switch {
	case a.Output == "json" && id == "all":
		return a.WriteJSON(rules)
	case a.Output == "json":
		return a.WriteJSON(rules[0])
	case id == "all":
		return lintrule.WriteList(a.Text, rules)
	}
	_, err := fmt.Fprint(a.Text, rules[0].Text())
	return err
}

// examine prints the findings in the plan of a file.
func examine(ctx context.Context, a *planflags.Flags, file string) error {
	cache, err := planflags.CacheDir()
	if err != nil {
		cache = "" // then charts of repositories are not read
	}
	mirrors, err := a.MirrorList()
	if err != nil {
		return err
	}
	a.Fragment = true
	p, invalid := a.Draft(ctx, file)
	switch {
	case errors.As(invalid, new(*cli.Error)):
		return invalid
	case ctx.Err() != nil:
		return &cli.Error{Code: cli.Interrupted, Text: "interrupted while reading the plan"}
	}
	var report lint.Report
	if p != nil && len(p.Steps) > 0 {
		report = lint.Examine(p, lint.Options{CacheDir: cache, Mirrors: mirrors})
	}
	if invalid != nil {
		a.Problems(invalid)
	}
	if err := printReport(a, file, report, invalid); err != nil {
		return err
	}
	switch {
	case invalid != nil:
		return &cli.Error{Code: cli.Invalid}
	case report.Count(lint.Error) > 0:
		return &cli.Error{Code: cli.Failed}
	}
	return nil
}

// printReport prints a report in the form that the output flag asks for.
func printReport(a *planflags.Flags, file string, r lint.Report, invalid error) error {
	switch a.Output {
	case "json":
		if err := a.WriteJSON(append([]lint.Finding{}, r.Findings...)); err != nil || len(r.Budgets) == 0 {
			return err
		}
		return a.WriteJSON(map[string]any{"certificates": r.Budgets})
	case "sarif":
		var problems *source.Problems
		errors.As(invalid, &problems)
		return sarif.Write(display.JSONWriter{W: a.Stdout}, r, problems, a.Version)
	case "github":
		for _, f := range r.Findings {
			level := strings.Replace(string(f.Severity), string(lint.Note), "notice", 1)
			ui.Annotate(a.Stdout, level, ui.Problem{Position: f.Position, Text: f.Message + "\n" + f.Hint}, "lint: "+f.Rule)
		}
	}
	return writeText(a.Text, file, r, invalid == nil)
}
