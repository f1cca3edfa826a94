package login

import (
	"reflect"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

// Logins that differ in any input do not share a token: one of them would act with the
// rights of the other.
func TestKeysTellLoginsApart(t *testing.T) {
	values := map[reflect.Type]any{
		reflect.TypeFor[string]():        "other",
		reflect.TypeFor[[]string]():      []string{"other"},
		reflect.TypeFor[*Account]():      &Account{Namespace: "web", Name: "other"},
		reflect.TypeFor[engine.Secret](): engine.NewSecret("other"),
		reflect.TypeFor[engine.File]():   engine.File{Name: "other", Path: "/other"},
	}
	inputs := reflect.TypeFor[Spec]()
	for i := range inputs.NumField() {
		field := inputs.Field(i)
		value, ok := values[field.Type]
		if !ok {
			t.Errorf("%s: add a value of type %s", field.Name, field.Type)
			continue
		}
		one := Spec{Mount: "mount", Role: "role", ServiceAccount: &Account{Namespace: "web", Name: "plan"}}
		other := one
		reflect.ValueOf(&other).Elem().Field(i).Set(reflect.ValueOf(value))
		if one.key() == other.key() {
			t.Errorf("logins that differ in %s share a token", field.Name)
		}
	}
}
