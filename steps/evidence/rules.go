package evidence

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Verdict computes from Limit and Saw whether the rule holds. The comparison
// follows from the first word of the rule's name:
//
//	max…                 Saw is at most Limit
//	min…, consecutive…   Saw is at least Limit
//	not…                 Saw is not equal to Limit
//	contains…            the text or list Saw contains Limit
//	anything else        Saw is equal to Limit
//
// Sizes are numbers, or both are durations as "1.5s". Lists are equal when they
// hold the same values in any order. An error means that the two cannot be
// compared: one is missing, or they are of different types.
func (r Rule) Verdict() (bool, error) {
	if r.Limit == nil || r.Saw == nil {
		return false, fmt.Errorf("rule %s has no limit or nothing was seen", r.Name)
	}
	switch firstWord(r.Name) {
	case "max", "min", "consecutive":
		limit, ok1 := Size(r.Limit)
		saw, ok2 := Size(r.Saw)
		if !ok1 || !ok2 {
			return false, fmt.Errorf("rule %s: %v and %v are not sizes", r.Name, r.Limit, r.Saw)
		}
		if firstWord(r.Name) == "max" {
			return saw <= limit, nil
		}
		return saw >= limit, nil
	case "not":
		return !Equal(r.Limit, r.Saw), nil
	case "contains":
		if text, ok := r.Saw.(string); ok {
			part, ok := r.Limit.(string)
			return ok && strings.Contains(text, part), nil
		}
		for _, v := range list(r.Saw) {
			if Equal(v, r.Limit) {
				return true, nil
			}
		}
		return false, nil
	}
	return Equal(r.Limit, r.Saw), nil
}

// InSeconds reports whether limit and measurement are seconds.
func (r Rule) InSeconds() bool {
	return slices.Contains([]string{"maxGap", "maxSwitch", "maxDown", "maxCatchUp", "minRemaining", "maxLifetime"}, r.Name)
}

func firstWord(name string) string {
	if i := strings.IndexFunc(name, func(c rune) bool { return unicode.IsUpper(c) || c == '-' || c == ' ' }); i > 0 {
		return name[:i]
	}
	return name
}

// Size returns v as a number; a duration counts in seconds. It is false if v is
// neither.
func Size(v any) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case string:
		d, err := time.ParseDuration(v)
		return d.Seconds(), err == nil
	}
	switch rv := reflect.ValueOf(v); {
	case rv.CanInt():
		return float64(rv.Int()), true
	case rv.CanUint():
		return float64(rv.Uint()), true
	case rv.CanFloat():
		return rv.Float(), true
	}
	return 0, false
}

// Equal reports whether two values have the same JSON, in lists in any order.
func Equal(a, b any) bool {
	if la, lb := list(a), list(b); la != nil && lb != nil {
		return slices.Equal(texts(la), texts(lb))
	}
	return text(a) == text(b)
}

func list(v any) []any {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Slice {
		return nil
	}
	out := make([]any, rv.Len())
	for i := range out {
		out[i] = rv.Index(i).Interface()
	}
	return out
}

func texts(l []any) []string {
	out := make([]string, len(l))
	for i, v := range l {
		out[i] = text(v)
	}
	slices.Sort(out)
	return out
}

// text is v as JSON: a recorded int is equal to the number that is read.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
