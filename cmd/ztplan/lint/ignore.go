package lint

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/rule"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// A directive is a comment "# ztplan:ignore RULE reason". Behind something, it is about
// its line; alone, about the next line that is no comment.
type directive struct {
	place  source.Position
	line   int // that it is about
	rule   string
	reason string
	used   bool
}

var directiveText = regexp.MustCompile(`(^|\s)#\s*ztplan:ignore(?:[ \t]+(\S+))?[ \t]*(.*)$`)

// directives returns the comments of a file, each where its # is.
func directives(name string, text []byte) []*directive {
	lines := strings.Split(string(text), "\n")
	literal := literalLines(text, lines)
	var out []*directive
	for i, line := range lines {
		m := directiveText.FindStringSubmatchIndex(strings.TrimSuffix(line, "\r"))
		if m == nil || literal[i+1] {
			continue
		}
		hash := m[0] + strings.IndexByte(line[m[0]:], '#')
		d := &directive{place: source.Position{File: name, Line: i + 1, Column: len([]rune(line[:hash])) + 1}, line: i + 1, reason: line[m[6]:m[7]]}
		if m[4] >= 0 {
			d.rule = line[m[4]:m[5]]
		}
		if strings.TrimSpace(line[:hash]) == "" {
			d.line = next(lines, i)
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

// ignore takes out the findings that a comment names, and adds what is wrong with the
// comments.
func (f *facts) ignore(all []Finding) (kept []Finding, ignored []Ignored) {
	var comments []*directive
	for name, text := range f.texts {
		comments = append(comments, directives(name, text)...)
	}
	for _, found := range all {
		i := slices.IndexFunc(comments, func(d *directive) bool {
			return d.rule == found.Rule && d.reason != "" && d.line == found.Place.Line && d.place.File == found.Place.File
		})
		if i < 0 {
			kept = append(kept, found)
			continue
		}
		comments[i].used = true
		ignored = append(ignored, Ignored{found, comments[i].reason})
	}
	slices.SortFunc(comments, func(a, b *directive) int {
		return cmp.Or(strings.Compare(a.place.File, b.place.File), a.place.Line-b.place.Line)
	})
	for _, d := range comments {
		if problem := d.problem(); problem.Rule != "" {
			problem.complete()
			kept = append(kept, problem)
		}
	}
	return kept, ignored
}

// problem returns the finding about the comment itself; without a rule if there is none.
func (d *directive) problem() Finding {
	f := Finding{Place: d.place}
	_, known := rule.Find(d.rule)
	switch {
	case !known:
		f.Rule, f.Message = "ignore-unknown", "there is no rule "+d.rule
		if d.rule == "" {
			f.Message = "no rule is named"
		}
		f.Hint = rule.Suggest(d.rule)
	case d.reason == "":
		f.Rule, f.Message = "ignore-reason", "rule "+d.rule+" is ignored without a reason"
	case !d.used:
		f.Rule, f.Message = "ignore-unused", "rule "+d.rule+" finds nothing here"
	}
	return f
}
