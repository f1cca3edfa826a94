package ui

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Frame is how often a view is drawn again.
const Frame = 120 * time.Millisecond

// A Screen is a terminal with a view below the lines that were written, redrawn in
// place.
type Screen struct {
	w     io.Writer
	size  func() (width, height int)
	drawn int // lines of the view on the screen
}

// NewScreen returns a Screen that draws on w; size gives the terminal's size in cells.
func NewScreen(w io.Writer, size func() (width, height int)) *Screen {
	return &Screen{w: w, size: size}
}

// Rows returns how many lines a view may have.
func (s *Screen) Rows() int {
	_, height := s.size()
	return max(height-2, 3)
}

// Draw replaces the view on the screen by new lines and a new view, in one write so that
// nothing flickers. Lines of the view are cut to the width of the terminal.
func (s *Screen) Draw(lines []byte, view []string) {
	var out bytes.Buffer
	if s.drawn > 0 {
		fmt.Fprintf(&out, "\r\x1b[%dA\x1b[J", s.drawn)
	}
	out.Write(lines)
	width, _ := s.size()
	for _, line := range view {
		out.WriteString(cut(line, width-1) + "\x1b[0m\n")
	}
	s.drawn = len(view)
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
