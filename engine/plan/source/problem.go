package source

import (
	"regexp"
	"strconv"
	"strings"
)

// A Position is a place in a file. Lines and columns count from 1; a column
// counts characters, as editors and yaml do.
type Position struct {
	File   string `json:"file,omitempty"`   // as the user named it; "" for the command line
	Line   int    `json:"line,omitempty"`   // 0 if it is not in a file
	Column int    `json:"column,omitempty"` // 0 if only the line is known
}

// String returns "file:line:column", the form that terminals and editors open.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return p.File + ":" + strconv.Itoa(p.Line)
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
}

// A Problem is one thing wrong with a plan, a variable file or the choice of
// steps, with its place and its remedy.
type Problem struct {
	Position

	Summary string `json:"summary"`          // one line
	Detail  string `json:"detail,omitempty"` // more of it, lines; optional
	Hint    string `json:"hint,omitempty"`   // the remedy: `did you mean "commonName"?`; optional

	// Snippet is the line with its neighbours and a caret; lines that each end
	// with a newline. Secrets that are known are taken out. Only the first
	// [MostShown] problems of a plan have one.
	Snippet string `json:"snippet,omitempty"`

	instance, group, included string   // see [Collector.About]
	follows                   bool     // see [Collector.Add]
	others                    []string // instances of the group that have the problem, too
}

// general returns the summary without the key of the instance.
func (p *Problem) general() string {
	if p.group == "" {
		return p.Summary
	}
	return strings.ReplaceAll(p.Summary, p.instance, p.group)
}

// quoted is a value, or a name, in a summary.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// shape is general without the values: instances of a group have the same problem with a
// value of each.
func (p *Problem) shape() string { return quoted.ReplaceAllLiteralString(p.general(), `""`) }

// also adds that the instance of another problem, if it names one, has the same, and
// which values differ. The problems of one instance follow each other.
func (p *Problem) also(other *Problem) {
	if p.group == "" {
		return
	}
	last, name := p.instance, other.instance
	if n := len(p.others); n > 0 {
		last = p.others[n-1]
	}
	own := quoted.FindAllString(p.general(), -1)
	var differ []string
	for i, value := range quoted.FindAllString(other.general(), -1) {
		if value != own[i] && !strings.Contains(other.instance, value) {
			differ = append(differ, value)
		}
	}
	switch {
	case len(differ) > 0:
		name += " (" + strings.Join(differ, ", ") + ")"
	case !strings.Contains(p.Summary, p.instance):
		return
	}
	if last != name {
		p.others = append(p.others, name)
	}
}

// addDetails adds to the detail where the document is included, and the other instances
// that have the problem.
func (p *Problem) addDetails() {
	if p.included != "" {
		p.Detail += "\n" + p.included
	}
	if len(p.others) > 0 {
		p.Detail += "\nthe same with " + Listed(p.others)
	}
	p.Detail = strings.TrimPrefix(p.Detail, "\n")
}

// MostShown is how many problems of a plan are for people to read; the rest is
// counted.
const MostShown = 50

// Error returns one line: "file:line:column: summary".
func (p *Problem) Error() string {
	if at := p.Position.String(); at != "" {
		return at + ": " + p.Summary
	}
	return p.Summary
}

// Text returns everything about the problem: the line of Error, then the
// snippet, the detail and the hint, indented. It ends without a newline.
func (p *Problem) Text() string {
	var b strings.Builder
	b.WriteString(p.Error())
	for _, part := range []string{p.Snippet, p.Detail, p.Hint} {
		for line := range strings.Lines(part) {
			b.WriteString("\n  ")
			b.WriteString(strings.TrimRight(line, "\n"))
		}
	}
	return b.String()
}

// Problems is the error that reading and checking a plan return: all problems,
// ordered by their place. It is never empty and never a typed nil.
type Problems struct{ list []*Problem }

// NewProblems returns the problems as an error, or nil if there are none.
func NewProblems(list ...*Problem) error {
	if len(list) == 0 {
		return nil
	}
	return &Problems{list}
}

// List returns the problems; there is at least one.
func (p *Problems) List() []*Problem { return p.list }

// Error returns the text of every problem, with an empty line between two.
func (p *Problems) Error() string {
	texts := make([]string, len(p.list))
	for i, one := range p.list {
		texts[i] = one.Text()
	}
	return strings.Join(texts, "\n\n")
}

// Unwrap returns the problems one by one, for errors.As and errors.Is.
func (p *Problems) Unwrap() []error {
	errs := make([]error, len(p.list))
	for i, one := range p.list {
		errs[i] = one
	}
	return errs
}
