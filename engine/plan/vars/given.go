package vars

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// given is a value that comes from outside of the document.
type given struct {
	value   spec.Value
	loose   bool // text stands for a value of the type that is declared
	at      source.Position
	subject string // begins a problem with it
	from    string // ends that problem: ", from $NAME"
}

// subjectOf begins a problem with the value of a variable.
func subjectOf(name string) string { return fmt.Sprintf("variable %q", name) }

// Given are the values that come from outside of a plan. Later fields replace earlier ones.
type Given struct {
	// Env looks up environment variables that declarations name. Nil means that there are
	// none.
	Env func(name string) (string, bool)
	// Files are YAML or JSON files of variables; later ones come before earlier ones.
	Files []string
	// Values are from another document. None of them may be a secret. A text is converted to
	// the declared type.
	Values Values
	// Flags are values from the command line.
	Flags map[string]string
}

// Values are variables that another document gives.
type Values struct {
	File *source.File // nil for none
	Node *yaml.Node   // a mapping, without references
}

// Give sets the values from outside. Files are read through inputs.
func (s *Set) Give(in Given, inputs *engine.Inputs) {
	for _, n := range s.names {
		v := s.byName[n]
		if v.fromEnv == "" || in.Env == nil {
			continue
		}
		if text, ok := in.Env(v.fromEnv); ok {
			v.given = &given{value: spec.Value{Node: textNode(text)}, loose: true, subject: subjectOf(n), from: ", from $" + v.fromEnv}
		}
	}
	for _, file := range in.Files {
		s.file(file, inputs)
	}
	if in.Values.File != nil {
		s.document(in.Values)
	}
	for _, n := range slices.Sorted(maps.Keys(in.Flags)) {
		s.flag(n, in.Flags[n])
	}
}

func (s *Set) flag(name, value string) {
	v := s.byName[name]
	if v == nil {
		s.Add(&source.Problem{Summary: fmt.Sprintf("--var %s: the plan has no such variable", name),
			Hint: source.Suggestion(name, s.names, "its variables are ")})
		return
	}
	if v.secret {
		s.collector.KeepSecret(value)
		s.Add(&source.Problem{Summary: fmt.Sprintf("--var %s: a secret on the command line is there for every process to see", name),
			Hint: fmt.Sprintf("put it into a file that only you can read, and give that: --var-file %s.yaml", name)})
		v.state = failed
		return
	}
	v.given = &given{value: spec.Value{Node: textNode(value)}, loose: true, subject: "--var " + name}
}

// file reads one file of variables: a YAML or JSON mapping of values, which
// are taken as they are. One that gives a secret must be open to its owner only.
func (s *Set) file(name string, inputs *engine.Inputs) {
	data, err := inputs.ReadGiven(name)
	if err != nil {
		err = source.Unread(err)
		s.Add(&source.Problem{Summary: fmt.Sprintf("--var-file %s: %v", name, err)})
		s.unread = true
		return
	}
	src, before := source.NewFile(filepath.Clean(name), data), s.collector.Len()
	src.KeepSecrets(slices.DeleteFunc(s.Names(), func(n string) bool { return !s.byName[n].secret }))
	root := source.Parse(src, "a file of variables", s.Add)
	s.unread = s.unread || root == nil && s.collector.Len() > before
	exposed := false
	s.take(Values{File: src, Node: root}, false, func(v *variable) (problem, hint string) {
		if exposed {
			return "", ""
		}
		if err := inputs.Exposed(name); err != nil {
			exposed = true
			return fmt.Sprintf("variable %q is a secret, and %v", v.name, err), engine.HintOf(err)
		}
		return "", ""
	})
}

// document takes the variables that another document gives.
func (s *Set) document(from Values) {
	s.take(from, true, func(v *variable) (problem, hint string) {
		return fmt.Sprintf("variable %q is a secret, and %s is not kept as one", v.name, from.File.Name),
			"let the plan read it where it runs, or leave it to a login of connections"
	})
}

// take takes the variables that a document gives, in which all values may be text if loose.
// secret is called for one that is a secret and returns why it may not be there, or "".
func (s *Set) take(from Values, loose bool, secret func(v *variable) (problem, hint string)) {
	r := source.Reporter{File: from.File, Add: s.Add}
	s.collector.AddFile(from.File)
	root := from.Node
	if source.IsNull(root) {
		return
	}
	if root.Kind != yaml.MappingNode {
		r.Problem(root, "write one variable a line: name: value", "want a mapping of variables, have %s", source.KindOf(root))
		return
	}
	for key, val := range source.Pairs(root) {
		v := s.byName[key.Value]
		if v == nil {
			r.Problem(key, source.Suggestion(key.Value, s.names, "its variables are "), "the plan has no variable %q", key.Value)
			continue
		}
		if source.IsNull(val) {
			continue // as if it had not been written
		}
		if v.secret {
			s.keep(val)
			if summary, hint := secret(v); summary != "" {
				r.Problem(key, hint, "%s", summary)
			}
		}
		v.given = &given{value: spec.Value{Node: val, File: from.File}, loose: loose, at: from.File.Place(val), subject: subjectOf(v.name)}
	}
}
