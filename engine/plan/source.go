package plan

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ztplan/ztplan/engine"
)

// A Position is a place in a file. Lines and columns count from 1; a column
// counts characters, as editors and yaml do.
type Position struct {
	File   string // as the user named it
	Line   int
	Column int
}

// String returns "file:line:column", the form that terminals and editors open.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return p.File + ":" + strconv.Itoa(p.Line)
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
}

// A source is one file that was read, cut into lines.
type source struct {
	name   string // for messages
	data   []byte
	starts []int // where each line begins
	keys   bool  // see holdsKeys
}

func newSource(name string, data []byte) *source {
	s := &source{name: name, data: data, keys: holdsKeys(data), starts: make([]int, 1, 1+bytes.Count(data, []byte("\n")))}
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
func (s *source) line(n int) string {
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
func (s *source) length(n int) int {
	if n < len(s.starts) {
		return s.starts[n] - s.starts[n-1]
	}
	return len(s.data) - s.starts[n-1]
}

// lines returns how many lines there are; a break at the end begins no line
// that could hold anything.
func (s *source) lines() int {
	n := len(s.starts)
	if n > 1 && s.starts[n-1] == len(s.data) {
		n--
	}
	return n
}

// offset returns the byte at which a position is, or -1.
func (s *source) offset(line, column int) int {
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
func (s *source) at(offset int) (line, column int) {
	i, exact := slices.BinarySearch(s.starts, offset)
	if !exact {
		i--
	}
	return i + 1, utf8.RuneCount(s.data[s.starts[i]:offset]) + 1
}

// clamp moves a position to the nearest one inside the file.
func (s *source) clamp(line, column int) (int, int) {
	if line < 1 {
		return 0, 0
	}
	if last := s.lines(); line > last {
		line, column = last, utf8.RuneCountInString(s.line(last))+1
	}
	if column > 0 {
		column = min(column, utf8.RuneCountInString(s.line(line))+1)
	}
	return line, column
}

// maxExcerpt is how many characters of a line an excerpt shows.
const maxExcerpt = 150

// maxLine is how many bytes a line has of which there are excerpts: the whole line
// is searched for what looks like a secret.
const maxLine = 64 << 10

// excerpt returns the line with its neighbours and a caret under the column:
//
//	  13 |     uses: pkiRoot
//	> 14 |     with: {mount: pki, commonNme: Root CA Lab}
//	     |                        ^
//	  15 |     timeout: 2m
//
// known takes known secrets out of a line before it is shown; what looks like a
// secret is taken out as well. A file of keys has no excerpts, and neither has a line of
// more than maxLine bytes.
func (s *source) excerpt(line, column int, known func(string) string) string {
	if line < 1 || line > s.lines() || s.keys || s.length(line) > maxLine {
		return ""
	}
	conceal := func(text string) string { return mask(known(text)) }
	first, last := max(1, line-1), min(s.lines(), line+1)
	width := len(strconv.Itoa(last))
	var b strings.Builder
	for n := first; n <= last; n++ {
		if s.length(n) > maxLine {
			continue
		}
		text := s.line(n)
		if s.hidden(n) {
			text = text[:indentOf(text)] + engine.Redacted
		}
		if n != line {
			row(&b, " ", width, n, cut(conceal(text), 0))
			continue
		}
		before := string([]rune(text)[:max(0, min(column-1, utf8.RuneCountInString(text)))])
		shown := conceal(text)
		if shown == known(text) {
			before = known(before) // a part of a value may look like a secret
		} else {
			before = conceal(before)
		}
		caret := min(utf8.RuneCountInString(before), utf8.RuneCountInString(shown))
		from := 0
		if utf8.RuneCountInString(shown) > maxExcerpt {
			from = max(0, caret-maxExcerpt/2)
		}
		part := cut(shown, from)
		row(&b, ">", width, n, part)
		if column > 0 {
			if from > 0 {
				caret -= from - 1 // for the mark that something was cut
			}
			fmt.Fprintf(&b, "  %*s | %s^\n", width, "", blank(part, caret))
		}
	}
	return b.String()
}

func row(b *strings.Builder, mark string, width, n int, text string) {
	line := fmt.Sprintf("%s %*d | %s", mark, width, n, text)
	b.WriteString(strings.TrimRightFunc(line, unicode.IsSpace))
	b.WriteByte('\n')
}

// cut returns what an excerpt shows of a line from the given character on.
func cut(text string, from int) string {
	runes := []rune(text)
	for i, r := range runes {
		if r != '\t' && !unicode.IsPrint(r) {
			runes[i] = '\uFFFD'
		}
	}
	if len(runes) <= maxExcerpt {
		return string(runes)
	}
	var b strings.Builder
	if from > 0 {
		b.WriteRune('…')
	}
	end := min(len(runes), from+maxExcerpt)
	b.WriteString(string(runes[min(from, end):end]))
	if end < len(runes) {
		b.WriteRune('…')
	}
	return b.String()
}

// blank returns the space that n characters of text take, tabs kept.
func blank(text string, n int) string {
	var b strings.Builder
	for _, r := range text {
		if n == 0 {
			break
		}
		n--
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	for range n {
		b.WriteByte(' ')
	}
	return b.String()
}
