package kubetypes

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/ztplan/ztplan/engine/sensitive"
	"github.com/ztplan/ztplan/steps/internal/nearest"
)

// CheckBuiltin checks an object of a kind that Kubernetes itself has, as the API
// server does before admission: fields that are unknown or of another type, values
// that cannot be read, such as quantities, and entries of lists with equal keys.
// Other kinds and versions have no problems. Nothing is contacted.
//
// The types are those of this client library. A newer server may have more fields,
// so an unknown one is an error only if it is [FieldProblem.Misspelt]: kubectl
// --validate=strict leaves that to the server, too. Null stands for a field that is
// not there. Values are shown only if they are numbers or truth values, and not
// those of Secrets.
func CheckBuiltin(obj *unstructured.Unstructured) []FieldProblem {
	gvk := obj.GroupVersionKind()
	if !scheme.Scheme.Recognizes(gvk) {
		return nil
	}
	typ := scheme.Scheme.AllKnownTypes()[gvk]
	c := &typeCheck{secret: gvk.Group == "" && gvk.Kind == "Secret"}
	// An unknown field would end the check of lists: it is removed.
	known := obj.DeepCopy()
	c.value(known.Object, typ, place{})
	c.lists(known)
	slices.SortStableFunc(c.problems, func(a, b FieldProblem) int { return strings.Compare(a.Field, b.Field) })
	return c.problems
}

// A typeCheck compares data with Go types, and removes the fields that they lack.
type typeCheck struct {
	secret   bool // the object is a Secret: no value is shown
	problems []FieldProblem
}

// A place leads to a value: as fields are written in messages, and with the names
// of entries in place of their indices, by which secrets are found.
type place struct{ field, named string }

func (p place) key(name string) place {
	if !plainKey.MatchString(name) {
		return place{p.field + "[" + strconv.Quote(name) + "]", p.named + "/" + name}
	}
	if p.field == "" {
		return place{name, name}
	}
	return place{p.field + "." + name, p.named + "/" + name}
}

func (p place) entry(i int, v any) place {
	name := strconv.Itoa(i)
	if m, ok := v.(map[string]any); ok {
		if text, ok := m["name"].(string); ok {
			name = text
		}
	}
	return place{fmt.Sprintf("%s[%d]", p.field, i), p.named + "[" + name + "]"}
}

var plainKey = regexp.MustCompile(`^[A-Za-z_$][\w$-]*$`)

func (c *typeCheck) bad(at place, near, format string, args ...any) {
	c.problems = append(c.problems, FieldProblem{Field: at.field, Message: fmt.Sprintf(format, args...), Near: near})
}

// expected reports a value of another type. write is the text to write instead.
func (c *typeCheck) expected(at place, want, write string, v any) {
	got := kindOfValue(v)
	switch shown := c.shown(at, v); {
	case shown == "":
		write = ""
	case reflect.TypeOf(v).Kind() != reflect.String:
		got = shown
	}
	c.bad(at, write, "expected %s, got %s", want, got)
}

// shown returns a scalar as text, "" for one that must not be shown.
func (c *typeCheck) shown(at place, v any) string {
	switch v.(type) {
	case map[string]any, []any:
		return ""
	}
	text := fmt.Sprint(v)
	if c.secret || sensitive.Name(at.named) {
		return ""
	}
	return text
}

func kindOfValue(v any) string {
	switch v.(type) {
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case string:
		return "a text"
	case bool:
		return "true or false"
	}
	return "a number"
}

var (
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	bytesType       = reflect.TypeFor[[]byte]()
)

func (c *typeCheck) value(v any, t reflect.Type, at place) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case v == nil, t.Kind() == reflect.Interface:
		return
	case reflect.PointerTo(t).Implements(unmarshalerType):
		c.unmarshal(v, t, at)
		return
	case t == bytesType:
		text, ok := v.(string)
		if !ok {
			c.expected(at, "text in base64", "", v)
		} else if _, err := base64.StdEncoding.DecodeString(text); err != nil {
			c.bad(at, "", "is not base64")
		}
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		c.structure(v, t, at)
	case reflect.Map:
		m, ok := v.(map[string]any)
		if !ok {
			c.expected(at, "a mapping", "", v)
		}
		for _, key := range slices.Sorted(maps.Keys(m)) {
			c.value(m[key], t.Elem(), at.key(key))
		}
	case reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			c.expected(at, "a list", "", v)
		}
		for i, e := range list {
			c.value(e, t.Elem(), at.entry(i, e))
		}
	case reflect.String:
		if _, ok := v.(string); !ok {
			c.expected(at, "string", strconv.Quote(fmt.Sprint(v)), v)
		}
	case reflect.Bool:
		if _, ok := v.(bool); !ok {
			write := ""
			if text, ok := v.(string); ok && (text == "true" || text == "false") {
				write = text
			}
			c.expected(at, "true or false", write, v)
		}
	default:
		c.number(v, t, at)
	}
}

