package source

import (
	"strings"
	"unicode/utf8"

	"github.com/ztplan/ztplan/engine/plan/source/mask"
)

// A mistake is text that is no YAML for a reason that is known, and the text that takes
// its place so that the rest can be read.
type mistake struct {
	problem *Problem
	edits   []edit // of one line each, in order
	// covers is set if the text that takes its place is not the intended one: then other
	// problems there only follow from it.
	covers   bool
	tabs     bool // the edits are of tabs that indent lines
	closing  bool // the end of a construct that another mistake begins
	template bool // a template, which is a mistake even where the parser takes it
}

// An edit replaces the bytes of a line from one offset to another; both count from 0.
type edit struct {
	line, from, to int
	text           string
}

// unread takes the place of a value that cannot be known. It is a reference without an
// end, which has no value, so that nothing follows from it.
const unread = `"${"`

const notYAML = "not valid YAML: "

// Hints of mistakes. None of them repeats a value: it may be a secret.
const (
	templateHint = `declare a variable below vars and write "${vars.NAME}"; when: is for if, forEach: for range, include: for a part that is used again`
	valueHint    = "write the value in quotes: key: '…'"
)

// mistakes looks for text that people write who come from templates, from the shell or
// from other YAML dialects, and that YAML cannot read. It is for a file that
// the parser refused, and follows the lines as the parser does, though coarsely: its caller
// asks the parser whether a mistake is one.
func mistakes(src *File) []*mistake {
	m := &finder{src: src, scalar: -1, plain: -1, anchors: make(map[string]bool)}
	for m.line = 1; m.line <= src.lines(); m.line++ {
		m.text = src.line(m.line)
		m.next()
	}
	return m.found
}

// A finder finds mistakes line by line.
type finder struct {
	src   *File
	line  int
	text  string // of the line
	found []*mistake
	tabs  *mistake

	scalar, plain int  // indentation of the key whose block scalar, or plain text, may go on; or -1
	quote         byte // of a quoted text that goes on
	depth         int  // of flow collections
	colon         bool // in a flow collection: a value is expected
	anchors       map[string]bool
}

func (m *finder) add(from, to int, text string, covers bool, summary, detail, hint string) {
	m.found = append(m.found, &mistake{
		problem: &Problem{
			Position: Position{m.src.Name, m.line, utf8.RuneCountInString(m.text[:from]) + 1},
			Summary:  notYAML + summary, Detail: detail, Hint: hint,
		},
		edits: []edit{{m.line, from, to, text}}, covers: covers,
	})
}

// next reads a line.
func (m *finder) next() {
	indent := spaces(m.text, 0)
	if m.quote != 0 {
		end := mask.QuoteEnd(m.text, 0, m.quote)
		if end < 0 {
			return
		}
		if m.quote = 0; m.depth > 0 {
			m.flow(end)
		}
		return
	}
	rest := m.text[indent:]
	if m.scalar >= 0 && (strings.TrimSpace(rest) == "" || indent > m.scalar) {
		return
	}
	m.scalar = -1
	blank := strings.TrimLeft(rest, " \t")
	switch {
	case m.depth == 0 && strings.HasPrefix(rest, "\t"): // no space, even before a comment
		m.tab(indent, len(m.text)-len(blank))
	case blank == "" || blank[0] == '#':
	case m.depth > 0:
		m.flow(indent)
	case m.plain >= 0 && indent > m.plain:
	case strings.HasPrefix(rest, "{{") || strings.HasPrefix(rest, "{%"):
		m.action(indent)
	case strings.HasPrefix(rest, "---") && spaces(rest, 3) == len(rest):
		m.plain = -1
	default:
		m.block(indent)
	}
}

// tab reports tabs that indent lines, all of them as one mistake.
func (m *finder) tab(from, to int) {
	if m.tabs == nil {
		m.add(from, to, "", false, "a tab indents the line", "YAML takes spaces only: how wide a tab is differs between editors",
			"indent with spaces, here and in all lines that begin with tabs")
		m.tabs = m.found[len(m.found)-1]
		m.tabs.tabs = true
		return
	}
	m.tabs.edits = append(m.tabs.edits, edit{m.line, from, to, ""})
}

