package spec

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"

	"github.com/ztplan/ztplan/engine"
)

// fits reports whether an output of type from may be the whole value of an
// input of type to. It knows types only: that a number is in range and that a
// text is a duration shows when there is a value.
func (c *Types) fits(from, to reflect.Type) bool {
	from, to = indirect(from), indirect(to)
	switch {
	case to == secretType:
		return from == secretType || scalar(from)
	case c.HasSecret(from):
		return from == to && from != secretType
	case from == to:
		return true
	case to.Kind() == reflect.Interface:
		return true
	case to == durationType:
		return from.Kind() == reflect.String
	case to == fileType || reflect.PointerTo(to).Implements(textType):
		return from.Kind() == reflect.String
	case to.Kind() == reflect.String:
		return scalar(from)
	case to.Kind() == reflect.Bool:
		return from.Kind() == reflect.Bool
	case isInt(to) || isUint(to):
		return from != durationType && (isInt(from) || isUint(from))
	case isFloat(to):
		return from != durationType && (isInt(from) || isUint(from) || isFloat(from))
	case to.Kind() == reflect.Slice:
		return from.Kind() == reflect.Slice && c.fits(from.Elem(), to.Elem())
	case to.Kind() == reflect.Map && from.Kind() == reflect.Map:
		return c.fits(from.Elem(), to.Elem())
	case to.Kind() == reflect.Map && from.Kind() == reflect.Struct && from != fileType:
		for _, f := range c.Of(from).fields {
			if !c.fits(f.typ, to.Elem()) {
				return false
			}
		}
		return true
	}
	return false
}

// convert sets to to the value of from, which fits. file resolves paths.
func (c *Types) convert(from, to reflect.Value, file func(name string) engine.File) error {
	for from.Kind() == reflect.Pointer {
		if from.IsNil() {
			return nil
		}
		from = from.Elem()
	}
	for to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		to = to.Elem()
	}
	ft, tt := from.Type(), to.Type()
	switch {
	case ft == tt:
		to.Set(from)
	case tt == secretType:
		to.Set(reflect.ValueOf(engine.NewSecret(format(from))))
	case tt.Kind() == reflect.Interface:
		if v := c.plain(from); v != nil {
			to.Set(reflect.ValueOf(v))
		}
	case tt == fileType:
		to.Set(reflect.ValueOf(file(format(from))))
	case reflect.PointerTo(tt).Implements(textType):
		return to.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(format(from)))
	case tt.Kind() == reflect.String:
		to.SetString(format(from))
	case tt.Kind() == reflect.Bool:
		to.SetBool(from.Bool())
	case isInt(tt):
		i, ok := integer(from)
		if !ok || to.OverflowInt(i) {
			return fmt.Errorf("%v is out of range", from)
		}
		to.SetInt(i)
	case isUint(tt):
		if i, ok := integer(from); ok && i < 0 {
			return fmt.Errorf("%v is out of range", from)
		}
		u := from.Convert(uint64Type).Uint()
		if to.OverflowUint(u) {
			return fmt.Errorf("%v is out of range", from)
		}
		to.SetUint(u)
	case isFloat(tt):
		to.Set(from.Convert(tt))
	case tt.Kind() == reflect.Slice:
		s := reflect.MakeSlice(tt, from.Len(), from.Len())
		for i := range from.Len() {
			if err := c.convert(from.Index(i), s.Index(i), file); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
		to.Set(s)
	case tt.Kind() == reflect.Map:
		m := reflect.MakeMap(tt)
		set := func(key string, v reflect.Value) error {
			e := reflect.New(tt.Elem()).Elem()
			if err := c.convert(v, e, file); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			m.SetMapIndex(reflect.ValueOf(key).Convert(tt.Key()), e)
			return nil
		}
		if ft.Kind() == reflect.Struct {
			for _, f := range c.Of(ft).fields {
				if err := set(f.name, from.FieldByIndex(f.index)); err != nil {
					return err
				}
			}
		} else {
			for it := from.MapRange(); it.Next(); {
				if err := set(it.Key().String(), it.Value()); err != nil {
					return err
				}
			}
		}
		to.Set(m)
	default:
		return fmt.Errorf("is %s, want %s", TypeName(ft), TypeName(tt))
	}
	return nil
}

var uint64Type = reflect.TypeFor[uint64]()

// integer returns the value of a whole number; ok is false if it is over the range.
func integer(v reflect.Value) (i int64, ok bool) {
	if isInt(v.Type()) {
		return v.Int(), true
	}
	return int64(v.Uint()), v.Uint() <= math.MaxInt64
}

// plain returns an output as plain data, as inline YAML would be decoded.
func (c *Types) plain(v reflect.Value) any {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	t := v.Type()
	switch {
	case t == secretType:
		return v.Interface()
	case t.Implements(marshalType):
		return format(v)
	case isInt(t) || isUint(t):
		if i, ok := integer(v); ok {
			return int(i)
		}
		return v.Uint()
	}
	switch t.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return v.Bool()
	case reflect.Float32, reflect.Float64:
		return v.Float()
	case reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = c.plain(v.Index(i))
		}
		return out
	case reflect.Map:
		out := make(map[string]any, v.Len())
		for it := v.MapRange(); it.Next(); {
			out[it.Key().String()] = c.plain(it.Value())
		}
		return out
	case reflect.Struct:
		out := make(map[string]any)
		for _, f := range c.Of(t).fields {
			out[f.name] = c.plain(v.FieldByIndex(f.index))
		}
		return out
	}
	return nil
}

// format writes a scalar as text; a secret is revealed, so the result may only
// go into another secret.
func format(v reflect.Value) string {
	t := v.Type()
	if t == secretType {
		return v.Interface().(engine.Secret).Reveal()
	}
	if t.Implements(marshalType) {
		if b, err := v.Interface().(encoding.TextMarshaler).MarshalText(); err == nil {
			return string(b)
		}
	}
	switch {
	case t.Kind() == reflect.String:
		return v.String()
	case t.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case isInt(t):
		return strconv.FormatInt(v.Int(), 10)
	case isUint(t):
		return strconv.FormatUint(v.Uint(), 10)
	case isFloat(t):
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	}
	return fmt.Sprint(v.Interface())
}

// scalar reports whether values of type t have a text form.
func scalar(t reflect.Type) bool {
	t = indirect(t)
	return t == fileType || t.Implements(marshalType) || t.Kind() == reflect.String || t.Kind() == reflect.Bool ||
		isInt(t) || isUint(t) || isFloat(t)
}

func indirect(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

func isInt(t reflect.Type) bool {
	return t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64
}

func isUint(t reflect.Type) bool {
	return t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64
}

func isFloat(t reflect.Type) bool {
	return t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64
}