func (c *typeCheck) number(v any, t reflect.Type, at place) {
	want, whole := "a number", t.Kind() != reflect.Float32 && t.Kind() != reflect.Float64
	if whole {
		want = "a whole number"
	}
	switch v := v.(type) {
	case int64:
		// The API server cuts off digits that do not fit.
		return
	case float64:
		if whole && v != math.Trunc(v) {
			c.expected(at, want, "", v)
		}
	case string:
		write := ""
		if _, err := strconv.Atoi(v); err == nil {
			write = v
		}
		c.expected(at, want, write, v)
	default:
		c.expected(at, want, "", v)
	}
}

// unmarshal checks a value whose type reads JSON itself.
func (c *typeCheck) unmarshal(v any, t reflect.Type, at place) {
	text, err := json.Marshal(v)
	if err != nil || json.Unmarshal(text, reflect.New(t).Interface()) == nil {
		return
	}
	switch t {
	case reflect.TypeFor[resource.Quantity]():
		c.bad(at, "", "is not a quantity such as 500m, 1Gi or 2")
	case reflect.TypeFor[metav1.Time](), reflect.TypeFor[metav1.MicroTime]():
		c.bad(at, "", "is not a time such as 2006-01-02T15:04:05Z")
	case reflect.TypeFor[metav1.Duration]():
		c.bad(at, "", "is not a duration such as 1h30m")
	default:
		c.bad(at, "", "%s cannot be read as %s", kindOfValue(v), t.Name())
	}
}

func (c *typeCheck) structure(v any, t reflect.Type, at place) {
	m, ok := v.(map[string]any)
	if !ok {
		c.expected(at, "a mapping", "", v)
		return
	}
	fields := make(map[string]reflect.Type)
	fieldsOf(t, fields)
	for _, key := range slices.Sorted(maps.Keys(m)) {
		in, ok := fields[key]
		if ok {
			c.value(m[key], in, at.key(key))
			continue
		}
		var free []string // a field that is there is not the one that is meant
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if _, there := m[name]; !there {
				free = append(free, name)
			}
		}
		c.problems = append(c.problems, FieldProblem{Field: at.key(key).field, Message: "unknown field", Unknown: true, Near: nearest.Name(key, free)})
		delete(m, key)
	}
}

// fieldsOf collects the fields of a struct, those of embedded ones as well, by
// their names in JSON.
func fieldsOf(t reflect.Type, into map[string]reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "" && f.Anonymous:
			fieldsOf(f.Type, into)
		case name != "" && name != "-":
			into[name] = f.Type
		}
	}
}

// lists reports entries that have the keys of another, or lack them. The keys are in
// the schema that server-side apply uses, which takes 0.1 s to read: only an object
// with a list in which two entries share a value is looked up there.
func (c *typeCheck) lists(obj *unstructured.Unstructured) {
	if !anyAlike(obj.Object) {
		return
	}
	_, err := applyconfigurations.NewTypeConverter(scheme.Scheme).ObjectToTyped(obj)
	var errs typed.ValidationErrors
	if !errors.As(err, &errs) {
		return
	}
	for _, e := range errs {
		if dup := dupKey.FindStringSubmatch(e.ErrorMessage); dup != nil {
			c.bad(place{field: strings.TrimPrefix(e.Path, ".") + dup[1]}, "", "is there twice")
		}
	}
}

// anyAlike reports whether a list below v has two entries with one value in common:
// only those can have the same keys.
func anyAlike(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			if anyAlike(e) {
				return true
			}
		}
	case []any:
		type pair struct {
			key   string
			value any
		}
		seen := make(map[pair]bool)
		for _, e := range v {
			p := pair{value: e}
			m, ok := e.(map[string]any)
			if !ok {
				m = map[string]any{"": e}
			}
			for p.key, p.value = range m {
				switch p.value.(type) {
				case map[string]any, []any:
					continue
				}
				if seen[p] {
					return true
				}
				seen[p] = true
			}
			if anyAlike(e) {
				return true
			}
		}
	}
	return false
}
