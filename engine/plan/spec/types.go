package spec

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/ztplan/ztplan/engine"
)

var (
	durationType = reflect.TypeFor[engine.Duration]()
	secretType   = reflect.TypeFor[engine.Secret]()
	fileType     = reflect.TypeFor[engine.File]()
	stringType   = reflect.TypeFor[string]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	marshalType  = reflect.TypeFor[encoding.TextMarshaler]()
)

// A Struct describes a struct that YAML fills.
type Struct struct {
	Type reflect.Type

	fields []field
	byName map[string]int
	names  []string // in the order of the source

	hasSecret bool // at any depth
}

// A field is one key of a struct, embedded structs flattened.
type field struct {
	name  string
	index []int
	typ   reflect.Type

	required, exists, nonempty bool
	min, max                   *bound
	oneof                      []string
}

// A bound is a limit as the tag writes it. It limits numbers by value,
// durations by length, and text, lists and mappings by size.
type bound struct {
	text  string
	value float64 // nanoseconds for durations
}

// Types holds descriptions of struct types. It is safe for
// concurrent use: steps are decoded while the run goes on.
type Types struct{ structs sync.Map } // reflect.Type -> *Struct

// Of returns the description of struct type t. It panics if a tag is wrong: that is
// a mistake in a kind, not in a plan, and [CheckKind] finds it.
func (c *Types) Of(t reflect.Type) *Struct {
	if s, ok := c.structs.Load(t); ok {
		return s.(*Struct)
	}
	s, err := newStruct(t)
	if err != nil {
		panic(err)
	}
	s.hasSecret = hasSecret(t, nil)
	actual, _ := c.structs.LoadOrStore(t, s)
	return actual.(*Struct)
}

// Input returns the type of an input of a spec; nil if it has none that is a mapping of keys.
func (c *Types) Input(in reflect.Type, name string) *Struct {
	t, ok := c.Of(in).Field(name)
	if !ok {
		return nil
	}
	return c.Fields(t)
}

// Fields returns the description of a type, pointers removed, that is a mapping of
// keys; nil for any other type, secrets and file names included.
func (c *Types) Fields(t reflect.Type) *Struct {
	if t = indirect(t); t.Kind() != reflect.Struct || scalar(t) {
		return nil
	}
	return c.Of(t)
}

// Names returns the keys in the order of the struct.
func (s *Struct) Names() []string { return s.names }

// Field returns the type of a key.
func (s *Struct) Field(name string) (reflect.Type, bool) {
	i, ok := s.byName[name]
	if !ok {
		return nil, false
	}
	return s.fields[i].typ, true
}

// OneOf returns the values that a key may have; nil if it may have any.
func (s *Struct) OneOf(name string) []string { return s.fields[s.byName[name]].oneof }

func newStruct(t reflect.Type) (*Struct, error) {
	s := &Struct{Type: t, byName: make(map[string]int)}
	if err := s.collect(t, nil); err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	return s, nil
}

func (s *Struct) collect(t reflect.Type, index []int) error {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		at := append(slices.Clone(index), i)
		if f.Type.Kind() == reflect.Struct && tag == "" && (f.Anonymous || options == "inline") {
			if err := s.collect(f.Type, at); err != nil {
				return err
			}
			continue
		}
		if !f.IsExported() || tag == "-" {
			continue
		}
		if tag == "" {
			tag = strings.ToLower(f.Name[:1]) + f.Name[1:]
		}
		fd := field{name: tag, index: at, typ: f.Type}
		if err := fd.checks(f.Tag.Get("check")); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		if _, ok := s.byName[tag]; ok {
			return fmt.Errorf("field %s: a second field is called %q", f.Name, tag)
		}
		s.byName[tag] = len(s.fields)
		s.fields = append(s.fields, fd)
		s.names = append(s.names, tag)
	}
	return nil
}

