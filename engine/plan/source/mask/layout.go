package mask

import (
	"regexp"
	"slices"
	"strings"
)

// An Outline has the secrecy of one line, by the layout of the file.
type Outline struct {
	Secret bool // all of the line is part of a value that looks like a secret
	Marked bool // it is in an object of which a mark says that it holds a secret

	marks  bool    // a mark is in the line, or one level below it
	parent int     // the line below whose key it is; 0 for none
	below  secrecy // of the lines below it
}

// Layout returns the outlines of lines, which count from 1: lines[0] stands for what is
// above all. It judges by keys and indents, and hides what may be a secret; declared are
// further keys of secrets.
func Layout(lines, declared []string) []Outline {
	names := make(judged)
	for _, key := range declared {
		names[key] = secret
	}
	all := outline(lines, 2, names)
	if slices.ContainsFunc(lines, tabIndents.MatchString) {
		for _, tab := range []int{4, 8} { // the width of a tab is not known
			for n, o := range outline(lines, tab, names) {
				all[n].Secret = all[n].Secret || o.Secret
				all[n].Marked = all[n].Marked || o.Marked
			}
		}
	}
	return all
}

// tabIndents is a line that a tab indents.
var tabIndents = regexp.MustCompile(`^ *\t`)

// judged has results of [secrecyOf]: most keys come often.
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
func outline(texts []string, tab int, names judged) []Outline {
	lines := nest(texts, tab, names)
	quote := byte(0) // of a secret that goes on
	goes := false    // a secret may go on without quotes, and without an indent
	option := false  // the next argument is a secret
	for n := 1; n < len(lines); n++ {
		o, text := &lines[n], texts[n]
		if quote != 0 {
			o.Secret = true
			if QuoteEnd(text, 0, quote) >= 0 {
				quote = 0
			}
			continue
		}
		parent := lines[o.parent]
		o.Marked = o.marks || parent.marks
		keys, name := keysIn(text), ""
		first := slices.IndexFunc(keys, func(k key) bool { return !k.option })
		if first >= 0 {
			name = keys[first].name
		}
		o.below = parent.below
		o.Secret = parent.below.of(name) != public || goes && first < 0 && bareText.MatchString(text)
		goes = o.Secret || goes && strings.TrimSpace(text) == ""
		if m := argument.FindStringSubmatch(text); option && m != nil {
			o.Secret, option = o.Secret || !noSecret.MatchString(m[1]) && !strings.ContainsRune("-]}", rune(m[1][0])), false
		}
		for i, k := range keys {
			own := names.secrecyOf(k.name)
			if o.Marked {
				own = max(own, secrecyOf(k.name, true))
			}
			if own == public || noSecret.MatchString(k.value) || i > first && !goesOn(k.value) {
				continue
			}
			if k.option {
				option = isComment(k.value)
				continue
			}
			if blockHeader.MatchString(k.value) {
				own = secret
			}
			o.below, goes = max(o.below, own), true
			if k.value != "" && (k.value[0] == '"' || k.value[0] == '\'') && QuoteEnd(k.value, 1, k.value[0]) < 0 {
				quote = k.value[0]
			}
		}
	}
	return lines
}

// argument is an item of a list, without its quote, and no comment.
var argument = regexp.MustCompile(`^\s*(?:-\s+)?["']?((?:[^\s#]|#\S).*)`)

// bareText is text that is no item of a list and no comment.
var bareText = regexp.MustCompile(`^\s*[^\s#-].*\w`)

// nest finds the parents of all lines and the marks. A list may be as far in as its key.
func nest(texts []string, tab int, names judged) []Outline {
	type block struct {
		line, indent int
		item         bool
	}
	lines := make([]Outline, len(texts))
	var open []block
	for n := 1; n < len(lines); n++ {
		text := texts[n]
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
			end := QuoteEnd(value, at+1, c)
			if end < 0 {
				return true
			}
			at = end - 1
		}
		start = strings.IndexByte(" {[,:=", value[at]) >= 0
	}
	return true
}
