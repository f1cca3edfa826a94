package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/ztplan/ztplan/engine"
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

// watchOutput ends the context that it returns, as an interrupt does, when
// standard output or standard error cannot be written any more: the reader of a
// pipe is gone ("| head -3"), the disk behind it is full. The running edit is
// finished and the evidence is written. From now on a broken pipe does not end the
// program.
func (a *app) watchOutput(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE) // never read: the write returns the error
	stdout, text, screen, stderr := a.stdout, a.text, a.screen, a.stderr
	a.stdout = &output{Writer: stdout, broken: func(err error) {
		cancel()
		fmt.Fprintf(stderr, "ztplan: standard output: %v: finishing the running edit\n", err)
	}}
	a.screen = &output{Writer: screen, broken: func(error) { cancel() }}
	a.text, a.stderr = display.Writer{W: a.stdout}, display.Writer{W: a.screen}
	return ctx, func() {
		a.stdout, a.text, a.screen, a.stderr = stdout, text, screen, stderr
		cancel()
	}
}

// readers hands the events of a run to their readers, which all serve people or
// later evidence. One that panics is left out from then on: the run must not be cut
// off in the middle of an edit because of it.
type readers struct {
	list []func(engine.Event)
	say  func(string)
	err  error // the first panic
}

func (r *readers) Event(e engine.Event) {
	for i, read := range r.list {
		if read == nil {
			continue
		}
		if err := engine.Try(func() error { read(e); return nil }); err != nil {
			r.list[i] = nil
			if r.err == nil {
				r.err = err
			}
			r.say(fmt.Sprintf("ztplan: an output of the run is not complete: %v%s", err, engine.HintOf(err)))
		}
	}
}
