package source

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// A Reporter reports problems with the nodes of a file.
type Reporter struct {
	File *File
	Add  func(*Problem)
}

// Problem reports a problem at a node.
func (r Reporter) Problem(n *yaml.Node, hint, format string, args ...any) {
	r.Add(&Problem{Position: r.File.Place(n), Summary: fmt.Sprintf(format, args...), Hint: hint})
}

// Text returns the value of a scalar that must be text. It reports a problem and returns ""
// for another one.
func (r Reporter) Text(n *yaml.Node, subject string) string {
	if n.Kind != yaml.ScalarNode || !IsText(n) {
		hint := ""
		if n.Kind == yaml.ScalarNode && !IsNull(n) {
			hint = fmt.Sprintf("write it in quotes: %q", n.Value)
		}
		r.Problem(n, hint, "%s: want text, have %s", subject, Describe(n))
		return ""
	}
	return n.Value
}

// Truth returns the value of a scalar that must be true or false, and false after it
// reported a problem.
func (r Reporter) Truth(n *yaml.Node, subject string) bool {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		r.Problem(n, "", "%s: want true or false, have %s", subject, Describe(n))
		return false
	}
	return Truth(n)
}
