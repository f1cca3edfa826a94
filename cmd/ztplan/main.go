// Command ztplan runs a zero-trust certificate set-up as one declarative plan
// and proves that it works.
//
// This package only composes: commands and flags, the plan made into nodes,
// the run, and the readers of its events. Behaviour is in engine and steps.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/klog/v2"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/vaultinit"
)

// The exit codes, a contract with scripts.
const (
	exitOK          = 0
	exitFailed      = 1   // a step failed, or the command could not be carried out
	exitDiffers     = 2   // dry run or status: there are differences
	exitInvalid     = 3   // the plan is invalid: nothing was contacted
	exitInterrupted = 130 // interrupted, or the output cannot be written: the next run goes on
)

// An exitError ends the program with a code. Its text is printed unless it is
// empty: then everything was printed already.
type exitError struct {
	code int
	text string
	hint string
}

func (e *exitError) Error() string { return e.text }

func main() {
	os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func execute(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	leaveNoCore()
	quietLibraries()
	if len(args) > 0 && args[0] == detachedCommand {
		return serveDetached(args[1:], stdin, stdout, stderr)
	}
	a := &app{stdin: stdin, stdout: stdout, text: display.Writer{W: stdout}, stderr: display.Writer{W: stderr}, screen: stderr, now: time.Now}
	a.saying(func(line string) { fmt.Fprintln(a.stderr, line) })
	ctx, kill, stop := interrupts(a.say)
	defer stop()
	a.kill = kill
	root := a.rootCommand()
	root.SetArgs(args)
	err := engine.Try(func() error { return root.ExecuteContext(ctx) })
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		if exit.text != "" {
			fmt.Fprintln(a.stderr, "ztplan: "+exit.text)
		}
		if exit.hint != "" {
			fmt.Fprintln(a.stderr, "hint: "+exit.hint)
		}
		return exit.code
	default:
		fmt.Fprintln(a.stderr, "ztplan: "+err.Error())
		if errors.As(err, new(*engine.PanicError)) {
			fmt.Fprintln(a.stderr, "hint: "+engine.HintOf(err))
		}
		return exitFailed
	}
}

// quietLibraries keeps the logs of client-go and Helm off the terminal: the important
// part of them reaches the user as an error or a warning of a step.
func quietLibraries() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	log.SetOutput(io.Discard)
}

// detachedCommand is the first argument of a process that a run has started; see
// detach. It is no command for people.
const detachedCommand = "detached-from-run"

func serveDetached(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ignoreSignals()
	err := fmt.Errorf("%s %v: is for ztplan itself", detachedCommand, args)
	if len(args) == 1 && args[0] == vaultinit.Detached {
		err = engine.Try(func() error {
			return vaultinit.Serve(struct {
				io.Reader
				io.Writer
			}{stdin, stdout}, stderr)
		})
	}
	if err != nil {
		fmt.Fprintln(stderr, "ztplan:", err)
		return exitFailed
	}
	return exitOK
}

// interrupts returns a context that ends with the first SIGINT, SIGTERM or SIGHUP and
// one that ends with the second. A third ends the program as if nothing
// listened.
func interrupts(say func(string)) (ctx, kill context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	kill, cancelKill := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		if _, ok := <-signals; !ok {
			return
		}
		cancel()
		say("ztplan: interrupted: finishing the running edit; interrupt again to cut it off")
		if _, ok := <-signals; !ok {
			return
		}
		cancelKill()
		signal.Stop(signals)
	}()
	return ctx, kill, func() {
		signal.Stop(signals)
		cancel()
		cancelKill()
	}
}
