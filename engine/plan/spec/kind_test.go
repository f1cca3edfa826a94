package spec_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// A bad is a step whose inputs have the type of another struct.
type bad[T any] struct {
	In T `yaml:",inline"`
}

func (*bad[T]) Inspect(context.Context, *engine.Env) (out struct{}, edits []engine.Edit, err error) {
	return
}

func badKind[T any]() *engine.Kind {
	return engine.NewKind("bad", engine.Policy{}, func() *bad[T] { return &bad[T]{} })
}

// with is a kind whose inputs are a target, changed.
func with(change func(k *engine.Kind)) *engine.Kind {
	k := badKind[target]()
	k.Spec, k.New = reflect.TypeFor[target](), func() any { return new(target) }
	change(k)
	return k
}

// A tree has itself below itself.
type tree struct {
	Value string          `yaml:"value"`
	Left  *tree           `yaml:"left"`
	More  []tree          `yaml:"more"`
	Byte  *mark           `yaml:"mark"`
	Any   map[string]any  `yaml:"any"`
	Keys  []engine.Secret `yaml:"keys"`
}

func TestCheckKind(t *testing.T) {
	if err := spec.CheckKind(badKind[target]()); err != nil {
		t.Error(err)
	}
	for _, k := range []*engine.Kind{badKind[tree](), with(func(k *engine.Kind) { k.Outputs = reflect.TypeFor[holder]() })} {
		if err := spec.CheckKind(k); err != nil {
			t.Error(err)
		}
	}
	for name, k := range map[string]*engine.Kind{
		`kind bad: inputs: port: type chan int is not supported`: badKind[struct {
			Port chan int `yaml:"port"`
		}](),
		`unknown check "requird"`: badKind[struct {
			A string `yaml:"a" check:"requird"`
		}](),
		`check "exists" is for engine.File`: badKind[struct {
			A string `yaml:"a" check:"exists"`
		}](),
		`check "min=x": strconv.ParseFloat`: badKind[struct {
			A int `yaml:"a" check:"min=x"`
		}](),
		`check "min": a value is missing`: badKind[struct {
			A int `yaml:"a" check:"min"`
		}](),
		`a second field is called "a"`: badKind[struct {
			A int `yaml:"a"`
			B int `yaml:"a"`
		}](),
		`check "oneof=a" is for text`: badKind[struct {
			A int `yaml:"a" check:"oneof=a"`
		}](),
		`check " required=1": a value is missing, or one too many`: badKind[struct {
			A int `yaml:"a" check:"min=1, required=1"`
		}](),
		`check "max=5": "5" is not a duration`: badKind[struct {
			A []engine.Duration `yaml:"a" check:"max=5"`
		}](),
		`kind bad: inputs: a: b: type complex128 is not supported`: badKind[struct {
			A map[string]*struct {
				B []complex128 `yaml:"b"`
			} `yaml:"a"`
		}](),
		`type map[int]string: keys must be strings`: badKind[struct {
			A []map[int]string `yaml:"a"`
		}](),
		`a: type error is not supported`: badKind[struct {
			A error `yaml:"a"`
		}](),
		`field A: unknown check "unknown"`: badKind[struct {
			A struct {
				A int `yaml:"b" check:"unknown"`
			} `yaml:",inline"`
		}](),
		`kind bad: New makes spec_test.target, want a pointer to spec_test.target`:   with(func(k *engine.Kind) { k.New = func() any { return target{} } }),
		`kind bad: New makes *spec_test.results, want a pointer to spec_test.target`: with(func(k *engine.Kind) { k.New = func() any { return new(results) } }),
		`kind bad: New makes <nil>, want a pointer to spec_test.target`:              with(func(k *engine.Kind) { k.New = func() any { return nil } }),
		`kind bad: outputs are string, want a struct`:                                with(func(k *engine.Kind) { k.Outputs = reflect.TypeFor[string]() }),
		`kind bad: outputs: any: type interface {} is not supported`:                 with(func(k *engine.Kind) { k.Outputs = reflect.TypeFor[target]() }),
		`kind bad: outputs: a: type chan int is not supported`:                       with(func(k *engine.Kind) { k.Outputs = reflect.TypeFor[struct{ A chan int }]() }),
	} {
		if err := spec.CheckKind(k); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}

type embedded struct {
	Inner string `yaml:"inner"`
}

// Exported is embedded with a key of its own.
type Exported struct{ Field string }

type word string

// TestFields: the keys of a struct, in the order of the source.
func TestFields(t *testing.T) {
	type all struct {
		embedded
		Inlined struct {
			First string
		} `yaml:",inline"`
		word
		Exported `yaml:"own"`
		Tagged   embedded `yaml:"tagged,omitempty"`
		Plain    embedded
		Named    word `yaml:"named"`
		URL      string
		Left     string        `yaml:"-"`
		hidden   string        `yaml:"hidden"`
		File     engine.File   `yaml:"file"`
		Key      engine.Secret `yaml:"key"`
		Mode     *string       `yaml:"mode" check:"oneof=a|b"`
		Ptr      **embedded    `yaml:"ptr"`
	}
	types := new(spec.Types)
	s := types.Of(reflect.TypeFor[all]())
	if got, want := strings.Join(s.Names(), " "), "inner first own tagged plain named uRL file key mode ptr"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := s.OneOf("mode"); !slices.Equal(got, []string{"a", "b"}) || s.OneOf("named") != nil {
		t.Errorf("mode is one of %q", got)
	}
	if typ, ok := s.Field("file"); !ok || typ != reflect.TypeFor[engine.File]() {
		t.Errorf("file: %v, %v", typ, ok)
	}
	if typ, ok := s.Field("hidden"); ok {
		t.Errorf("hidden: %v", typ)
	}
	for name, want := range map[string]string{"tagged": "inner", "ptr": "inner", "file": "", "key": "", "mode": "", "none": ""} {
		got := ""
		if s := types.Input(reflect.TypeFor[all](), name); s != nil {
			got = strings.Join(s.Names(), " ")
		}
		if got != want {
			t.Errorf("%s has the keys %q, want %q", name, got, want)
		}
	}
}

// TestHasSecret: whether a value of a type can hold a secret, at any depth.
func TestHasSecret(t *testing.T) {
	for _, tt := range []struct {
		like any
		want bool
	}{
		{"", false}, {engine.File{}, false}, {engine.Duration(0), false}, {map[string]any{}, false}, {[]embedded{}, false}, {results{}, true}, {resultNames{}, false},
		{engine.Secret{}, true}, {new(engine.Secret), true}, {[]*engine.Secret{}, true}, {map[string]engine.Secret{}, true},
		{holder{}, true}, {[]map[string]*holder{}, true}, {tree{}, true}, {struct{ In tree }{}, true},
		{struct {
			Next *struct{ A []struct{ S engine.Secret } }
		}{}, true},
	} {
		types := new(spec.Types)
		for range 2 { // the second answer is remembered
			if got := types.HasSecret(reflect.TypeOf(tt.like)); got != tt.want {
				t.Errorf("%T: %v, want %v", tt.like, got, tt.want)
			}
		}
	}
}
