package enginetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

// foresee checks that the outputs which the step foresees are those of the step that has
// converged, that none of them is a secret, and that none depends on an input that is not
// known.
func (k *checker) foresee(context.Context) error {
	if _, ok := k.Spec().(engine.Foreseer); !ok {
		return nil
	}
	all := k.Kind.Foresee(k.Spec(), k.env.Plan, nil)
	if t := reflect.TypeOf(all); t != k.Kind.Outputs {
		return fmt.Errorf("the step foresees a %v and not the outputs, %v", t, k.Kind.Outputs)
	}
	if slices.ContainsFunc(secretsIn(all), func(s string) bool { return s != "" }) {
		return errors.New("the step foresees a secret")
	}
	if err := kept(all, k.outputs, "is foreseen, and the run gives another"); err != nil {
		return err
	}
	for _, f := range reflect.VisibleFields(k.Kind.Spec) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" {
			continue // an embedded struct, whose fields come as well
		}
		spec := reflect.New(k.Kind.Spec)
		spec.Elem().Set(reflect.ValueOf(k.Spec()).Elem())
		spec.Elem().FieldByIndex(f.Index).SetZero()
		if err := kept(k.Kind.Foresee(spec.Interface(), k.env.Plan, []string{name}), all, "is foreseen without "+name+", and is another with it"); err != nil {
			return err
		}
	}
	return nil
}
