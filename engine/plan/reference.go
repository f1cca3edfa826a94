package plan

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// A reference is what stands between ${ and }: "steps.root.certificate".
type reference struct {
	raw    string // as written, with ${ and }
	offset int    // in the scalar's value
	root   string // "vars", "steps" or "plan"
	path   []elem // what follows the root
}

// An elem is one step of a path: a name, or an index into a list.
type elem struct {
	name  string
	index int // -1 for a name
}

// A part of a template is literal text or a reference.
type part struct {
	text string
	ref  *reference
}

// A templateError says what is wrong with a reference and where it begins.
type templateError struct {
	offset  int
	text    string // the source text to look for, from offset
	message string
	hint    string
}

const literalHint = "write $${ for the text ${ itself"

// parseTemplate cuts a scalar's value into literal text and references. $${
// stands for ${. A value without references is one part, or none if empty.
func parseTemplate(s string) ([]part, *templateError) {
	var parts []part
	var text strings.Builder
	for i := 0; i < len(s); {
		d := strings.IndexByte(s[i:], '$')
		if d < 0 {
			text.WriteString(s[i:])
			break
		}
		text.WriteString(s[i : i+d])
		i += d
		switch {
		case strings.HasPrefix(s[i:], "$${"):
			text.WriteString("${")
			i += 3
		case strings.HasPrefix(s[i:], "${"):
			end := referenceEnd(s[i:])
			if end < 0 {
				return nil, &templateError{i, "${", "a reference is not closed: } is missing", literalHint}
			}
			raw := s[i : i+end]
			ref, err := parseReference(raw)
			if err != nil {
				err.offset, err.text = i, raw
				return nil, err
			}
			ref.offset = i
			if text.Len() > 0 {
				parts = append(parts, part{text: text.String()})
				text.Reset()
			}
			parts = append(parts, part{ref: ref})
			i += end
		default:
			text.WriteByte('$')
			i++
		}
	}
	if text.Len() > 0 {
		parts = append(parts, part{text: text.String()})
	}
	return parts, nil
}

// referenceEnd returns the length of the reference that s begins with,
// or -1 if it is not closed on its line.
func referenceEnd(s string) int {
	quoted := false
	for i := 2; i < len(s); i++ {
		switch s[i] {
		case '"':
			quoted = !quoted
		case '}':
			if !quoted {
				return i + 1
			}
		case '\n':
			return -1
		}
	}
	return -1
}

const referenceForms = "references are ${vars.NAME}, ${steps.ID.OUTPUT} and ${plan.name}; " + literalHint

// parseReference reads "${root.name[0]["key"]}".
func parseReference(raw string) (*reference, *templateError) {
	body := strings.TrimSpace(raw[2 : len(raw)-1])
	bad := func(format string, args ...any) (*reference, *templateError) {
		return nil, &templateError{message: fmt.Sprintf(format, args...), hint: referenceForms}
	}
	if body == "" {
		return bad("a reference is empty")
	}
	if strings.ContainsAny(body, "=!&|()<>") {
		_, err := bad("%s is an expression: a reference names one value", raw)
		err.hint = `in "when", compare outside of it: ${vars.env} == "prod"; elsewhere there are no expressions`
		return nil, err
	}
	root, rest := name(body)
	ref := &reference{raw: raw, root: root}
	switch root {
	case "vars", "steps", "plan":
	case "":
		return bad("%s is not a reference", raw)
	default:
		_, err := bad("%s begins with %q: a reference begins with vars, steps or plan", raw, root)
		if best := source.Closest(root, []string{"vars", "steps", "plan"}); best != "" {
			err.hint = fmt.Sprintf("did you mean %q?", best)
		}
		return nil, err
	}
	for rest != "" {
		switch {
		case rest[0] == '.':
			var n string
			if n, rest = name(rest[1:]); n == "" {
				return bad("%s: a name is missing after a dot", raw)
			}
			ref.path = append(ref.path, elem{n, -1})
		case strings.HasPrefix(rest, `["`):
			end := strings.Index(rest[2:], `"]`)
			if end < 0 {
				return bad(`%s: "] is missing`, raw)
			}
			ref.path = append(ref.path, elem{rest[2 : 2+end], -1})
			rest = rest[2+end+2:]
		case rest[0] == '[':
			inside, after, ok := strings.Cut(rest[1:], "]")
			i, err := strconv.ParseUint(inside, 10, 31)
			if !ok || err != nil {
				return bad(`%s: want a number from 0 or a quoted key between [ and ]`, raw)
			}
			ref.path = append(ref.path, elem{"", int(i)})
			rest = after
		default:
			return bad("%s: unexpected %q", raw, rest)
		}
	}
	switch {
	case root == "plan" && (len(ref.path) != 1 || ref.path[0].name != "name"):
		_, err := bad("%s: the plan has only its name", raw)
		err.hint = "write ${plan.name}"
		return nil, err
	case len(ref.path) == 0:
		return bad("%s: a name is missing after %s", raw, root)
	case ref.path[0].index >= 0:
		return bad("%s: want a name after %s, not an index", raw, root)
	}
	return ref, nil
}

// name cuts the identifier off that s begins with.
func name(s string) (id, rest string) {
	i := 0
	for i < len(s) && (isLetter(s[i]) || i > 0 && (s[i] >= '0' && s[i] <= '9' || s[i] == '-')) {
		i++
	}
	return s[:i], s[i:]
}

func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

// pathString writes a path as problems and PositionOf name it:
// roles[0].name, labels["a/b"].
func pathString(path []elem) string {
	var b strings.Builder
	for i, e := range path {
		switch id, rest := name(e.name); {
		case e.index >= 0:
			fmt.Fprintf(&b, "[%d]", e.index)
		case e.name == "" || rest != "" || id == "":
			fmt.Fprintf(&b, "[%q]", e.name)
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(e.name)
		}
	}
	return b.String()
}

// parsePath reads what pathString writes; a malformed rest is cut off.
func parsePath(s string) []elem {
	var path []elem
	for s != "" {
		switch {
		case strings.HasPrefix(s, `["`):
			quoted, err := strconv.QuotedPrefix(s[1:])
			if err != nil {
				return path
			}
			key, _ := strconv.Unquote(quoted)
			path = append(path, elem{key, -1})
			s = strings.TrimPrefix(s[1+len(quoted):], "]")
		case s[0] == '[':
			inside, after, _ := strings.Cut(s[1:], "]")
			i, err := strconv.ParseUint(inside, 10, 31)
			if err != nil {
				return path
			}
			path = append(path, elem{"", int(i)})
			s = after
		default:
			s = strings.TrimPrefix(s, ".")
			end := strings.IndexAny(s, ".[")
			if end < 0 {
				end = len(s)
			}
			if end == 0 {
				return path
			}
			path = append(path, elem{s[:end], -1})
			s = s[end:]
		}
	}
	return path
}