// action reads a line that begins with an action of a template.
func (m *finder) action(at int) {
	end, text := m.end(at), ""
	switch close := templateEnd(m.text, at); {
	case colonAt(m.text, close) == close: // a key
		end, text = close, "'"+strings.ReplaceAll(m.text[at:close], "'", "''")+"'"
	case !isControl(m.text[at:end]) && m.expected():
		text = unread
	}
	m.add(at, end, text, true, "a template, "+opening(m.text[at:]), templateDetail, templateHint)
	last := m.found[len(m.found)-1]
	last.template, last.closing = true, isClosing(m.text[at:end])
	if text != "" && text != unread {
		m.after(end, at)
	}
}

// expected reports whether the line before ends with a key, whose value this one is.
func (m *finder) expected() bool {
	for n := m.line - 1; n >= 1; n-- {
		line := strings.TrimSpace(m.src.line(n))
		if line != "" && line[0] != '#' {
			return strings.HasSuffix(line, ":")
		}
	}
	return false
}

// block reads a line outside of flow collections from the first character of a node on.
func (m *finder) block(at int) {
	parent := at
	for at < len(m.text) && (m.text[at] == '-' || m.text[at] == '?') && (at+1 == len(m.text) || m.text[at+1] == ' ') {
		parent = at
		if at = spaces(m.text, at+1); at < len(m.text) && m.text[at] != '#' {
			continue
		}
		m.plain = -1
		return
	}
	end := m.end(at)
	colon := -1
	switch c := m.text[at]; {
	case c == '"' || c == '\'':
		if close := mask.QuoteEnd(m.text, at+1, c); close >= 0 {
			if k := spaces(m.text, close); colonAt(m.text, k) == k {
				colon = k
			}
		}
	case c == '[' || c == '{':
	default:
		colon = colonAt(m.text[:end], at)
	}
	if colon < 0 {
		m.value(at, parent)
		return
	}
	if strings.IndexByte("@`%*", m.text[at]) >= 0 && !m.alias(at, colon) {
		m.add(at, colon, singleQuoted(m.text[at:colon]), false, "a key begins with "+m.text[at:at+1],
			"that character is reserved in YAML, or stands for an alias", "write the key in quotes")
	}
	m.after(colon, at)
}

// after reads what is behind a key, whose colon is at the offset.
func (m *finder) after(colon, indent int) { m.value(spaces(m.text, colon+1), indent) }

// value reads a value that begins at an offset, if one does, and belongs to a node that is
// indented so far.
func (m *finder) value(at, indent int) {
	m.plain = -1
	for {
		end := m.end(at)
		if end <= at {
			return
		}
		whole := singleQuoted(m.text[at:end])
		switch c := m.text[at]; {
		case c == '|' || c == '>':
			m.scalar = indent
		case c == '"' || c == '\'':
			close := mask.QuoteEnd(m.text, at+1, c)
			if close < 0 {
				m.quote = c
			} else if rest := spaces(m.text, close); rest < end {
				m.add(at, end, whole, true, "text after the quotes of a value",
					"a value that begins with a quote ends with the same quote", "put the whole value into quotes, or leave the quotes out")
			}
		case strings.HasPrefix(m.text[at:], "{{") || strings.HasPrefix(m.text[at:], "{%"):
			m.template(at, end)
		case c == '[' || c == '{':
			m.flow(at)
		case c == '@' || c == '`' || c == '%':
			m.add(at, end, whole, false, "a value begins with "+string(c), "that character is reserved in YAML", valueHint)
		case c == '!' && strings.ContainsAny(firstWord(m.text[at:end]), "{}"):
			m.add(at, end, whole, false, "a value begins with !", "in YAML that begins the tag of a value, such as !!str", valueHint)
		case (c == '*' || c == '&') && !m.alias(at, end):
			m.unnamed(at, end)
		case c == '*':
		case c == '&' || c == '!':
			at = spaces(m.text, at+len(firstWord(m.text[at:end])))
			continue
		case c == '#':
		case colonAt(m.text[:end], at) >= 0:
			colon := colonAt(m.text[:end], at)
			m.add(at, end, whole, true, "a second \": \" in a line", "what is behind the first is a value, and a value has no key without a line of its own or { }",
				"write a value that contains \": \" in quotes, and a key in a line of its own")
			m.found[len(m.found)-1].problem.Column += utf8.RuneCountInString(m.text[at:colon])
		default:
			m.plain = indent
		}
		return
	}
}

