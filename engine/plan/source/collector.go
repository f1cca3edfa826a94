package source

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

// A Collector gathers problems. [Collector.Err] finishes them: only then is every
// secret known that an excerpt must not show.
type Collector struct {
	inputs   *engine.Inputs
	dir      string // absolute directory of the plan
	files    map[string]*File
	plan     string // the plan's file: its problems come first
	secrets  []string
	problems []*Problem

	instance, group, within, included string // see About
}

// NewCollector returns a collector for problems of a plan, which is a file in the
// absolute directory dir, and of the files that it names. Files are read through
// inputs. No problem shows secrets.
func NewCollector(inputs *engine.Inputs, plan *File, dir string, secrets []string) *Collector {
	return &Collector{
		inputs: inputs, dir: dir, plan: plan.Name,
		files: map[string]*File{plan.Name: plan}, secrets: slices.Clone(secrets),
	}
}

// Add adds a problem. Its excerpt is made by [Collector.Err]. One that only follows from
// text that [Parse] could not read counts, but is left out then.
func (c *Collector) Add(p *Problem) {
	p.instance, p.group = c.instance, c.group
	if p.File == c.within {
		p.included = c.included
	}
	if f := c.files[p.File]; f != nil && f.covers(p.Position) {
		p.follows = true
	}
	c.problems = append(c.problems, p)
}

// About attributes the problems that follow to an instance of a group, such as
// certs["shop"] of certs; "" for none. A problem that several instances of a group have is
// reported once, for the first of them. included names the place where the file is
// included, for the problems in it.
func (c *Collector) About(instance, group, file, included string) {
	c.instance, c.group, c.within, c.included = instance, group, file, included
}

// AddFile adds a file that was read, for excerpts.
func (c *Collector) AddFile(f *File) { c.files[f.Name] = f }

// Len returns the number of problems.
func (c *Collector) Len() int { return len(c.problems) }

// Secrets returns the secrets known so far.
func (c *Collector) Secrets() []string { return c.secrets }

// conceal replaces known secrets in a text.
func (c *Collector) conceal(s string) string {
	for _, secret := range c.secrets {
		s = strings.ReplaceAll(s, secret, engine.Redacted)
	}
	return s
}

// KeepSecret adds a secret that the files hold, so that no problem shows it, also as it is
// written in quotes. Lines of less than four characters are not kept: they would hit words
// by chance.
func (c *Collector) KeepSecret(s string) {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); len(line) < 4 {
			continue
		}
		c.secrets = append(c.secrets, line)
		for _, quotes := range []*strings.Replacer{inSingleQuotes, inDoubleQuotes} {
			if written := quotes.Replace(line); written != line {
				c.secrets = append(c.secrets, written)
			}
		}
	}
}

var (
	inSingleQuotes = strings.NewReplacer(`'`, `''`)
	inDoubleQuotes = strings.NewReplacer(`"`, `\"`, `\`, `\\`, "\t", `\t`)
)

// Err returns the problems as an error of type *[Problems], in order, each once
// and with its excerpt; nil if there are none.
func (c *Collector) Err() error {
	// A longer secret may contain a shorter one.
	slices.SortFunc(c.secrets, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	c.secrets = slices.Compact(c.secrets)
	slices.SortStableFunc(c.problems, func(a, b *Problem) int {
		return cmp.Or(
			cmp.Compare(c.rank(a), c.rank(b)),
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
		)
	})
	// A problem of the connections is found again with every step.
	type fact struct {
		at      Position
		summary string
	}
	type shape struct {
		fact
		group, hint string
	}
	seen, alike := make(map[fact]*Problem, len(c.problems)), make(map[shape]*Problem)
	list := slices.DeleteFunc(c.problems, func(p *Problem) bool {
		if p.follows {
			return true
		}
		f := fact{p.Position, p.general()}
		first := seen[f]
		if first == nil && p.group != "" {
			s := shape{fact{p.Position, p.shape()}, p.group, p.Hint}
			if first = alike[s]; first == nil {
				alike[s] = p
			} else if first.instance == p.instance {
				first = nil
			}
		}
		if first == nil {
			seen[f] = p
			return false
		}
		first.also(p)
		return true
	})
	for i, p := range list {
		p.addDetails()
		if src := c.file(p.File); src != nil && i < MostShown {
			p.Line, p.Column = src.clamp(p.Line, p.Column)
			p.Snippet = src.excerpt(p.Line, p.Column, c.conceal)
		}
		p.Summary, p.Detail, p.Hint = c.conceal(p.Summary), c.conceal(p.Detail), c.conceal(p.Hint)
	}
	return NewProblems(list...)
}

// rank orders problems by file: the command line, the plan, all others.
func (c *Collector) rank(p *Problem) int {
	switch p.File {
	case "":
		return 0
	case c.plan:
		return 1
	}
	return 2
}

// file returns a file that was read, or reads one that only a step knows; nil if
// there is none.
func (c *Collector) file(name string) *File {
	if name == "" {
		return nil
	}
	if f, ok := c.files[name]; ok {
		return f
	}
	path := name
	if !filepath.IsAbs(path) {
		if rel, err := filepath.Rel(filepath.Dir(c.plan), name); err == nil {
			path = filepath.Join(c.dir, rel)
		}
	}
	var f *File
	if data, err := c.inputs.Read(path); err == nil {
		f = NewFile(name, data)
	}
	c.files[name] = f
	return f
}

// Display returns the name of a file in messages: beside the plan's as the user
// named it, so that a terminal can open it, and absolute otherwise.
func (c *Collector) Display(path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.dir, path)
	}
	rel, err := filepath.Rel(c.dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		return path
	}
	return filepath.Join(filepath.Dir(c.plan), rel)
}
