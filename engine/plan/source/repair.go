package source

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Bounds of the search for mistakes: each takes a run of the parser or two.
const (
	maxRepaired = 128 << 10 // bytes of a file
	maxMistakes = MostShown
)

// repair reports the faults of a file that the parser refuses: known mistakes, and the
// parser's message where it still stops. The lines there are left out, so that they hide
// nothing behind them. If there are only mistakes, repair returns the document as if they
// were mended, and has the file leave out problems that follow from them. ok is false if it
// found nothing.
func repair(src *File, report func(*Problem)) (doc *yaml.Node, ok bool) {
	if len(src.data) > maxRepaired {
		return nil, false
	}
	seen, last := make(map[Position]bool), 0
	for cur := src; len(seen) < 2*maxMistakes; {
		r := mend(cur, func(m *mistake) {
			if !seen[m.problem.Position] {
				seen[m.problem.Position] = true
				report(m.problem)
				src.cover(m)
			}
		}, seen)
		if r.doc != nil && cur == src {
			r.restore(r.doc)
			return r.doc, true
		}
		if r.err == nil || errors.Is(r.err, io.EOF) {
			break // nothing is left
		}
		p := r.syntaxProblem()
		if p.Line <= last {
			break // leaving out the line before was not enough
		}
		last = p.Line
		seen[p.Position] = true
		report(p)
		if cur = cur.without(p.Line); cur == nil {
			break
		}
	}
	return nil, len(seen) > 0
}

// mend looks for the mistakes of a file and returns it as if they were mended. Those that
// the parser meets, and are not known, are reported.
func mend(src *File, report func(*mistake), known map[Position]bool) *repaired {
	all := mistakes(src)
	// Tabs count as the width with which the parser comes farthest.
	best := newRepaired(src, all, nil, 2)
	for _, tab := range []int{4, 8} {
		if best.doc == nil && slices.ContainsFunc(all, func(m *mistake) bool { return m.tabs }) {
			if r := newRepaired(src, all, nil, tab); r.stop > best.stop {
				best = r
			}
		}
	}
	tried := 0
	for _, m := range all {
		if known[m.problem.Position] || m.closing {
			continue
		}
		if tried++; tried > maxMistakes {
			break
		}
		// The parser may take a text as it is, or not come to it.
		if m.template && m.problem.Line <= best.stop || newRepaired(src, all, m, best.tab).before(best) {
			report(m)
		}
	}
	return best
}

// before reports whether the parser stops earlier than in another text of the same file.
func (r *repaired) before(other *repaired) bool {
	return r.stop < other.stop || r.stop == other.stop && r.err != nil && (other.err == nil || r.err.Error() != other.err.Error())
}

// syntaxProblem returns the parser's message.
func (r *repaired) syntaxProblem() *Problem {
	p := syntaxProblem(r.text, r.err)
	if line := r.src.line(p.Line); len(r.edits[p.Line]) > 0 {
		p.Column = utf8.RuneCountInString(line[:len(line)-len(strings.TrimLeft(line, " \t"))]) + 1
	}
	return p
}

// without returns the file without a line and those after it that are not indented less, or
// nil if that are none.
func (s *File) without(line int) *File {
	data, indent := bytes.Clone(s.data), indentOf(s.line(line))
	for n := line; n <= s.lines(); n++ {
		text := s.line(n)
		if n > line && strings.TrimSpace(text) != "" && indentOf(text) < indent {
			break
		}
		copy(data[s.starts[n-1]:], strings.Repeat(" ", len(text)))
	}
	if bytes.Equal(data, s.data) {
		return nil
	}
	return NewFile(s.Name, data)
}

// cover keeps where the text of a mistake is that cannot be known.
func (s *File) cover(m *mistake) {
	for _, e := range m.edits {
		if line := s.line(e.line); m.covers {
			s.covered = append(s.covered, span{e.line, utf8.RuneCountInString(line[:e.from]) + 1, utf8.RuneCountInString(line[:e.to]) + 1})
		}
	}
}

// A span is a part of a line, in columns.
type span struct{ line, from, to int }

// covers reports whether a position is in text that was not read.
func (s *File) covers(p Position) bool {
	return slices.ContainsFunc(s.covered, func(c span) bool { return c.line == p.Line && c.from <= p.Column && p.Column <= c.to })
}

// repaired is a file with edits, and its document if the parser takes it.
type repaired struct {
	src   *File
	edits map[int][]edit // by line, in order
	tab   int
	text  *File

	doc  *yaml.Node
	err  error // of the parser
	stop int   // the line up to which it comes
}

// newRepaired applies the edits of all mistakes but one.
func newRepaired(src *File, all []*mistake, but *mistake, tab int) *repaired {
	r := &repaired{src: src, edits: make(map[int][]edit), tab: tab}
	for _, m := range all {
		if m == but {
			continue
		}
		for _, e := range m.edits {
			if m.tabs {
				e.text = strings.Repeat(" ", strings.Count(src.line(e.line)[e.from:e.to], "\t")*tab+strings.Count(src.line(e.line)[e.from:e.to], " "))
			}
			r.edits[e.line] = append(r.edits[e.line], e)
		}
	}
	var text bytes.Buffer
	at := 0
	for line := range src.starts {
		edits := r.edits[line+1]
		slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
		for _, e := range edits {
			start := src.starts[line]
			text.Write(src.data[at : start+e.from])
			text.WriteString(e.text)
			at = start + e.to
		}
	}
	text.Write(src.data[at:])
	r.text = NewFile(src.Name, text.Bytes())
	doc, err := onlyDocument(text.Bytes())
	switch {
	case err != nil:
		r.err = err
		r.stop, _ = lastLineRead(r.text)
	case templateLine(doc) > 0:
		r.stop = templateLine(doc)
	default:
		r.doc, r.stop = doc, len(src.starts)+1
	}
	return r
}

// restore gives the nodes their places in the file.
func (r *repaired) restore(n *yaml.Node) {
	if edits := r.edits[n.Line]; len(edits) > 0 {
		line, shift := r.src.line(n.Line), 0
		for _, e := range edits {
			from := utf8.RuneCountInString(line[:e.from]) + 1
			if n.Column < from+shift {
				break
			}
			if n.Column == from+shift {
				n.Style &^= yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle
			}
			width := utf8.RuneCountInString(e.text)
			if n.Column < from+shift+width {
				n.Column = from + shift
				break
			}
			shift += width - utf8.RuneCountInString(line[e.from:e.to])
		}
		n.Column -= shift
	}
	for _, child := range n.Content {
		r.restore(child)
	}
}

// onlyDocument parses the first document of a text, and the rest for its errors.
func onlyDocument(text []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	doc, err := nextDocument(dec)
	if err != nil {
		return nil, err
	}
	if _, err := nextDocument(dec); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return doc, nil
}

// templateLine returns the line of a {{ … }} that the parser takes for a mapping whose key
// is a mapping, or 0.
func templateLine(n *yaml.Node) int {
	if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 && len(n.Content) > 0 {
		if key := n.Content[0]; key.Kind == yaml.MappingNode && key.Line == n.Line && key.Column == n.Column+1 {
			return n.Line
		}
	}
	for _, child := range n.Content {
		if line := templateLine(child); line > 0 {
			return line
		}
	}
	return 0
}

// indentOf returns how far in a line begins, and -1 for an empty one.
func indentOf(line string) int {
	n := len(line) - len(strings.TrimLeft(line, " "))
	if n == len(line) {
		return -1
	}
	return n
}
