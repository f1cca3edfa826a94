package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// reportFD is where a component reports, see package container.
const reportFD = 3

// grace is how long a child may take to end by itself after its parent asked
// or vanished.
const grace = 5 * time.Second

// RunComponent is the child's side of a container: it reads the specification
// from standard input, runs c until standard input closes or a signal asks it
// to end, and passes reports on to file descriptor 3.
func RunComponent(c container.Component) error {
	in := bufio.NewReader(os.Stdin)
	var spec container.Spec
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("standard input: read the container's specification: %w", err)
	}
	if err := json.Unmarshal(line, &spec); err != nil {
		return fmt.Errorf("standard input: container specification: %w", err)
	}
	ctx, cancel := Context(in)
	defer cancel()

	out := os.NewFile(reportFD, "reports")
	if out == nil {
		return errors.New("file descriptor 3 is not open: a component is started by the lab, not by hand")
	}
	syscall.CloseOnExec(reportFD)
	var mu sync.Mutex
	enc := json.NewEncoder(out)
	err = c(ctx, spec, func(r container.Report) {
		mu.Lock()
		defer mu.Unlock()
		_ = enc.Encode(r) // the parent is gone; Context ends us
	})
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Context returns a context that ends when held reaches its end, which is when
// the parent closes it or dies, or on SIGINT or SIGTERM. A process that is
// still there five seconds later is ended by force. The signals stay caught after
// the context has ended: SIGTERM may arrive after the end of held, and a process
// that is about to exit with 0 does not die of it.
func Context(held io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
	}()
	go func() {
		_, _ = io.Copy(io.Discard, held)
		cancel()
	}()
	context.AfterFunc(ctx, func() {
		time.AfterFunc(grace, func() { os.Exit(exitForced) })
	})
	return ctx, cancel
}

// exitForced is the exit code of a child that did not end in time.
const exitForced = 70

// TerminateWith sends this process SIGTERM when held reaches its end, for
// servers that install their own signal handling, and ends it by force five
// seconds later.
func TerminateWith(held io.Reader) {
	go func() {
		_, _ = io.Copy(io.Discard, held)
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		time.AfterFunc(grace, func() { os.Exit(exitForced) })
	}()
}
