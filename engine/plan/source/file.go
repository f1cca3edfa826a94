package source

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/source/mask"
)

// A File is the text of a file, cut into lines.
type File struct {
	Name string // as messages give it

	data   []byte
	starts []int // where each line begins
	keys   bool  // see [mask.HoldsKeys]

	secrets []string // see KeepSecrets

	outlines []mask.Outline // see layout

	covered []span // text that [Parse] could not read: other problems there follow from it
}

// NewFile returns a file with a text, without the byte order mark that some editors write
// before it. name may be empty for a text that is in no file.
func NewFile(name string, data []byte) *File {
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	s := &File{Name: name, data: data, keys: mask.HoldsKeys(data), starts: make([]int, 1, 1+bytes.Count(data, []byte("\n")))}
	for i := 0; i < len(data); {
		n := lineBreak(data[i:])
		if n == 0 {
			i++
			continue
		}
		i += n
		s.starts = append(s.starts, i)
	}
	return s
}

// Text returns the bytes of the file. The caller must not change them.
func (s *File) Text() []byte { return s.data }

// Place returns the position of a node of the file.
func (s *File) Place(n *yaml.Node) Position { return Position{s.Name, n.Line, n.Column} }

// KeepSecrets makes the values of keys secret: no excerpt shows them, however they are
// written, also if the text is no YAML.
func (s *File) KeepSecrets(keys []string) { s.secrets = keys }

// lineBreak returns the length of the line break that b begins with, or 0.
// YAML 1.1 also breaks lines at NEL, LS and PS, and the parser counts them.
func lineBreak(b []byte) int {
	switch b[0] {
	case '\n':
		return 1
	case '\r':
		if len(b) > 1 && b[1] == '\n' {
			return 2
		}
		return 1
	case 0xC2:
		if len(b) > 1 && b[1] == 0x85 {
			return 2
		}
	case 0xE2:
		if len(b) > 2 && b[1] == 0x80 && (b[2] == 0xA8 || b[2] == 0xA9) {
			return 3
		}
	}
	return 0
}

// line returns the text of a line, counted from 1, without its break.
func (s *File) line(n int) string {
	if n < 1 || n > len(s.starts) {
		return ""
	}
	start, end := s.starts[n-1], len(s.data)
	if n < len(s.starts) {
		end = s.starts[n]
		for i := max(start, end-len("\u2028")); i < end; i++ {
			if i+lineBreak(s.data[i:]) == end {
				end = i
			}
		}
	}
	return string(s.data[start:end])
}

// length returns how many bytes a line has, with its break.
func (s *File) length(n int) int {
	if n < len(s.starts) {
		return s.starts[n] - s.starts[n-1]
	}
	return len(s.data) - s.starts[n-1]
}

// lines returns how many lines there are; a break at the end begins no line
// that could hold anything.
func (s *File) lines() int {
	n := len(s.starts)
	if n > 1 && s.starts[n-1] == len(s.data) {
		n--
	}
	return n
}

// offset returns the byte at which a position is, or -1.
func (s *File) offset(line, column int) int {
	if line < 1 || line > len(s.starts) || column < 1 {
		return -1
	}
	at := s.starts[line-1]
	for ; column > 1; column-- {
		if at >= len(s.data) {
			return -1
		}
		_, n := utf8.DecodeRune(s.data[at:])
		at += n
	}
	return at
}

// at returns the position of a byte.
func (s *File) at(offset int) (line, column int) {
	i, exact := slices.BinarySearch(s.starts, offset)
	if !exact {
		i--
	}
	return i + 1, utf8.RuneCount(s.data[s.starts[i]:offset]) + 1
}

// clamp moves a position to the nearest one inside the file.
func (s *File) clamp(line, column int) (int, int) {
	if line < 1 {
		return 0, 0
	}
	if last := s.lines(); line > last {
		line, column = last, utf8.RuneCountInString(s.line(last))+1
	}
	return line, min(column, utf8.RuneCountInString(s.line(line))+1)
}

// layout returns what the layout of the file says about its lines.
func (s *File) layout() []mask.Outline {
	if s.outlines == nil {
		lines := make([]string, s.lines()+1)
		for n := range lines {
			lines[n] = s.line(n)
		}
		s.outlines = mask.Layout(lines, s.secrets)
	}
	return s.outlines
}
