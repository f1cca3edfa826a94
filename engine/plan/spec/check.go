package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// check applies the check tag of a field to its value.
func (d *Decoder) check(f *field, n *yaml.Node, v reflect.Value) outcome {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return set
		}
		v = v.Elem()
	}
	if (f.required || f.nonempty) && empty(v) {
		hint := ""
		if !f.required {
			hint = "give it a value, or leave the key out: an empty " + f.name + " may be a variable that was forgotten"
		}
		return d.problem(n, hint, "must not be empty")
	}
	out := set
	if f.min != nil || f.max != nil {
		out = max(out, d.checkBounds(f, n, v))
	}
	if f.oneof != nil {
		out = max(out, d.checkEach(n, v, func(n *yaml.Node, v reflect.Value) outcome {
			if s := v.String(); !slices.Contains(f.oneof, s) {
				return d.problem(n, source.ValueHint(s, f.oneof), "%q is not one of %s", source.Abbreviate(s), strings.Join(f.oneof, ", "))
			}
			return set
		}))
	}
	if f.exists {
		out = max(out, d.checkEach(n, v, func(n *yaml.Node, v reflect.Value) outcome {
			return d.checkExists(n, v.Interface().(engine.File))
		}))
	}
	return out
}

// checkEach applies a check to a value, or to the items of a list that have one.
func (d *Decoder) checkEach(n *yaml.Node, v reflect.Value, check func(*yaml.Node, reflect.Value) outcome) outcome {
	if v.Kind() != reflect.Slice {
		return check(n, v)
	}
	out := set
	for i := range v.Len() {
		d.push(keypath.Item(i))
		if path := keypath.String(d.path); !slices.Contains(d.pending, path) && !slices.Contains(d.bad, path) {
			at := n
			if i < len(n.Content) {
				at = n.Content[i]
			}
			out = max(out, check(at, v.Index(i)))
		}
		d.pop()
	}
	return out
}

func empty(v reflect.Value) bool {
	switch v.Type() {
	case secretType:
		return v.Interface().(engine.Secret).IsZero()
	case fileType:
		return v.Interface().(engine.File).IsZero()
	}
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return false
}

func (d *Decoder) checkBounds(f *field, n *yaml.Node, v reflect.Value) outcome {
	t, shown, what := v.Type(), "", ""
	var have float64
	switch {
	case t == durationType:
		have, shown = float64(v.Int()), v.Interface().(engine.Duration).String()
	case isInt(t):
		have, shown = float64(v.Int()), strconv.FormatInt(v.Int(), 10)
	case isUint(t):
		have, shown = float64(v.Uint()), strconv.FormatUint(v.Uint(), 10)
	case isFloat(t):
		have, shown = v.Float(), strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case t == secretType:
		have, what = float64(len(v.Interface().(engine.Secret).Reveal())), "characters"
	case t.Kind() == reflect.String:
		have, what = float64(utf8.RuneCountInString(v.String())), "characters"
	case t.Kind() == reflect.Slice:
		have, what = float64(v.Len()), "items"
	case t.Kind() == reflect.Map:
		have, what = float64(v.Len()), "keys"
	default:
		return set
	}
	if shown == "" {
		shown = fmt.Sprintf("has %g %s, which", have, what)
	}
	switch {
	case f.min != nil && have < f.min.value:
		return d.problem(n, "", "%s is less than the minimum %s", shown, f.min.text)
	case f.max != nil && have > f.max.value:
		return d.problem(n, "", "%s is more than the maximum %s", shown, f.max.text)
	}
	return set
}

func (d *Decoder) checkExists(n *yaml.Node, f engine.File) outcome {
	if f.IsZero() {
		return set
	}
	_, err := f.Read()
	if err == nil {
		return set
	}
	if errors.Is(err, fs.ErrNotExist) {
		hint, written := "paths are relative to the directory of the plan", f.Name
		if !isTemplate(n) && n.Value != f.Name {
			hint, written = "paths in a fragment are relative to its own directory", n.Value
		}
		if filepath.IsAbs(f.Name) {
			hint = ""
		} else if best := source.ClosestFile(f.Path); best != "" {
			hint = fmt.Sprintf("did you mean %q?", filepath.ToSlash(filepath.Join(filepath.Dir(written), best)))
		}
		return d.problem(n, hint, "file %q does not exist", f.Name)
	}
	err = source.Unread(err)
	return d.problem(n, "", "file %q: %v", f.Name, err)
}
