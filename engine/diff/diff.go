// Package diff shows what differs between what is there and what a plan wants.
//
// Both sides are flattened to leaf paths first and the flat maps are compared.
// Comparing trees as they are is not stable: go-cmp's slice differ starts from
// a random end, so the same two lists can be reported differently from run to
// run. Lines come out in one order, and equal inputs give equal bytes.
package diff

import (
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

// Leaves returns what differs between have and want, by path. A side that is
// nil has no leaves. Two secrets that differ show as "(secret)" and
// "(secret, changed)".
func Leaves(have, want any) []Leaf {
	h, w := flatten(have), flatten(want)
	paths := slices.Collect(maps.Keys(h))
	for p := range w {
		if _, ok := h[p]; !ok {
			paths = append(paths, p)
		}
	}
	slices.SortFunc(paths, byPath)
	var out []Leaf
	for _, p := range paths {
		a, inHave := h[p]
		b, inWant := w[p]
		if inHave && inWant && equal(a, b) {
			continue
		}
		l := Leaf{Path: p, HasHave: inHave, HasWant: inWant}
		if inHave {
			l.Have = show(a)
		}
		if inWant {
			l.Want = show(b)
			if _, secret := b.(engine.Secret); secret && inHave {
				l.Want = "(secret, changed)"
			}
		}
		out = append(out, l)
	}
	return out
}

// Equal reports whether have and want have the same leaves.
func Equal(have, want any) bool { return len(Leaves(have, want)) == 0 }

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

// flatten maps the leaf paths of a tree to their values. Empty maps and lists
// are leaves.
func flatten(v any) map[string]any {
	out := make(map[string]any)
	if v != nil {
		walk("", plain(v), out)
	}
	return out
}

func walk(path string, v any, out map[string]any) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			out[path] = v
		}
		for k, e := range v {
			walk(under(path, k), e, out)
		}
	case []any:
		if len(v) == 0 {
			out[path] = v
		}
		for i, e := range v {
			walk(under(path, strconv.Itoa(i)), e, out)
		}
	default:
		out[path] = v
	}
}

func under(path, key string) string {
	if path == "" {
		return key
	}
	return path + "/" + key
}

// plain turns what is not already plain data into it, keeping secrets.
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

// byPath orders paths by their parts, numbers as numbers.
func byPath(a, b string) int {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	for i := range min(len(as), len(bs)) {
		if as[i] == bs[i] {
			continue
		}
		x, errX := strconv.Atoi(as[i])
		y, errY := strconv.Atoi(bs[i])
		if errX == nil && errY == nil {
			return x - y
		}
		return strings.Compare(as[i], bs[i])
	}
	return len(as) - len(bs)
}
