// Package keypath names the parts of values in YAML: roles[0].name, labels["a/b"].
package keypath

import (
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// An Elem is a step of a path: a name, or an index into a list.
type Elem struct {
	Name   string
	Index  int  // -1 for a name
	Quoted bool // a name that is written as ["name"]

	// By is the reference that gives an index, as in [each.key]; "" for none.
	By string
}

// IsIndex reports whether the element stands between brackets.
func (e Elem) IsIndex() bool { return e.Index >= 0 || e.Quoted }

// Key returns the element of a path that names a key.
func Key(name string) Elem { return Elem{Name: name, Index: -1} }

// Item returns the element of a path that is an index into a list.
func Item(i int) Elem { return Elem{Index: i} }

// IsName reports whether s can be named in a reference without quotes.
func IsName(s string) bool {
	id, rest := Name(s)
	return id != "" && rest == ""
}

// Name cuts the identifier off that s begins with.
func Name(s string) (id, rest string) {
	i := 0
	for i < len(s) && (isLetter(s[i]) || i > 0 && (s[i] >= '0' && s[i] <= '9' || s[i] == '-')) {
		i++
	}
	return s[:i], s[i:]
}

func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

// String returns a path as problems name it:
// roles[0].name, labels["a/b"].
func String(path []Elem) string {
	var b strings.Builder
	for i, e := range path {
		switch {
		case e.Index >= 0:
			fmt.Fprintf(&b, "[%d]", e.Index)
		case e.By != "":
			fmt.Fprintf(&b, "[%s]", e.By)
		case e.Quoted || !IsName(e.Name):
			fmt.Fprintf(&b, "[%q]", e.Name)
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(e.Name)
		}
	}
	return b.String()
}

// Parse is the inverse of String; a malformed rest is cut off.
func Parse(s string) []Elem {
	var path []Elem
	for s != "" {
		switch {
		case strings.HasPrefix(s, `["`):
			quoted, err := strconv.QuotedPrefix(s[1:])
			if err != nil {
				return path
			}
			key, _ := strconv.Unquote(quoted)
			path = append(path, Elem{Name: key, Index: -1, Quoted: true})
			s = strings.TrimPrefix(s[1+len(quoted):], "]")
		case s[0] == '[':
			inside, after, _ := strings.Cut(s[1:], "]")
			i, err := strconv.ParseUint(inside, 10, 31)
			if err != nil {
				return path
			}
			path = append(path, Item(int(i)))
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
			path = append(path, Key(s[:end]))
			s = s[end:]
		}
	}
	return path
}

// Descend follows a path as far as it goes and returns how far that was.
func Descend(n *yaml.Node, path []Elem) (*yaml.Node, int) {
	for i, e := range path {
		var next *yaml.Node
		if e.Index < 0 {
			_, next = source.Lookup(n, e.Name)
		} else if n.Kind == yaml.SequenceNode && e.Index < len(n.Content) {
			next = n.Content[e.Index]
		}
		if next == nil {
			return n, i
		}
		n = next
	}
	return n, len(path)
}
