// Package vars reads the variables of a document: their declarations, and the values that
// come from outside. It finds the value of each, which may be made of other variables.
package vars

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// A Declaration is a variable with more than a default.
type Declaration struct {
	// Default is the value unless another is given. It may refer to other variables. A
	// variable without a default, or with null, must be given.
	Default any `yaml:"default"`
	// Description gives the purpose of the variable.
	Description string `yaml:"description"`
	// Env is the name of an environment variable. If that is set, it gives the value, unless
	// a variable file or --var does.
	Env string `yaml:"env"`
	// Required says that the variable must be given. It excludes a default.
	Required bool `yaml:"required"`
	// Secret keeps the value out of everything that leaves a run. It can only be used in
	// inputs that take secrets, and cannot be given with --var.
	Secret bool `yaml:"secret"`
	// Type of the value. It is that of the default unless given here.
	Type string `yaml:"type" check:"oneof=string|number|bool|list|map"`
}

var (
	declaration = new(spec.Types).Of(reflect.TypeFor[Declaration]())
	keys        = declaration.Names() // a mapping with any of them is a declaration
	types       = declaration.OneOf("type")
)

// A Set is the variables of a document. Once all are resolved and it is sealed, it may be
// used from several goroutines.
type Set struct {
	source.Reporter // of the document
	collector       *source.Collector

	// decoder returns a decoder for the values of the document, whose problems have a subject.
	decoder func(subject string, report func(*source.Problem)) *spec.Decoder

	byName    map[string]*variable
	names     []string // in the order of the document
	resolving []string // variables whose values are being found
	unread    bool     // a variable file could not be read: it may have the missing values
	sealed    bool
	fragment  bool // only the entry that includes the document gives values
}

// A variable is one entry of vars.
type variable struct {
	name    string
	key     *yaml.Node // where it is declared
	typ     string     // string, number, bool, list, map; "" for any
	def     *yaml.Node // default as written, or nil
	secret  bool
	fromEnv string // environment variable that may hold the value
	given   *given
	state   state
	value   spec.Value // without references; secret, too, if it is made from a secret
	used    bool       // something refers to it
}

type state int

const (
	untouched state = iota
	resolving
	resolved
	failed
)

// New returns the variables of a file, of which there are none yet. Problems and secrets
// go to collector; decoder resolves the references in defaults.
func New(file *source.File, collector *source.Collector, decoder func(subject string, report func(*source.Problem)) *spec.Decoder) *Set {
	return &Set{Reporter: source.Reporter{File: file, Add: collector.Add}, collector: collector, decoder: decoder, byName: make(map[string]*variable)}
}

// Declare reads the declarations below vars.
func (s *Set) Declare(n *yaml.Node) {
	if source.IsNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		s.Problem(n, "write vars: {name: value}", "vars: want a mapping, have %s", source.Describe(n))
		return
	}
	for key, val := range source.Pairs(n) {
		v := &variable{name: key.Value, key: key}
		if !keypath.IsName(key.Value) {
			s.Problem(key, "use letters, digits, _ and -, beginning with a letter", "vars: %q is not a name for a variable", key.Value)
			continue
		}
		s.byName[v.name] = v
		s.names = append(s.names, v.name)
		if isDeclaration(val) {
			s.declare(v, val)
		} else if !source.IsNull(val) {
			v.def = val
		}
	}
}

func isDeclaration(n *yaml.Node) bool {
	return n.Kind == yaml.MappingNode &&
		slices.ContainsFunc(source.Keys(n), func(key string) bool { return slices.Contains(keys, key) })
}

