package plan_test

import (
	"context"

	"github.com/ztplan/ztplan/engine"
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
