package spec_test

import (
	"context"
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

func TestCheckKind(t *testing.T) {
	if err := spec.CheckKind(badKind[target]()); err != nil {
		t.Error(err)
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
	} {
		if err := spec.CheckKind(k); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}
