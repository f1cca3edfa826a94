package engine

import (
	"context"
	"io"
	"os"
	"time"
)

// An Env is everything that a step may use besides its own fields. It does not
// hold whether the run is a dry run: a step must not know.
type Env struct {
	Plan string // the plan's metadata.name
	Step string // the step's id
	Dir  string // absolute directory of the plan; relative files resolve here

	// Inputs are the files that the plan was read from. A step reads files through
	// them, or through a [File]; see there. Nil reads anew each time.
	Inputs *Inputs

	// CacheDir is a private directory outside the plan's for files that can be
	// fetched again; it is created on first use.
	CacheDir string

	// StateDir is a private directory outside the plan's for files that cannot be
	// made again; it is created on first use. Empty if there is none.
	StateDir string

	// Settings belong to the kinds, such as the address of the target; the engine
	// only carries them. Their type is in package steps/session.
	Settings any

	// Claims are the claims of the steps of the plan; see [Env.Claim]. Nil compares
	// nothing.
	Claims *Claims

	// MayCome reports whether a thing of the target that is not there may still appear
	// in this run: a step that is not done may make it. Things are named by the kits,
	// such as "Service/web/app". Nil means that nothing is known about that, as in a dry
	// run; see [Env.Hopeless].
	MayCome func(thing string) bool

	// Session holds connections that steps share.
	Session *Session

	// Detach starts a process of this program that does the work called name and
	// goes on when the run is killed. The connection is its standard input and
	// output; it has inherit open for as long as it lives. Close does not end it.
	// Where no such process can be started, Detach is nil and the step does the work
	// itself.
	Detach func(name string, inherit *os.File) (io.ReadWriteCloser, error)

	// Now is the clock of the run.
	Now func() time.Time

	// Logf records a line of detail, shown with -v. Statusf records the present
	// activity of the step; only the newest counts, and a live view shows it. Warnf
	// records a warning, which is always shown and does not fail the step.
	Logf    func(format string, args ...any)
	Statusf func(format string, args ...any)
	Warnf   func(format string, args ...any)

	// Record records a measurement for the evidence of the run. The names and the
	// form of data are in package steps/evidence.
	Record func(name string, data any)

	// Apply makes a change of a proof, exactly as the edits of other steps are
	// made: behind the run's lock, with an intent in the journal before it and the
	// outcome after it. It returns the error of the edit's Apply, whose context
	// allows writes. An edit that is not declared ([Changer]) is refused for good.
	// When ctx has ended, nothing is applied. It is nil for a step that is no
	// proof, may be called from several goroutines, and not after Prove returned.
	//
	// An edit that is under way when the run is interrupted may finish, for the
	// time that other edits have. To turn back after an interrupt, a proof calls
	// Apply with a context that outlives its own and has a deadline. When the run
	// ended because its lock is lost, that is refused as well.
	Apply func(ctx context.Context, e Edit) error

	// Conceal registers secrets that the step learned, beyond those in its
	// inputs and outputs, so that no output of the run shows them.
	Conceal func(...Secret)
}
