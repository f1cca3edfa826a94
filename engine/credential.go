package engine

import (
	"reflect"
	"strings"
)

// A Credential is a file with a secret for a login of a step. It is not reviewed and
// recorded as other inputs are: others renew it, and each use reads it.
type Credential struct {
	Field string // path of the input: "server.tokenFile"
	File  File
	// Private is set for a secret that lives long: the run refuses a file that others can
	// read.
	Private bool
}

// Credentials returns the files in a spec, a struct or a pointer to one, whose fields
// have the tag credential:"private", or credential:"brief" for tokens of some minutes.
func Credentials(spec any) []Credential {
	var out []Credential
	var look func(v reflect.Value, path string)
	look = func(v reflect.Value, path string) {
		for v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct || v.Type() == fileType || v.Type() == secretType {
			return
		}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			at := strings.TrimPrefix(path+"."+name, ".")
			if options == "inline" {
				at = path
			}
			kind := field.Tag.Get("credential")
			switch {
			case !field.IsExported() || at == path && options != "inline":
			case kind != "" && field.Type == fileType:
				if f := v.Field(i).Interface().(File); !f.IsZero() {
					out = append(out, Credential{Field: at, File: f, Private: kind == "private"})
				}
			default:
				look(v.Field(i), at)
			}
		}
	}
	look(reflect.ValueOf(spec), "")
	return out
}
