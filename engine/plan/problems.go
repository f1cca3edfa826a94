package plan

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/ztplan/ztplan/engine"
)

// A Problem is one thing wrong with a plan, a variable file or the choice of
// steps, with its place and what to do about it.
type Problem struct {
	File   string `json:"file,omitempty"`   // as the user named it; "" for the command line
	Line   int    `json:"line,omitempty"`   // from 1; 0 when the problem is not in a file
	Column int    `json:"column,omitempty"` // from 1, in characters; 0 when only the line is known

	Summary string `json:"summary"`          // one line: what is wrong
	Detail  string `json:"detail,omitempty"` // more of it, lines; optional
	Hint    string `json:"hint,omitempty"`   // what to do: `did you mean "commonName"?`; optional

	// Snippet is the line with its neighbours and a caret; lines that each end
	// with a newline. Secrets that are known are taken out. Only the first
	// [MostShown] problems of a plan have one.
	Snippet string `json:"snippet,omitempty"`
}

// MostShown is how many problems of a plan are for people to read; the rest is
// counted.
const MostShown = 50

// Position returns where the problem is.
func (p *Problem) Position() Position { return Position{p.File, p.Line, p.Column} }

// Error returns one line: "file:line:column: summary".
func (p *Problem) Error() string {
	if at := p.Position().String(); at != "" {
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

// Problems is the error that [Load], [Plan.Select] and [Step.Spec] return: all
// problems, ordered by their place. It is never empty and never a typed nil.
type Problems struct{ errs *multierror.Error }

// List returns the problems; there is at least one.
func (p *Problems) List() []*Problem {
	out := make([]*Problem, len(p.errs.Errors))
	for i, err := range p.errs.Errors {
		out[i] = err.(*Problem)
	}
	return out
}

// Error returns the text of every problem, with an empty line between two.
func (p *Problems) Error() string { return p.errs.Error() }

// Unwrap returns the problems one by one, for errors.As and errors.Is.
func (p *Problems) Unwrap() []error { return p.errs.WrappedErrors() }

func formatProblems(errs []error) string {
	var b strings.Builder
	for i, err := range errs {
		if i > 0 {
			b.WriteString("\n\n")
		}
		b.WriteString(err.(*Problem).Text())
	}
	return b.String()
}

// problemsOf returns the problems as an error, or nil if there are none.
func problemsOf(list ...*Problem) error {
	var errs *multierror.Error
	for _, p := range list {
		errs = multierror.Append(errs, p)
	}
	if errs.ErrorOrNil() == nil {
		return nil
	}
	errs.ErrorFormat = formatProblems
	return &Problems{errs}
}

// A collector gathers problems, and finishes them when all are known: it is
// only then that every secret is known, too.
type collector struct {
	inputs  *engine.Inputs
	dir     string // absolute directory of the plan
	shown   string // the same as the user named it, "" for the current one
	sources map[string]*source
	first   string // the plan's file: its problems come first
	secrets []string
	list    []*Problem
}

func (c *collector) add(p *Problem) { c.list = append(c.list, p) }

// conceal takes known secrets out of a text that is about to be shown.
func (c *collector) conceal(s string) string {
	for _, secret := range c.secrets {
		s = strings.ReplaceAll(s, secret, engine.Redacted)
	}
	return s
}

// keepSecret notes a secret that the files hold, so that no excerpt shows it.
func (c *collector) keepSecret(s string) {
	for line := range strings.Lines(s) {
		// Shorter ones would hit words by chance, and are no secret anyway.
		if line = strings.TrimSpace(line); len(line) >= 4 {
			c.secrets = append(c.secrets, line)
		}
	}
}

// err returns everything collected as an error, in order and without repeats,
// or nil.
func (c *collector) err() error {
	// A longer secret may contain a shorter one.
	slices.SortFunc(c.secrets, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	c.secrets = slices.Compact(c.secrets)
	slices.SortStableFunc(c.list, func(a, b *Problem) int {
		return cmp.Or(
			cmp.Compare(c.rank(a), c.rank(b)),
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
		)
	})
	// What is wrong with the connections is found again with every step.
	type fact struct {
		at      Position
		summary string
	}
	seen := make(map[fact]bool, len(c.list))
	list := slices.DeleteFunc(c.list, func(p *Problem) bool {
		f := fact{p.Position(), p.Summary}
		again := seen[f]
		seen[f] = true
		return again
	})
	for i, p := range list {
		if src := c.source(p.File); src != nil && i < MostShown {
			p.Line, p.Column = src.clamp(p.Line, p.Column)
			p.Snippet = src.excerpt(p.Line, p.Column, c.conceal)
		}
		p.Summary, p.Detail, p.Hint = c.conceal(p.Summary), c.conceal(p.Detail), c.conceal(p.Hint)
	}
	return problemsOf(list...)
}

func (c *collector) rank(p *Problem) int {
	switch p.File {
	case "":
		return 0
	case c.first:
		return 1
	}
	return 2
}

// source returns a file that was read, or reads one that only a step knows.
func (c *collector) source(name string) *source {
	if name == "" {
		return nil
	}
	if src, ok := c.sources[name]; ok {
		return src
	}
	path := name
	if !filepath.IsAbs(path) {
		if rel, err := filepath.Rel(cmp.Or(c.shown, "."), name); err == nil {
			path = filepath.Join(c.dir, rel)
		}
	}
	var src *source
	if data, err := c.inputs.Read(path); err == nil {
		src = newSource(name, data)
	}
	if c.sources == nil {
		c.sources = make(map[string]*source)
	}
	c.sources[name] = src
	return src
}

// display returns how a message names a file that a step looked into: like the
// plan, if it is beside the plan, so that a terminal can open it.
func (c *collector) display(path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.dir, path)
	}
	rel, err := filepath.Rel(c.dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		return path
	}
	return filepath.Join(c.shown, rel)
}
