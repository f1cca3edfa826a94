package vars

import (
	"slices"

	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// ForFragment makes this the variables of a fragment: nothing but [Set.Put] and [Set.Pass]
// gives them values.
func (s *Set) ForFragment() { s.fragment = true }

// Names returns the names of the variables, in the order of the document.
func (s *Set) Names() []string { return slices.Clone(s.names) }

// Declared returns the declaration of a variable: its type, "" for any, and whether it is
// a secret; ok is false if there is none.
func (s *Set) Declared(name string) (typ string, secret, ok bool) {
	v := s.byName[name]
	if v == nil {
		return "", false, false
	}
	return v.typ, v.secret, true
}

// Put gives a variable its value. A problem with it has the subject and the place.
func (s *Set) Put(name string, value spec.Value, subject string, at source.Position) {
	v := s.byName[name]
	switch {
	case v.secret:
		s.keep(value.Node)
	case value.Secret:
		s.collector.KeepSecret(value.Node.Value)
	}
	v.given = &given{value: value, at: at, subject: subject}
}

// Pass marks a variable as an output of a step: the set knows no value of it.
func (s *Set) Pass(name string) { s.byName[name].state = failed }

// Use marks a variable as referred to.
func (s *Set) Use(name string) {
	if !s.sealed {
		s.byName[name].used = true
	}
}

// Missing returns the variables that have no value and no default, which cannot be used
// then. It reports no problem.
func (s *Set) Missing() (names []string) {
	for _, name := range s.names {
		if v := s.byName[name]; v.state != failed && v.given == nil && v.def == nil {
			v.state = failed
			names = append(names, name)
		}
	}
	return names
}
