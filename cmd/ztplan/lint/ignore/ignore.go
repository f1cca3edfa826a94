// Package ignore reads the comments by which a file takes findings of lint out.
package ignore

import (
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// A Directive is a comment "# ztplan:ignore RULE reason". Behind something, it is about
// its line; alone, about the next line that is no comment.
type Directive struct {
	Place  source.Position
	Line   int // that it is about
	Rule   string
	Reason string
}

var directiveText = regexp.MustCompile(`(^|\s)#\s*ztplan:ignore(?:[ \t]+(\S+))?[ \t]*(.*)$`)

// Read returns the comments of a file, each where its # is.
func Read(name string, text []byte) []Directive {
	lines := strings.Split(string(text), "\n")
	literal := literalLines(text, lines)
	var out []Directive
	for i, line := range lines {
		m := directiveText.FindStringSubmatchIndex(strings.TrimSuffix(line, "\r"))
		if m == nil || literal[i+1] {
			continue
		}
		hash := m[0] + strings.IndexByte(line[m[0]:], '#')
		d := Directive{Place: source.Position{File: name, Line: i + 1, Column: len([]rune(line[:hash])) + 1}, Line: i + 1, Reason: line[m[6]:m[7]]}
		if m[4] >= 0 {
			d.Rule = line[m[4]:m[5]]
		}
		if strings.TrimSpace(line[:hash]) == "" {
			d.Line = next(lines, i)
		}
		out = append(out, d)
	}
	return out
}

// next returns the number of the first line after lines[i] that is not blank and no
// comment.
func next(lines []string, i int) int {
	for i++; i < len(lines); i++ {
		if s := strings.TrimSpace(lines[i]); s != "" && s[0] != '#' {
			break
		}
	}
	return i + 1
}

// literalLines returns the lines of texts that only look like comments: those in block
// scalars, and of quoted texts that hold the words.
func literalLines(text []byte, lines []string) map[int]bool {
	out := make(map[int]bool)
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		switch {
		case n.Kind != yaml.ScalarNode:
		case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
			indent := -1
			for i := n.Line; i < len(lines); i++ { // from the line after the |
				rest := strings.TrimLeft(lines[i], " ")
				if strings.TrimSpace(rest) == "" {
					continue
				}
				at := len(lines[i]) - len(rest)
				if indent < 0 {
					indent = at
				}
				if at < indent || at == 0 {
					break
				}
				out[i+1] = true
			}
		case strings.Contains(n.Value, "ztplan:ignore"):
			out[n.Line] = true
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	for d := yaml.NewDecoder(strings.NewReader(string(text))); ; {
		var doc yaml.Node
		if d.Decode(&doc) != nil {
			return out
		}
		walk(&doc)
	}
}