func (s *Set) declare(v *variable, n *yaml.Node) {
	required, before := false, s.collector.Len()
	for key, val := range source.Pairs(n) {
		subject := "vars." + v.name + "." + key.Value
		switch key.Value {
		case "default":
			if !source.IsNull(val) {
				v.def = val
			}
		case "description":
			s.Text(val, subject)
		case "secret":
			v.secret = s.Truth(val, subject)
		case "required":
			required = s.Truth(val, subject)
		case "env":
			if v.fromEnv = s.Text(val, subject); s.fragment {
				s.Problem(key, "declare it in the plan, and give it below with of the entry that includes the fragment",
					"%s: a fragment reads no environment variable", subject)
			}
		case "type":
			if v.typ = s.Text(val, subject); v.typ != "" && !slices.Contains(types, v.typ) {
				s.Problem(val, source.DidYouMean(v.typ, types), "%s: %q is not one of %s", subject, v.typ, strings.Join(types, ", "))
				v.typ = ""
			}
		default:
			hint := source.DidYouMean(key.Value, keys)
			if hint == "" {
				hint = "a mapping with any of " + source.Listed(keys) + " declares a variable; write a value that is such a mapping below default"
			}
			s.Problem(key, hint, "vars.%s: unknown key %q", v.name, key.Value)
		}
	}
	if required && v.def != nil {
		s.Problem(v.key, "keep one of the two", "vars.%s: is required and has a default", v.name)
	}
	if s.collector.Len() > before {
		v.state = failed // other problems with it may follow from that
	}
	if v.secret && v.def != nil {
		s.keep(v.def)
	}
}

// keep keeps the texts and numbers of a value that is declared a secret, so that nothing
// shows them. The keys of mappings are no secrets.
func (s *Set) keep(n *yaml.Node) {
	for value := range source.Scalars(n) {
		if value.Tag != "!!bool" {
			s.collector.KeepSecret(value.Value)
		}
	}
}

// Resolve gives every variable its value and returns the values as plain data. A secret
// one, and one made from a secret, is an [engine.Secret].
func (s *Set) Resolve() map[string]any {
	for _, n := range s.names {
		s.resolve(s.byName[n])
	}
	plain := make(map[string]any, len(s.names))
	for _, n := range s.names {
		v := s.byName[n]
		if v.state != resolved {
			continue
		}
		if v.value.Secret {
			if v.secret {
				s.keep(v.value.Node)
			}
			s.collector.KeepSecret(v.value.Node.Value)
			plain[n] = engine.NewSecret(v.value.Node.Value)
			continue
		}
		plain[n] = s.decoder("", func(*source.Problem) {}).Plain(v.value.Node)
	}
	return plain
}

// Seal ends the reading of the document: the set does not change any more.
func (s *Set) Seal() { s.sealed, s.collector, s.decoder, s.Add = true, nil, nil, nil }

// Value returns the value of a variable, or the part of it that a reference names.
func (s *Set) Value(ref *syntax.Reference) (out spec.Value, _ *spec.Fault) {
	name := ref.Path[0].Name
	v := s.byName[name]
	if v == nil {
		hint := source.Suggestion(name, slices.Sorted(maps.Keys(s.byName)), "the variables are ")
		if len(s.byName) == 0 {
			hint = fmt.Sprintf("declare it: vars: {%s: value}", name)
		}
		return out, &spec.Fault{Message: fmt.Sprintf("%s: there is no variable %q", ref.Raw, name), Hint: hint}
	}
	if !s.sealed {
		v.used = true
		if v.state == resolving {
			circle := append(slices.Clone(s.resolving[slices.Index(s.resolving, name):]), name)
			return out, &spec.Fault{Message: "variables refer to each other in a circle: " + strings.Join(circle, " -> ")}
		}
		s.resolve(v)
	}
	if v.state != resolved {
		return out, new(spec.Fault)
	}
	out = v.value
	var fault *spec.Fault
	if len(ref.Path) > 1 {
		out.Item = nil
	}
	out.Node, fault = spec.Part(v.value, ref, 1)
	return out, fault
}

// Unused returns the variables that nothing refers to, by name, and the places of their
// declarations.
func (s *Set) Unused() map[string]source.Position {
	unused := make(map[string]source.Position)
	for name, v := range s.byName {
		if !v.used {
			unused[name] = s.File.Place(v.key)
		}
	}
	return unused
}
