// Command ztplan runs a zero-trust certificate set-up as one declarative plan
// and proves that it works.
//
// This package only composes: commands and flags, the plan made into nodes,
// the run, and the readers of its events. Behaviour is in engine and steps.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"k8s.io/klog/v2"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/vaultinit"
)

func main() {
	os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func execute(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	leaveNoCore()
	quietLibraries()
	if len(args) > 0 && args[0] == detachedCommand {
		return serveDetached(args[1:], stdin, stdout, stderr)
	}
	a := new(app)
	a.Open(stdin, stdout, stderr)
	ctx, kill, stop := interrupts(a.Say)
	defer stop()
	a.Kill = kill
	root := a.rootCommand()
	root.SetArgs(args)
	err := engine.Try(func() error { return root.ExecuteContext(ctx) })
	if err == nil {
		return cli.OK
	}
	// An error without a text was printed already.
	if text := strings.TrimSpace(err.Error()); text != "" {
		fmt.Fprintln(a.Stderr, "ztplan: "+text)
	}
	if hint := cli.HintOf(err); hint != "" {
		fmt.Fprintln(a.Stderr, "hint: "+hint)
	}
	return cli.CodeOf(err)
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
		return cli.Failed
	}
	return cli.OK
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