func (f *field) checks(tag string) error {
	if tag == "" {
		return nil
	}
	leaf := f.typ
	for leaf.Kind() == reflect.Pointer || leaf.Kind() == reflect.Slice {
		leaf = leaf.Elem()
	}
	for word := range strings.SplitSeq(tag, ",") {
		key, value, hasValue := strings.Cut(strings.TrimSpace(word), "=")
		if hasValue != (key == "min" || key == "max" || key == "oneof") {
			return fmt.Errorf("check %q: a value is missing, or one too many", word)
		}
		switch key {
		case "required":
			f.required = true
		case "nonempty":
			f.nonempty = true
		case "exists":
			if leaf != fileType {
				return fmt.Errorf("check %q is for engine.File", word)
			}
			f.exists = true
		case "oneof":
			if leaf.Kind() != reflect.String {
				return fmt.Errorf("check %q is for text", word)
			}
			f.oneof = strings.Split(value, "|")
		case "min", "max":
			b, err := newBound(value, leaf == durationType)
			if err != nil {
				return fmt.Errorf("check %q: %w", word, err)
			}
			if key == "min" {
				f.min = b
			} else {
				f.max = b
			}
		default:
			return fmt.Errorf("unknown check %q", word)
		}
	}
	return nil
}

func newBound(s string, duration bool) (*bound, error) {
	if duration {
		d, err := engine.ParseDuration(s)
		return &bound{s, float64(d)}, err
	}
	v, err := strconv.ParseFloat(s, 64)
	return &bound{s, v}, err
}

func hasSecret(t reflect.Type, above []reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return hasSecret(t.Elem(), above)
	case reflect.Struct:
		if t == secretType {
			return true
		}
		if t == fileType || slices.Contains(above, t) {
			return false
		}
		above = append(above, t)
		for i := range t.NumField() {
			if hasSecret(t.Field(i).Type, above) {
				return true
			}
		}
	}
	return false
}

// HasSecret reports whether a value of type t can hold a secret.
func (c *Types) HasSecret(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return c.HasSecret(t.Elem())
	case reflect.Struct:
		return c.Of(t).hasSecret
	}
	return false
}

// CheckKind reports the first mistake in the types of a kind: a field whose
// check tag is invalid, two fields of one name, a type that no plan can fill or no
// reference can read, a New that returns another type than Spec. A test over all
// kinds calls it; a [Decoder] relies on it.
func CheckKind(k *engine.Kind) error {
	made := reflect.TypeOf(k.New())
	if made == nil || made.Kind() != reflect.Pointer || made.Elem() != k.Spec {
		return fmt.Errorf("kind %s: New makes %v, want a pointer to %v", k.Name, made, k.Spec)
	}
	if err := checkType(k.Spec, true, nil); err != nil {
		return fmt.Errorf("kind %s: inputs: %w", k.Name, err)
	}
	if k.Outputs.Kind() != reflect.Struct {
		return fmt.Errorf("kind %s: outputs are %v, want a struct", k.Name, k.Outputs)
	}
	if err := checkType(k.Outputs, false, nil); err != nil {
		return fmt.Errorf("kind %s: outputs: %w", k.Name, err)
	}
	return nil
}

func checkType(t reflect.Type, input bool, above []reflect.Type) error {
	if scalar(t) || reflect.PointerTo(t).Implements(textType) {
		return nil
	}
	switch t.Kind() {
	case reflect.Interface:
		if t.NumMethod() > 0 || !input {
			return fmt.Errorf("type %v is not supported", t)
		}
		return nil
	case reflect.Pointer, reflect.Slice:
		return checkType(t.Elem(), input, above)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("type %v: keys must be strings", t)
		}
		return checkType(t.Elem(), input, above)
	case reflect.Struct:
		if slices.Contains(above, t) {
			return nil
		}
		s, err := newStruct(t)
		if err != nil {
			return err
		}
		for _, f := range s.fields {
			if err := checkType(f.typ, input, append(above, t)); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
		}
		return nil
	}
	return fmt.Errorf("type %v is not supported", t)
}

// TypeName returns the name of a type in messages: "a whole number".
func TypeName(t reflect.Type) string {
	switch t = indirect(t); {
	case t == durationType:
		return "a duration"
	case t == secretType:
		return "a secret"
	case t == fileType:
		return "a file name"
	case t.Kind() == reflect.String, reflect.PointerTo(t).Implements(textType):
		return "text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case isFloat(t):
		return "a number"
	case isInt(t), isUint(t):
		return "a whole number"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Map, t.Kind() == reflect.Struct:
		return "a mapping"
	}
	return "a value"
}