// flow reads a part of a flow collection.
func (m *finder) flow(at int) {
	for at < len(m.text) {
		c := m.text[at]
		switch {
		case c == ' ' || c == '\t':
			at++
		case c == '#' && strings.IndexByte(" \t", m.text[at-1]) >= 0:
			return
		case (c == '[' || c == '{') && !strings.HasPrefix(m.text[at:], "{{") && !strings.HasPrefix(m.text[at:], "{%"):
			m.depth++
			m.colon = false
			at++
		case c == ']' || c == '}':
			m.colon = false
			at++
			if m.depth--; m.depth == 0 {
				return
			}
		case c == ',':
			m.colon = false
			at++
		case c == ':':
			m.colon = true
			at++
		case c == '"' || c == '\'':
			close := mask.QuoteEnd(m.text, at+1, c)
			if close < 0 {
				m.quote = c
				return
			}
			at = close
		default:
			at = m.flowScalar(at)
		}
	}
}

// flowScalar reads a scalar without quotes in a flow collection and returns where it ends.
func (m *finder) flowScalar(from int) int {
	at, broken, colon := from, false, -1
scan:
	for at < len(m.text) {
		switch c := m.text[at]; c {
		case ',', ']', '}':
			break scan
		case '[', '{':
			broken = true
			at = bracketEnd(m.text, at)
			continue
		case '#':
			if at > from && m.text[at-1] == ' ' {
				break scan
			}
		case ':':
			if next := at + 1; next == len(m.text) || strings.IndexByte(" ,]}", m.text[next]) >= 0 {
				if !m.colon {
					break scan
				}
				if colon < 0 {
					colon = at
				}
			}
		}
		at++
	}
	end := from + len(strings.TrimRight(m.text[from:at], " \t"))
	part := m.text[from:end]
	quoted := singleQuoted(part)
	hint := "write the value in quotes"
	switch c := m.text[from]; {
	case strings.Contains(part, "{{") && !strings.Contains(part, "${{") || strings.Contains(part, "{%"):
		m.template(from, end)
	case broken && strings.Contains(part, "${"):
		if strings.Count(part, "${") == 1 && bracketEnd(part, strings.Index(part, "${")+1) == len(part) && strings.HasPrefix(part, "${") {
			hint = "write it in quotes: " + referenceQuoted(part)
		}
		m.add(from, end, quoted, false, "a reference without quotes inside of { } or [ ]", "there, a brace or a bracket begins or ends a mapping or a list", hint)
	case broken && c == '!':
		m.add(from, end, quoted, false, "a value begins with !", "in YAML that begins the tag of a value, such as !!str", hint)
	case broken:
		m.add(from, end, quoted, false, "a bracket within a value inside of { } or [ ]", "there, a brace or a bracket begins or ends a mapping or a list", hint)
	case c == '@' || c == '`' || c == '%':
		m.add(from, end, quoted, false, "a value begins with "+string(c), "that character is reserved in YAML", hint)
	case (c == '*' || c == '&') && !m.alias(from, end):
		m.unnamed(from, end)
	case c == '&' || c == '!':
		return from + len(firstWord(part))
	case colon >= 0:
		m.add(from, end, quoted, true, "a second \": \" between two commas", "what is behind the first is a value, and a value has no key without { } of its own",
			"write a value that contains \": \" in quotes, or a comma before the second key")
		m.found[len(m.found)-1].problem.Column += utf8.RuneCountInString(m.text[from:colon])
	}
	return max(at, from+1)
}

func (m *finder) template(from, end int) {
	m.add(from, end, unread, true, "a template, "+opening(m.text[from:end]),
		templateDetail, templateHint)
	m.found[len(m.found)-1].template = true
}

