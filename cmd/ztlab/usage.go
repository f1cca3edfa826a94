package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// exitUsage is the exit code of a command line that is wrong, as of ztplan.
const exitUsage = 3

// A usageError is an error of the command line: nothing was done.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// checkUsage makes cmd and every command below it return a usageError for arguments and
// flags that they do not take.
func checkUsage(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	if rule := cmd.Args; rule != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := rule(cmd, args); err != nil {
				return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
			}
			return nil
		}
	}
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	for _, c := range cmd.Commands() {
		checkUsage(c)
	}
}
