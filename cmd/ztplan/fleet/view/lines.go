package view

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/drive"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/ui"
)

// Lines shows a run in a log: a line when the numbers of the wave have changed, at most
// one in a while, and one when the wave is over or its stop rule holds. A cause is
// shown once, with the first clusters that have it.
type Lines struct {
	mu      sync.Mutex
	w       io.Writer
	fleet   Fleet
	next    *drive.Snapshot // that may not be shown yet
	last    string          // line that was shown
	at      time.Time       // of the last line
	decided string          // wave whose end, or stop rule, was shown
	causes  map[string]bool
	stop    func()
}

// every is the least time between two lines.
const every = 10 * time.Second

// NewLines returns a Lines that writes to w. Close must be called.
func NewLines(w io.Writer, f Fleet) *Lines {
	l := &Lines{w: w, fleet: f, causes: make(map[string]bool)}
	l.stop = ui.Every(time.Second, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.due()
	})
	return l
}

// Show takes the state of the wave that runs.
func (l *Lines) Show(s drive.Snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = &s
	decided := fmt.Sprint(s.Name, s.Over, !s.Soaking.IsZero(), holds(&s) != "")
	if (s.Over || holds(&s) != "") && decided != l.decided {
		l.decided = decided
		l.tell()
		return
	}
	l.due()
}

func (l *Lines) due() {
	if l.next != nil && time.Since(l.at) >= every {
		l.tell()
	}
}

func (l *Lines) tell() {
	s := l.next
	l.next = nil
	line := WaveLine(*s)
	if line == l.last {
		return
	}
	l.last, l.at = line, time.Now()
	fmt.Fprintln(l.w, line)
	for _, g := range l.fleet.causes(s) {
		if !l.causes[g.Key] {
			l.causes[g.Key] = true
			fmt.Fprintf(l.w, "  %s: %s: %s\n", g.State, g.Clusters(3), ledger.Brief(g.Text()))
		}
	}
}

// Close shows the last snapshot if it was not shown yet.
func (l *Lines) Close() error {
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next != nil {
		l.tell()
	}
	return nil
}