func (m *finder) unnamed(from, end int) {
	what := "an alias"
	if m.text[from] == '&' {
		what = "an anchor"
	}
	hint := "write the value in quotes, if it is text"
	detail := "in YAML that begins " + what + ", the name of a value that is given elsewhere in the file"
	if m.text[from] == '*' && name(m.text[from+1:end]) == m.text[from+1:end] {
		detail += ", and no anchor before has this name"
	}
	m.add(from, end, singleQuoted(m.text[from:end]), false, "a value begins with "+m.text[from:from+1], detail, hint)
}

// alias reports whether an alias of an anchor, or an anchor, begins at an offset.
func (m *finder) alias(at, end int) bool {
	c, named := m.text[at], name(m.text[at+1:end])
	after := at + 1 + len(named)
	if named == "" || c != '*' && c != '&' || after < end && strings.IndexByte(" \t,]}", m.text[after]) < 0 {
		return false
	}
	if c == '&' {
		m.anchors[named] = true
	}
	return m.anchors[named]
}

// end returns where the line ends without a comment and the space before it.
func (m *finder) end(from int) int {
	end := len(m.text)
	for i := from + 1; i < end; i++ {
		if m.text[i] == '#' && (m.text[i-1] == ' ' || m.text[i-1] == '\t') && !strings.HasPrefix(m.text[from:], "{{") {
			end = i
		}
	}
	return from + len(strings.TrimRight(m.text[from:end], " \t"))
}

// spaces returns the offset of the first character from an offset on that is no space.
func spaces(text string, at int) int {
	for at < len(text) && text[at] == ' ' {
		at++
	}
	return at
}

// colonAt returns the offset of the first colon from an offset on that ends a key, or -1.
func colonAt(text string, at int) int {
	for ; at < len(text); at++ {
		if text[at] == ':' && (at+1 == len(text) || text[at+1] == ' ' || text[at+1] == '\t') {
			return at
		}
	}
	return -1
}

// bracketEnd returns the offset behind the bracket that closes the one at an offset, or the
// end of the text. Brackets in quotes do not count.
func bracketEnd(text string, at int) int {
	for depth := 0; at < len(text); at++ {
		switch c := text[at]; c {
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				return at + 1
			}
		case '"', '\'':
			if end := mask.QuoteEnd(text, at+1, c); end > 0 {
				at = end - 1
			}
		}
	}
	return len(text)
}

// templateEnd returns the offset behind the action of a template that begins at an offset.
func templateEnd(text string, at int) int {
	closing := "}}"
	if strings.HasPrefix(text[at:], "{%") {
		closing = "%}"
	}
	if i := strings.Index(text[at:], closing); i >= 0 {
		return at + i + len(closing)
	}
	return len(text)
}

// opening is the kind of action that a template begins with, as a message shows it.
func opening(text string) string {
	if i := strings.Index(text, "{%"); i >= 0 && !strings.Contains(text[:i], "{{") {
		return "{% … %}"
	}
	return "{{ … }}"
}

// verb returns the word that an action of a template begins with.
func verb(action string) string {
	inner := strings.TrimLeft(strings.TrimLeft(action, "{%"), "- ")
	return strings.TrimRight(firstWord(inner), "-%}")
}

// isControl reports whether an action of a template has no value: if, range, a comment and
// the like.
func isControl(action string) bool {
	switch verb(action) {
	case "if", "range", "with", "define", "block", "break", "continue":
		return true
	}
	return strings.HasPrefix(action, "{%") || strings.HasPrefix(verb(action), "/*") || isClosing(action)
}

// isClosing reports whether an action of a template goes on with, or ends, what another
// begins.
func isClosing(action string) bool {
	v := verb(action)
	return v == "end" || v == "else" || v == "elif" ||
		strings.HasPrefix(action, "{%") && strings.HasPrefix(v, "end")
}

// firstWord returns the text up to the first space.
func firstWord(text string) string {
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		return text[:i]
	}
	return text
}

// name returns the letters, digits, hyphens and underscores that a text begins with: the
// characters that the parser takes in the name of an anchor.
func name(text string) string {
	for i, c := range text {
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_' || c == '-') {
			return text[:i]
		}
	}
	return text
}

func singleQuoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// referenceQuoted writes a reference in the quotes that it does not contain.
func referenceQuoted(text string) string {
	if strings.Contains(text, `"`) {
		return singleQuoted(text)
	}
	return `"` + text + `"`
}
