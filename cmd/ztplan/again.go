package main

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ztplan/ztplan/steps/hints"
)

// commandLine returns the command as it was called, for a shell, without the flags that
// choose steps and the form of the output.
func commandLine(cmd *cobra.Command, args []string) string {
	parts := strings.Fields(cmd.CommandPath())
	for _, arg := range args {
		parts = append(parts, quoted(arg))
	}
	left := []string{"only", "skip", "output", "no-color", "verbose", "report", "sign-key", "expect"}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if slices.Contains(left, f.Name) {
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			if part := "--" + f.Name; f.Value.Type() == "bool" && v == "true" {
				parts = append(parts, part)
			} else {
				parts = append(parts, part+"="+quoted(v))
			}
		}
	})
	return strings.Join(parts, " ")
}

var plain = regexp.MustCompile(`^[\w./:=@%+,-]+$`)

// quoted returns a text as one word of a POSIX shell.
func quoted(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// next returns the command after a failure that brings none of its own: the one that
// belongs to the hint, else the step alone with details; after an interrupt, the whole
// run.
func (a *app) next(step, message string) string {
	again := a.again
	if again != "" && !strings.HasPrefix(message, "interrupted") {
		again += " --only " + quoted(step) + " -v"
	}
	return cmp.Or(hints.Next(message), again)
}
