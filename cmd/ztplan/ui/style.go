package ui

import (
	"os"
	"strings"
)

// A Style colours text, or does not.
type Style struct{ on bool }

// NewStyle returns a Style for a writer. Colour is on when the writer is a
// terminal, noColor is false and NO_COLOR is unset (https://no-color.org).
func NewStyle(terminal, noColor bool) Style {
	return Style{terminal && !noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (s Style) paint(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Bold and the others return a text as it is if the style is off.
func (s Style) Bold(t string) string   { return s.paint("1", t) }
func (s Style) Dim(t string) string    { return s.paint("2", t) }
func (s Style) Red(t string) string    { return s.paint("31", t) }
func (s Style) Green(t string) string  { return s.paint("32", t) }
func (s Style) Yellow(t string) string { return s.paint("33", t) }
func (s Style) Cyan(t string) string   { return s.paint("36", t) }

// diffLine colours a line of a diff by its first sign.
func (s Style) diffLine(l string) string {
	for i := range len(l) {
		switch l[i] {
		case ' ':
			continue
		case '+':
			return s.Green(l)
		case '-':
			return s.Red(l)
		case '~':
			return s.Yellow(l)
		}
		break
	}
	return l
}

// bar colours the signs of a bar: new, old, and wrong.
func (s Style) bar(line string) string {
	if !s.on {
		return line
	}
	var b strings.Builder
	for _, r := range line {
		switch r {
		case '█':
			b.WriteString(s.Green(string(r)))
		case '▒':
			b.WriteString(s.Yellow(string(r)))
		case '░', '·':
			b.WriteString(s.Dim(string(r)))
		case '✗', '?':
			b.WriteString(s.Red(string(r)))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
