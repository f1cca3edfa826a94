package ui

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/ztplan/ztplan/engine"
)

// Frame is how often a view is drawn again.
const Frame = 120 * time.Millisecond

// A Screen is a terminal with a view below the lines that were written, redrawn in
// place. [Screen.Close] leaves it in order.
type Screen struct {
	w    io.Writer
	size func() (width, height int)

	mu    sync.Mutex
	lines bytes.Buffer            // that are not on the screen yet
	view  func(most int) []string // nil when there is none
	drawn int                     // lines of the view on the screen
	stop  func()                  // ends the redrawing
}

// NewScreen returns a Screen that draws on w; size gives the terminal's size in cells.
func NewScreen(w io.Writer, size func() (width, height int)) *Screen {
	return &Screen{w: w, size: size}
}

// Show draws a view in every [Frame]. The function returns at most so many lines; it never
// runs at the same time as that of [Screen.Change].
func (s *Screen) Show(view func(most int) []string) {
	s.view = view
	s.stop = Every(Frame, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.draw()
	})
}

// Every calls f again and again, until stop is called, which waits for the last call. A
// panic of f ends the calls, and the program goes on.
func Every(interval time.Duration, f func()) (stop func()) {
	stopping, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		t := time.NewTicker(interval)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				if engine.Try(func() error { f(); return nil }) != nil {
					return
				}
			case <-stopping:
				return
			}
		}
	}()
	return func() { close(stopping); <-stopped }
}

// Change calls f, which may change the content of the view and write lines above it.
func (s *Screen) Change(f func(lines io.Writer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f(&s.lines); s.lines.Len() > 0 {
		s.draw()
	}
}

// Close removes the view and stops drawing.
func (s *Screen) Close() error {
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view = nil
	s.draw()
	return nil
}

// draw replaces the view on the screen by the new lines and a new view, in one write so
// that nothing flickers. Lines of the view are cut to the width of the terminal.
func (s *Screen) draw() {
	var out bytes.Buffer
	if s.drawn > 0 {
		fmt.Fprintf(&out, "\r\x1b[%dA\x1b[J", s.drawn)
	}
	_, _ = s.lines.WriteTo(&out)
	width, height := s.size()
	s.drawn = 0
	if s.view != nil {
		view := s.view(max(height-2, 3))
		for _, line := range view {
			out.WriteString(cut(line, width-1) + "\x1b[0m\n")
		}
		s.drawn = len(view)
	}
	_, _ = s.w.Write(out.Bytes())
}

// Spinner returns the sign of something that has been going on for a while.
func Spinner(since time.Duration) string {
	signs := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	return string(signs[int(max(since, 0)/Frame)%len(signs)])
}

// Progress returns a bar of 20 cells.
func (s Style) Progress(done, total int) string {
	const cells = 20
	full := cells * done / max(total, 1)
	return s.Green(strings.Repeat("━", full)) + s.Dim(strings.Repeat("─", cells-full))
}

// cut shortens a line to width cells, not counting escape sequences.
func cut(s string, width int) string {
	if width <= 0 {
		return s
	}
	cells := 0
	for i := 0; i < len(s); {
		if s[i] == 0x1b {
			if end := strings.IndexByte(s[i:], 'm'); end >= 0 {
				i += end + 1
				continue
			}
		}
		if cells == width-1 && utf8.RuneCountInString(s[i:]) > 1 {
			return s[:i] + "…"
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		i += n
		cells++
	}
	return s
}
