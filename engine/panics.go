package engine

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// A PanicError is a panic that was recovered. It is permanent, and its text ends
// with the stack: a panic is a defect of ztplan, and the stack is its place.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

// Is reports that a PanicError is permanent.
func (e *PanicError) Is(target error) bool { return target == ErrPermanent }

// panicHint is the hint of a panic.
const panicHint = "this is a defect in ztplan: please report it with the stack, which -v shows in full"

// Try calls f and returns its error, or the *PanicError of its panic. A goroutine
// whose panic has no other recover works through Try: an unrecovered
// panic ends the program in the middle of the edits of all steps, and without a
// report.
func Try(f func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *PanicError: // of a [Group]
			err = WithHint(p, panicHint)
		default:
			err = WithHint(&PanicError{p, debug.Stack()}, panicHint)
		}
	}()
	return f()
}

// A Group runs functions in goroutines of their own and waits for them, as a
// [sync.WaitGroup] does. A panic in one of them does not end the program: Wait
// panics with the first. The zero value is ready.
type Group struct {
	// Panicked, if it is set, is called with the first panic when it happens, for
	// goroutines that wait for each other: it should end them.
	Panicked func(error)

	wg    sync.WaitGroup
	once  sync.Once
	first *PanicError
}

// Go runs f in a goroutine.
func (g *Group) Go(f func()) {
	g.wg.Go(func() {
		err := Try(func() error { f(); return nil })
		if err == nil {
			return
		}
		g.once.Do(func() {
			errors.As(err, &g.first)
			if g.Panicked != nil {
				g.Panicked(err)
			}
		})
	})
}

// Wait returns when every function has returned. It panics with a *PanicError if
// one of them did.
func (g *Group) Wait() {
	g.wg.Wait()
	if g.first != nil {
		panic(g.first)
	}
}
