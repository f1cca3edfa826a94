package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// YesFlag is the flag of commands that ask before they write.
func (a *Invocation) YesFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&a.Yes, "yes", "y", false, "do not ask before something is written; without a terminal nothing is ever asked")
}

// Asks reports whether a person is there to ask: standard input and standard error are a
// terminal, and there is no --yes.
func (a *Invocation) Asks() bool {
	in, ok := a.Stdin.(*os.File)
	_, out := Terminal(a.Screen)
	return !a.Yes && ok && term.IsTerminal(int(in.Fd())) && out
}

// Confirm shows a text on the terminal and asks whether to go on. The error of any other
// answer than yes, and of an interrupt, ends the program.
func (a *Invocation) Confirm(ctx context.Context, text string) error {
	fmt.Fprintf(a.Stderr, "%s\nGo on? [y/N] ", text)
	answer := make(chan string, 1)
	go func() {
		line, err := bufio.NewReader(a.Stdin).ReadString('\n')
		if err != nil && err != io.EOF {
			line = ""
		}
		answer <- line
	}()
	select {
	case line := <-answer:
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return nil
		}
	case <-ctx.Done():
		fmt.Fprintln(a.Stderr)
	}
	return &Error{Code: Interrupted, Text: "not confirmed: nothing was written", Hint: "--yes goes on without a question"}
}
