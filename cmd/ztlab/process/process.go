// Package process runs the parts of a lab as child processes that cannot
// outlive it, and is the child's side of that promise too.
//
// Every part is the ztlab executable started again as "ztlab component NAME".
// Two things end a child whose parent is gone, with any cause: on
// Linux the kernel's parent-death signal, and everywhere the child's standard
// input, a pipe that the parent holds open and never lends.
//
// A program that is not a ztlab (see [Spec.Foreign]) does not watch its standard
// input. Only the parent-death signal ends it, so elsewhere than on Linux it
// outlives a parent that was killed.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
)

// A Spec describes one child of a [Group].
type Spec struct {
	// Name is for messages only.
	Name string
	// Path is the executable; Args are its arguments without the program name.
	// Neither may hold a secret: other users can read them.
	Path string
	Args []string
	// Env is the whole environment, as in [exec.Cmd].
	Env []string
	// Dir is the working directory.
	Dir string
	// Output receives standard output and standard error. It is an open file so
	// that the child keeps its log when the parent is killed.
	Output *os.File
	// Foreign: the child knows nothing of the lab, as the program of an image. Its
	// standard input is empty, and the processes that it has started end with it, as
	// those of a container do.
	Foreign bool
	// Input, when it is not nil, is written to the child's standard input as
	// one line of JSON. The pipe stays open after it.
	Input any
	// Reports, when it is not nil, is called for each line that the child
	// writes to file descriptor 3, one call at a time.
	Reports func(line []byte)
}

// A Group starts children. The zero value is not usable; see [NewGroup].
type Group struct {
	starts chan start

	mu       sync.Mutex
	closed   bool
	children []*Child
}

type start struct {
	cmd  *exec.Cmd
	done chan error
}

// NewGroup returns an empty group. Close it to end every child.
func NewGroup() *Group {
	g := &Group{starts: make(chan start)}
	go g.fork()
	return g
}

// fork starts every child from one operating-system thread that lives as long
// as the process: the parent-death signal follows the thread that forked, not
// the process (prctl(2), PR_SET_PDEATHSIG).
func (g *Group) fork() {
	runtime.LockOSThread()
	for s := range g.starts {
		s.done <- s.cmd.Start()
	}
	// Never unlock or return: either could end the thread before the children.
	select {}
}

// A Child is a started process.
type Child struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser // nil for a foreign program
	done  chan struct{}
	err   error // valid after done
}

// Start starts a child. It returns when the process exists; the child may
// still fail at once, see [Child.Done].
func (g *Group) Start(s Spec) (*Child, error) {
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Env, cmd.Dir = s.Env, s.Dir
	if s.Output != nil {
		cmd.Stdout, cmd.Stderr = s.Output, s.Output
	}
	cmd.SysProcAttr = attributes()
	c := &Child{name: s.Name, cmd: cmd, done: make(chan struct{})}
	if !s.Foreign {
		var err error
		if c.stdin, err = cmd.StdinPipe(); err != nil {
			return nil, fmt.Errorf("%s: standard input: %w", s.Name, err)
		}
	}
	var reports *os.File
	if s.Reports != nil {
		r, w, err := os.Pipe()
		if err != nil {
			c.closeInput()
			return nil, fmt.Errorf("%s: report pipe: %w", s.Name, err)
		}
		defer w.Close()
		cmd.ExtraFiles = []*os.File{w}
		reports = r
	}
	if err := g.launch(c); err != nil {
		c.closeInput()
		if reports != nil {
			reports.Close()
		}
		return nil, fmt.Errorf("%s: start %s: %w", s.Name, s.Path, err)
	}
	if reports != nil {
		go readLines(reports, s.Reports)
	}
	go func() {
		c.err = cmd.Wait()
		if s.Foreign {
			// The rest of the child's process group; mostly nothing.
			_ = syscall.Kill(-c.PID(), syscall.SIGKILL)
		}
		g.forget(c)
		close(c.done)
	}()
	if s.Input != nil {
		if err := json.NewEncoder(c.stdin).Encode(s.Input); err != nil && !errors.Is(err, syscall.EPIPE) {
			c.Kill()
			return nil, fmt.Errorf("%s: write its specification: %w", s.Name, err)
		}
	}
	return c, nil
}

// launch forks c unless the group is closed. The lock spans the fork so that
// Close sees either no child or a child that it can end.
func (g *Group) launch(c *Child) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errors.New("the lab is shutting down")
	}
	s := start{cmd: c.cmd, done: make(chan error, 1)}
	g.starts <- s
	if err := <-s.done; err != nil {
		return err
	}
	g.children = append(g.children, c)
	return nil
}

func (g *Group) forget(c *Child) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.children = slices.DeleteFunc(g.children, func(o *Child) bool { return o == c })
}

// Close refuses further starts and ends every child at once with SIGKILL. It
// returns when all of them are gone. Stop children one by one before it if
// they should end in order.
func (g *Group) Close() {
	g.mu.Lock()
	g.closed = true
	left := slices.Clone(g.children)
	g.mu.Unlock()
	for _, c := range left {
		c.Kill()
	}
	for _, c := range left {
		<-c.done
	}
}

// PID is the child's process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Done is closed when the child has ended and was waited for.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err returns how the child ended: nil for exit code 0. It may be called only
// after Done is closed.
func (c *Child) Err() error { return c.err }

// Kill ends the child with SIGKILL and does not wait.
func (c *Child) Kill() { _ = c.cmd.Process.Kill() }

// Stop asks the child to end, with SIGTERM and by closing its standard input,
// and returns when it is gone. When ctx ends first the child is killed.
func (c *Child) Stop(ctx context.Context) {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	c.closeInput()
	select {
	case <-c.done:
	case <-ctx.Done():
		c.Kill()
		<-c.done
	}
}

func (c *Child) closeInput() {
	if c.stdin != nil {
		_ = c.stdin.Close()
	}
}
