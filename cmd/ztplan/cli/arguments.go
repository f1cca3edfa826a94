package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// NoUnknownCommand is the argument rule of commands that only have commands below them.
func NoUnknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	e := &Error{Code: Invalid, Text: fmt.Sprintf("unknown command %q", args[0]), Hint: "see " + cmd.CommandPath() + " --help"}
	cmd.SuggestionsMinimumDistance = max(cmd.SuggestionsMinimumDistance, 2)
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		e.Hint = fmt.Sprintf("did you mean %q?", cmd.CommandPath()+" "+s[0])
	}
	return e
}

// OneArgument returns the rule of commands that take one argument.
func OneArgument(name, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return &Error{Code: Invalid, Text: fmt.Sprintf("%s takes one %s, not %d arguments", cmd.CommandPath(), name, len(args)),
			Hint: "for example: " + cmd.CommandPath() + " " + example}
	}
}

// CompleteFiles returns the completion of a command whose first argument is a file with one
// of the endings, and that takes no other.
func CompleteFiles(endings ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return endings, cobra.ShellCompDirectiveFilterFileExt
	}
}
