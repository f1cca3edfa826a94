// Package diff shows the differences between the present state and the plan.
//
// Both sides are flattened to leaf paths first and the flat maps are compared.
// Comparing trees as they are is not stable: go-cmp's slice differ starts from
// a random end, so the same two lists can be reported differently from run to
// run. Lines come out in one order, and equal inputs give equal bytes.
package diff

import (
	ordered "cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
)

// A Leaf is one value that differs.
type Leaf struct {
	Path string // "spec/replicas", "" for a value that is no tree
	Have string // as shown; empty with HasHave false
	Want string

	HasHave, HasWant bool
}

// Leaves returns the differences between have and want, by path. A side that is nil
// has no leaves, and an empty map or list is none where the other side is nil as a
// whole, or has something in it. Two secrets that differ show as "(secret)" and
// "(secret, changed)".
func Leaves(have, want any) []Leaf {
	h, w := flatten(have), flatten(want)
	dropFilled(h, w)
	dropFilled(w, h)
	at := make(map[string][]string, len(h))
	for key, l := range h {
		at[key] = l.path
	}
	for key, l := range w {
		at[key] = l.path
	}
	keys := slices.SortedFunc(maps.Keys(at), func(a, b string) int {
		return ordered.Or(byPath(at[a], at[b]), strings.Compare(a, b))
	})
	var out []Leaf
	for _, key := range keys {
		a, inHave := h[key]
		b, inWant := w[key]
		if inHave && inWant && equal(a.value, b.value) {
			continue
		}
		l := Leaf{Path: strings.Join(at[key], "/"), HasHave: inHave, HasWant: inWant}
		if inHave {
			l.Have = show(a.value)
		}
		if inWant {
			l.Want = show(b.value)
			if _, secret := b.value.(engine.Secret); secret && inHave {
				l.Want = "(secret, changed)"
			}
		}
		if inHave && inWant && l.Have == l.Want {
			l.Have, l.Want = quote(a.value), quote(b.value) // "1" is not 1
		}
		out = append(out, l)
	}
	return out
}

// Lines renders Leaves for people: "+ path: want", "- path: have",
// "~ path: have → want", and texts of several lines as a line diff.
func Lines(have, want any) []string {
	var out []string
	for _, l := range Leaves(have, want) {
		out = append(out, l.lines()...)
	}
	return out
}

func (l Leaf) lines() []string {
	name := l.Path
	if name != "" {
		name += ": "
	}
	many := strings.Contains(l.Have, "\n") || strings.Contains(l.Want, "\n")
	switch {
	case many && l.HasHave && l.HasWant && strings.TrimSuffix(l.Have, "\n") == strings.TrimSuffix(l.Want, "\n"):
		return []string{"~ " + name + "only the newline at its end differs"}
	case many && l.HasHave && l.HasWant:
		out := []string{"~ " + strings.TrimSuffix(name, " ")}
		for _, t := range textDiff(split(l.Have), split(l.Want)) {
			out = append(out, "  "+t)
		}
		return out
	case many:
		sign, text := "+ ", l.Want
		if l.HasHave {
			sign, text = "- ", l.Have
		}
		out := []string{sign + strings.TrimSuffix(name, " ")}
		for _, t := range split(text) {
			out = append(out, "  "+sign+t)
		}
		return out
	case l.HasHave && l.HasWant:
		return []string{"~ " + name + l.Have + " → " + l.Want}
	case l.HasHave:
		return []string{"- " + name + l.Have}
	default:
		return []string{"+ " + name + l.Want}
	}
}

func split(s string) []string { return strings.Split(strings.TrimSuffix(s, "\n"), "\n") }

// A leaf is a value of a tree and where it is.
type leaf struct {
	path  []string
	value any
}

// flatten maps the leaves of a tree by a key that no other place can have, in
// this tree or in another: a map's key may have slashes in it or look like a
// list's index. Empty maps and lists are leaves.
func flatten(v any) map[string]leaf {
	out := make(map[string]leaf)
	if v != nil {
		walk("", nil, plain(v), out)
	}
	return out
}

// dropFilled removes the empty maps and lists of side that other has something
// in, which is enough to show. Those of the same kind only: a list that becomes a map is a
// difference of its own.
func dropFilled(side, other map[string]leaf) {
	for key, l := range side {
		if !empty(l.value) {
			continue
		}
		if key == "" && len(other) == 0 {
			delete(side, key)
			continue
		}
		_, isMap := l.value.(map[string]any)
		for in := range other {
			if below, ok := strings.CutPrefix(in, key+"/"); ok && strings.HasPrefix(below, `"`) == isMap {
				delete(side, key)
				break
			}
		}
	}
}

// empty reports whether v is a map or a list without anything in it.
func empty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

func walk(key string, path []string, v any, out map[string]leaf) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			out[key] = leaf{path, v}
		}
		for k, e := range v {
			walk(key+"/"+strconv.Quote(k), append(slices.Clip(path), k), e, out)
		}
	case []any:
		if len(v) == 0 {
			out[key] = leaf{path, v}
		}
		for i, e := range v {
			k := strconv.Itoa(i)
			walk(key+"/"+k, append(slices.Clip(path), k), e, out)
		}
	default:
		out[key] = leaf{path, v}
	}
}

// plain turns a value into plain data, keeping secrets.
func plain(v any) any {
	switch v := v.(type) {
	case nil, bool, string, engine.Secret, json.Number:
		return v
	case int:
		return float64(v)
	case int32:
		return float64(v)
	case int64:
		return float64(v)
	case float64:
		return v
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plain(e)
		}
		return out
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	var out any
	if json.Unmarshal(b, &out) != nil {
		return fmt.Sprint(v)
	}
	return out
}

func equal(a, b any) bool {
	sa, aSecret := a.(engine.Secret)
	sb, bSecret := b.(engine.Secret)
	if aSecret || bSecret {
		return aSecret && bSecret && sa.Equal(sb)
	}
	return cmp.Equal(a, b)
}

func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		if v == "" || strings.TrimSpace(v) != v && !strings.Contains(v, "\n") {
			return strconv.Quote(v)
		}
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case map[string]any:
		return "{}"
	case []any:
		return "[]"
	}
	return fmt.Sprint(v)
}

// quote shows a value so that its type shows.
func quote(v any) string {
	if text, ok := v.(string); ok {
		return strconv.Quote(text)
	}
	return show(v)
}

// byPath orders paths by their parts, numbers as numbers.
func byPath(a, b []string) int {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		x, errX := strconv.Atoi(a[i])
		y, errY := strconv.Atoi(b[i])
		if errX == nil && errY == nil && x != y {
			return ordered.Compare(x, y)
		}
		return strings.Compare(a[i], b[i])
	}
	return len(a) - len(b)
}
