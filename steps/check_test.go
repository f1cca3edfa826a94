package steps_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// An object of the cluster that a client certificate or a trust is read from has a check
// and a permission in every kind, wherever the input is.
func TestObjectsOfTheClusterAreChecked(t *testing.T) {
	kinds := 0
	for _, k := range steps.All() {
		spec := k.New()
		names := fill(reflect.ValueOf(spec), "", "object")
		if len(names) == 0 {
			continue
		}
		kinds++
		var checks, permissions strings.Builder
		if c, ok := spec.(engine.Checker); ok {
			for _, check := range c.Checks(nil) {
				fmt.Fprintln(&checks, check.Name)
			}
		}
		needed, _ := spec.(engine.PermissionNeeder).Permissions(t.Context(), &engine.Env{}, nil)
		for _, p := range needed {
			fmt.Fprintln(&permissions, p.Resource, p.Namespace+"/"+p.Name)
		}
		for field, name := range names {
			if !strings.Contains(checks.String(), "Secret web/"+name+"\n") {
				t.Errorf("kind %s: no check of %s: has\n%s", k.Name, field, &checks)
			}
			if !strings.Contains(permissions.String(), "secrets web/"+name+"\n") {
				t.Errorf("kind %s: no permission for %s: has\n%s", k.Name, field, &permissions)
			}
		}
	}
	if kinds < 5 {
		t.Errorf("only %d kinds have such an input", kinds)
	}
}

// fill gives every input that names such an object a Secret of its own, other inputs the
// values that lead there, and returns the Secrets by the path of the input.
func fill(v reflect.Value, path, name string) map[string]string {
	names := map[string]string{}
	below := func(v reflect.Value, key string) {
		for path, secret := range fill(v, path+"."+key, name+"-"+strings.ToLower(key)) {
			names[path] = secret
		}
	}
	switch v.Interface().(type) {
	case *tlskit.TrustSource:
		v.Set(reflect.ValueOf(&tlskit.TrustSource{Secret: &tlskit.ObjectKey{Namespace: "web", Name: name}}))
		return map[string]string{path: name}
	case *tlskit.ClientCertificate:
		v.Set(reflect.ValueOf(&tlskit.ClientCertificate{Secret: &tlskit.SecretRef{Namespace: "web", Name: name}}))
		return map[string]string{path: name}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.Type().Elem().Kind() != reflect.Struct {
			return names
		}
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return fill(v.Elem(), path, name)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			below(v.Index(0), "0")
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				below(v.Field(i), f.Name)
			}
		}
	}
	return names
}
