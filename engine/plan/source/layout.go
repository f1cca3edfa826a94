package source

import (
	"regexp"
	"strings"
)

// An outline is what the layout of a file says about one line.
type outline struct {
	secret bool // all of the line is part of a value that looks like a secret
	marked bool // it is in an object of which a mark says that it holds a secret

	marks  bool    // a mark is in the line, or one level below it
	parent int     // the line below whose key it is; 0 for none
	below  secrecy // of the lines below it
}

// layout returns the outlines of all lines, counted from 1. It judges by keys and indents,
// as the file may not be valid YAML, and hides what may be a secret.
func (s *File) layout() []outline {
	if s.outlines != nil {
		return s.outlines
	}
	names := make(judged)
	s.outlines = s.outline(2, names)
	if tabIndents.Match(s.data) {
		for _, tab := range []int{4, 8} { // how wide a tab is nobody knows
			for n, o := range s.outline(tab, names) {
				s.outlines[n].secret = s.outlines[n].secret || o.secret
				s.outlines[n].marked = s.outlines[n].marked || o.marked
			}
		}
	}
	return s.outlines
}

// tabIndents finds a line that a tab indents.
var tabIndents = regexp.MustCompile(`(?:^|[\n\r]) *\t`)

// judged is what [secrecyOf] says about keys: many a key comes often.
type judged map[string]secrecy

func (j judged) secrecyOf(key string) secrecy {
	s, ok := j[key]
	if !ok {
		s = secrecyOf(key, false)
		j[key] = s
	}
	return s
}

// outline returns the outlines of all lines for tabs of one width.
func (s *File) outline(tab int, names judged) []outline {
	lines := s.nest(tab, names)
	quote := byte(0) // of a secret that goes on
	goes := false    // a secret may go on without quotes, and without an indent
	for n := 1; n < len(lines); n++ {
		o, text := &lines[n], s.line(n)
		if quote != 0 {
			o.secret = true
			if quoteEnd(text, 0, quote) >= 0 {
				quote = 0
			}
			continue
		}
		parent := lines[o.parent]
		o.marked = o.marks || parent.marks
		keys, first := keyOfValue.FindAllStringSubmatchIndex(text, -1), ""
		if len(keys) > 0 {
			first = text[keys[0][2]:keys[0][3]]
		}
		o.below = parent.below
		o.secret = parent.below.of(first) != public || goes && len(keys) == 0 && bareText.MatchString(text)
		goes = o.secret || goes && strings.TrimSpace(text) == ""
		for i, m := range keys {
			key, value := text[m[2]:m[3]], strings.TrimSpace(text[m[1]:])
			own := names.secrecyOf(key)
			if o.marked {
				own = secrecyOf(key, true)
			}
			if own == public || noSecret.MatchString(value) || i > 0 && !goesOn(value) {
				continue
			}
			if blockHeader.MatchString(value) {
				own = secret
			}
			o.below, goes = max(o.below, own), true
			if value != "" && (value[0] == '"' || value[0] == '\'') && quoteEnd(value, 1, value[0]) < 0 {
				quote = value[0]
			}
		}
	}
	return lines
}

// bareText is text that is no item of a list and no comment.
var bareText = regexp.MustCompile(`^\s*[^\s#-].*\w`)

// nest finds the parents of all lines and the marks. A list may be as far in as its key.
func (s *File) nest(tab int, names judged) []outline {
	type block struct {
		line, indent int
		item         bool
	}
	lines := make([]outline, s.lines()+1)
	var open []block
	for n := 1; n < len(lines); n++ {
		text := s.line(n)
		rest := strings.TrimLeft(text, " \t")
		if rest == "" {
			continue
		}
		b := block{line: n, item: rest == "-" || strings.HasPrefix(rest, "- ")}
		for _, c := range text[:len(text)-len(rest)] {
			if b.indent++; c == '\t' {
				b.indent += tab - 1
			}
		}
		last := len(open)
		for ; last > 0; last-- {
			if o := open[last-1]; o.indent < b.indent || o.indent == b.indent && b.item && !o.item {
				lines[n].parent = o.line
				break
			}
		}
		if rest[0] == '#' {
			continue // a comment ends nothing
		}
		open = append(open[:last], b)
		for _, m := range mark.FindAllStringSubmatchIndex(text, -1) {
			if m[2] >= 0 && names.secrecyOf(text[m[2]:m[3]]) == public {
				continue
			}
			lines[n].marks = true
			if strings.TrimLeft(text[:m[0]], " \t") == "" {
				lines[lines[n].parent].marks = true
			}
		}
	}
	return lines
}

// goesOn reports whether a value between brackets goes on in the next line.
func goesOn(value string) bool {
	depth, start := 0, true
	for at := 0; at < len(value); at++ {
		switch c := value[at]; c {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return false
			}
		case ',':
			if depth == 0 {
				return false
			}
		case '"', '\'':
			if !start {
				break
			}
			end := quoteEnd(value, at+1, c)
			if end < 0 {
				return true
			}
			at = end - 1
		}
		start = strings.IndexByte(" {[,:=", value[at]) >= 0
	}
	return true
}
