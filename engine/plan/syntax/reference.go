package syntax

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/ztplan/ztplan/engine/plan/keypath"
)

// A Reference is a parsed ${…}, such as ${steps.root.certificate}.
type Reference struct {
	Raw  string         // as written, with ${ and }
	Root string         // the first name, such as "vars"; the scope knows which there are
	Path []keypath.Elem // after the root

	Offset int // in the scalar's value
}

// A Part of a template is literal text or a reference.
type Part struct {
	Text string
	Ref  *Reference
}

// An Error is a mistake in a reference or a condition, with its place.
type Error struct {
	Offset  int
	Text    string // the source text to look for, from Offset
	Message string
	Hint    string // or FormsHint
}

// FormsHint stands for the forms of references that there are.
const FormsHint = "${}"

// LiteralHint says how the text ${ is written.
const LiteralHint = "write $${ for the text ${ itself"

// ParseTemplate cuts a scalar's value into literal text and references. $${
// stands for ${. A value without references is one part, or none if empty.
func ParseTemplate(s string) ([]Part, *Error) {
	var parts []Part
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
				return nil, &Error{Offset: i, Text: "${", Message: "a reference is not closed: } is missing", Hint: LiteralHint}
			}
			raw := s[i : i+end]
			ref, err := ParseReference(raw)
			if err != nil {
				err.Offset, err.Text = i, raw
				return nil, err
			}
			ref.Offset = i
			if text.Len() > 0 {
				parts = append(parts, Part{Text: text.String()})
				text.Reset()
			}
			parts = append(parts, Part{Ref: ref})
			i += end
		default:
			text.WriteByte('$')
			i++
		}
	}
	if text.Len() > 0 {
		parts = append(parts, Part{Text: text.String()})
	}
	return parts, nil
}

// singleBrace returns the hint for the inside of ${{ … }}, the form of GitHub Actions.
func singleBrace(inner string) string {
	root, rest, _ := strings.Cut(inner, ".")
	switch root {
	case "vars", "steps", "plan", "each":
		return "write ${" + strings.ReplaceAll(inner, ".outputs.", ".") + "}"
	}
	return cmp.Or(otherTool(root, rest), FormsHint)
}

// OtherTool returns the hint for a reference of another tool, such as Terraform's
// ${local.x}; "" for a reference of none.
func OtherTool(ref *Reference) string { return otherTool(ref.Root, keypath.String(ref.Path)) }

func otherTool(root, rest string) string {
	name := cmp.Or(rest, "NAME")
	switch root {
	case "var", "local", "inputs", "input", "values", "Values", "parameters", "params":
		return "write ${vars." + name + "}"
	case "env":
		return fmt.Sprintf("declare a variable, vars: {%s: {env: %s}}, and write ${vars.%s}", name, name, name)
	case "secrets":
		return fmt.Sprintf("declare a secret variable, vars: {%s: {env: %s, secret: true}}, and write ${vars.%s}", name, name, name)
	case "item":
		return "write ${each.value}, or ${each.key}, in a step with forEach"
	case "matrix", "count", "loop":
		return "write ${each.key} or ${each.value}, in a step with forEach"
	}
	return ""
}

// referenceEnd returns the length of the reference that s begins with,
// or -1 if it is not closed on its line. ${{ … }} is one, for messages.
func referenceEnd(s string) int {
	if strings.HasPrefix(s, "${{") {
		if end := strings.Index(s, "}}"); end >= 0 && !strings.Contains(s[:end], "\n") {
			return end + 2
		}
	}
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

// ParseReference reads "${root.name[0]["key"]}".
func ParseReference(raw string) (*Reference, *Error) {
	body := strings.TrimSpace(raw[2 : len(raw)-1])
	if inner, doubled := strings.CutPrefix(body, "{"); doubled {
		inner = strings.TrimSpace(strings.TrimSuffix(inner, "}"))
		return nil, &Error{Message: raw + " is not a reference: it has one brace on each side", Hint: singleBrace(inner)}
	}
	bad := func(format string, args ...any) (*Reference, *Error) {
		return nil, &Error{Message: fmt.Sprintf(format, args...), Hint: FormsHint}
	}
	if body == "" {
		return bad("a reference is empty")
	}
	if isExpression(body) {
		return nil, &Error{Message: raw + " is an expression: a reference names one value",
			Hint: `in "when", compare outside of it: ${vars.env} == "prod"; elsewhere there are no expressions`}
	}
	root, rest := keypath.Name(body)
	ref := &Reference{Raw: raw, Root: root}
	if root == "" {
		return bad("%s is not a reference", raw)
	}
	for rest != "" {
		switch {
		case rest[0] == '.':
			var n string
			if n, rest = keypath.Name(rest[1:]); n == "" {
				return bad("%s: a name is missing after a dot", raw)
			}
			ref.Path = append(ref.Path, keypath.Key(n))
		case strings.HasPrefix(rest, `["`):
			end := strings.Index(rest[2:], `"]`)
			if end < 0 {
				return bad(`%s: "] is missing`, raw)
			}
			ref.Path = append(ref.Path, keypath.Elem{Name: rest[2 : 2+end], Index: -1, Quoted: true})
			rest = rest[2+end+2:]
		case rest[0] == '[':
			e, after := index(rest)
			if after == rest {
				return bad(`%s: want a number from 0 or a quoted key between [ and ]`, raw)
			}
			ref.Path = append(ref.Path, e)
			rest = after
		default:
			return bad("%s: unexpected %q", raw, rest)
		}
	}
	return ref, nil
}

// index reads the index that s begins with, [0] or [each.key], and returns the rest: s
// itself if there is none.
func index(s string) (e keypath.Elem, after string) {
	inside, rest, ok := strings.Cut(s[1:], "]")
	if !ok {
		return e, s
	}
	if i, err := strconv.ParseUint(inside, 10, 31); err == nil {
		return keypath.Item(int(i)), rest
	}
	by, bad := ParseReference("${" + inside + "}")
	if bad != nil || len(by.Path) == 0 {
		return e, s
	}
	return keypath.Elem{Index: -1, By: inside}, rest
}

// isExpression reports whether a text has operators; those in a quoted key are none.
func isExpression(s string) bool {
	quoted := false
	return strings.ContainsFunc(s, func(r rune) bool {
		quoted = quoted != (r == '"')
		return !quoted && strings.ContainsRune("=!&|()<>", r)
	})
}

// ParseID reads the id of a step as needs have it: certs, certs["shop"], certs[each.key].
func ParseID(id string) (*Reference, bool) {
	ref, bad := ParseReference("${steps." + id + "}")
	if bad != nil {
		return nil, false
	}
	ref.Raw = id
	return ref, true
}

// MeantID returns the id of a step that a reference stands for in needs, such as a for
// ${steps.a} and hosts[each.key] for hosts[${each.key}]; "" for other ids.
func MeantID(id string, isStep func(id string) bool) string {
	meant, reference := strings.CutPrefix(strings.NewReplacer("${", "", "}", "").Replace(id), "steps.")
	if !reference && !strings.Contains(id, "${") {
		return ""
	}
	ref, ok := ParseID(meant)
	if !ok || !reference && !isStep(ref.Path[0].Name) {
		return "the id of a step itself" // such as ${vars.first}
	}
	if n := len(ref.Path); n > 1 && (ref.Path[1].IsIndex() || ref.Path[1].By != "") {
		return keypath.String(ref.Path[:2])
	}
	return ref.Path[0].Name
}
