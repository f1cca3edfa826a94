package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/ztplan/ztplan/engine/display"
)

// An output is standard output or standard error of a run.
type output struct {
	io.Writer
	broken func(error) // is called with the first error
	once   sync.Once
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		o.once.Do(func() { o.broken(err) })
	}
	return n, err
}

// WatchOutput ends the context that it returns, as an interrupt does, when
// standard output or standard error cannot be written any more: the reader of a
// pipe is gone ("| head -3"), the disk behind it is full. The running edit is
// finished and the evidence is written. From now on a broken pipe does not end the
// program.
func (a *Invocation) WatchOutput(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE) // never read: the write returns the error
	stdout, text, screen, stderr := a.Stdout, a.Text, a.Screen, a.Stderr
	a.Stdout = &output{Writer: stdout, broken: func(err error) {
		cancel()
		fmt.Fprintf(stderr, "ztplan: standard output: %v: finishing the running edit\n", err)
	}}
	a.Screen = &output{Writer: screen, broken: func(error) { cancel() }}
	a.Text, a.Stderr = display.Writer{W: a.Stdout}, display.Writer{W: a.Screen}
	return ctx, func() {
		a.Stdout, a.Text, a.Screen, a.Stderr = stdout, text, screen, stderr
		cancel()
	}
}
