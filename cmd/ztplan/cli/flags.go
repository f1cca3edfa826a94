package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A Choice is the value of a flag that is one of a few words.
type Choice struct {
	value *string
	of    []string
}

// ChoiceVar defines a flag that takes one of the words, and completes to them.
func ChoiceVar(cmd *cobra.Command, f *pflag.FlagSet, value *string, name, short, standard string, of []string, help string) {
	*value = standard
	f.VarP(&Choice{value, of}, name, short, help)
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(of, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

// Set takes a word.
func (c *Choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return errors.New("there is " + strings.Join(c.of[:len(c.of)-1], ", ") + " and " + c.of[len(c.of)-1])
	}
	*c.value = s
	return nil
}

func (c *Choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

// Type is the name of the value in help texts: the words.
func (c *Choice) Type() string { return strings.Join(c.of, "|") }

// A Count is the value of a flag that is a whole number of at least 1.
type Count struct{ value *int }

// CountVar defines a flag that takes a whole number of at least 1.
func CountVar(f *pflag.FlagSet, value *int, name string, standard int, help string) {
	*value = standard
	f.Var(&Count{value}, name, help)
}

// Set takes a number.
func (c *Count) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return errors.New("want a whole number of at least 1")
	}
	*c.value = n
	return nil
}

func (c *Count) String() string {
	if c.value == nil {
		return ""
	}
	return strconv.Itoa(*c.value)
}

// Type is the name of the value in help texts.
func (c *Count) Type() string { return "N" }

// OutputFlag defines the flag of commands that print in one of several forms, of which text
// is the first.
func (a *Invocation) OutputFlag(cmd *cobra.Command, forms ...string) {
	ChoiceVar(cmd, cmd.Flags(), &a.Output, "output", "o", "text", forms, "form of the output")
}

// ColorFlag defines the flag of commands that print in colour or have a live view.
func (a *Invocation) ColorFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.NoColor, "no-color", false, "no colour and no live view (also NO_COLOR)")
}

// VerboseFlag defines the flag of commands that can show details.
func (a *Invocation) VerboseFlag(cmd *cobra.Command, help string) {
	cmd.Flags().BoolVarP(&a.Verbose, "verbose", "v", false, help)
}

// FlagsBefore lets the flags of the commands below cmd stand before their names as well:
// "ztplan --lab run PLAN". A command that does not have the flag refuses it.
func FlagsBefore(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringP("output", "o", "text", "form of the output: for the commands that have this flag")
	f.Bool("no-color", false, "no colour: for the commands that have this flag")
	f.BoolP("verbose", "v", false, "show details: for the commands that have this flag")
	f.Bool("lab", false, "use the embedded lab: for the commands that have this flag")
	f.VisitAll(func(f *pflag.Flag) { f.Hidden = true })
}

// otherTools are flags of helm, terraform and ansible, and the ones of ztplan for the same.
var otherTools = map[string]string{
	"values": "var-file", "f": "var-file", "vars-file": "var-file", "extra-vars": "var-file",
	"set": "var", "set-string": "var", "e": "var",
}

// FlagError is the error of a command line with a flag that there is not, or with a
// value that a flag does not take.
func FlagError(cmd *cobra.Command, err error) error {
	text := err.Error()
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		text = fmt.Sprintf("--%s %s: %v", invalid.GetFlag().Name, invalid.GetValue(), errors.Unwrap(invalid))
	}
	hint := "see " + cmd.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		meant := otherTools[unknown.GetSpecifiedName()]
		if meant != "" && cmd.Flags().Lookup(meant) != nil {
			hint = "write --" + meant + " instead; " + hint
		}
	}
	return &Error{Code: Invalid, Text: text, Hint: hint}
}

// StrictArguments makes every command below cmd, and cmd, refuse arguments that it does
// not take with the exit code of a usage error.
func StrictArguments(cmd *cobra.Command) {
	if !cmd.Runnable() {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		cmd.Args = NoUnknownCommand
	}
	if rule := cmd.Args; rule != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := rule(cmd, args)
			if err == nil || errors.As(err, new(*Error)) {
				return err
			}
			return &Error{Code: Invalid, Text: cmd.CommandPath() + ": " + err.Error(), Hint: "see " + cmd.CommandPath() + " --help"}
		}
	}
	for _, c := range cmd.Commands() {
		StrictArguments(c)
	}
}
