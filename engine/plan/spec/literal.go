package spec

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/kubeyaml"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/syntax"
	"github.com/ztplan/ztplan/engine/sensitive"
)

// Literal returns n, which fills a value of type t, as plain data to be shown:
// secrets are of type [engine.Secret], and an output of a step is "(known after ID)".
// Values of inline YAML that have the name of a secret are secret, and so are arguments of
// such options and the data of objects that hold secrets: see [sensitive.Holds],
// [sensitive.Arguments] and [sensitive.HideObjects].
func (d *Decoder) Literal(n *yaml.Node, t reflect.Type) map[string]any {
	m, _ := d.literal(n, t, "").(map[string]any)
	sensitive.HideObjects(m, func(x any) any { return secretOf(x) })
	return m
}

// literal shows n, which fills a value of type t; t is nil below inline YAML, and
// path leads to n from there.
func (d *Decoder) literal(n *yaml.Node, t reflect.Type, path string) any {
	if t != nil {
		t = indirect(t)
	}
	if t == secretType && !source.IsNull(n) {
		x, after := d.literalTemplate(n)
		if after != "" {
			return after
		}
		return secretOf(x)
	}
	inline := t == nil || t.Kind() == reflect.Interface
	below := func(string) reflect.Type { return nil }
	if t != nil {
		switch t.Kind() {
		case reflect.Struct:
			st := d.Types.Of(t)
			below = func(key string) reflect.Type {
				if fi, ok := st.byName[key]; ok {
					return st.fields[fi].typ
				}
				return nil
			}
		case reflect.Map, reflect.Slice:
			below = func(string) reflect.Type { return t.Elem() }
		}
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if t == nil || t.Kind() != reflect.Struct {
				key = d.key(n, i, true)
			}
			if in := below(key); in == nil || in.Kind() == reflect.Interface {
				m[key] = d.literal(n.Content[i+1], in, path+"."+key)
			} else {
				m[key] = d.literal(n.Content[i+1], in, "")
			}
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = d.literal(item, below(""), path)
		}
		for _, i := range sensitive.Arguments(list) {
			if item := n.Content[i]; isTemplate(item) {
				if _, after := d.literalTemplate(item); after != "" {
					continue
				}
			}
			list[i] = secretOf(list[i])
		}
		return list
	}
	var x any
	after := ""
	switch {
	case isTemplate(n):
		x, after = d.literalTemplate(n)
	case !inline && t.Kind() != reflect.Bool && source.IsText(n):
		x = n.Value // a word such as no is text here
	default:
		x, _ = kubeyaml.Scalar(n)
	}
	if text, _ := x.(string); after == "" && sensitive.Holds(path, text) {
		return engine.NewSecret(text)
	}
	return x
}

func secretOf(x any) engine.Secret {
	if s, ok := x.(engine.Secret); ok {
		return s
	}
	return engine.NewSecret(fmt.Sprint(x))
}

// literalTemplate shows a text with references. One that holds a secret is secret
// as a whole. after is "(known after ID)" if a step has to run before the text is known.
func (d *Decoder) literalTemplate(n *yaml.Node) (x any, after string) {
	secret := false
	parts, bad := syntax.ParseTemplate(n.Value)
	if bad != nil {
		return n.Value, ""
	}
	var text strings.Builder
	for _, p := range parts {
		if p.Ref == nil {
			text.WriteString(p.Text)
			continue
		}
		r, ok := d.resolve(n, p.Ref)
		switch {
		case !ok:
			text.WriteString(p.Ref.Raw)
		case r.Node == nil:
			known := "(known after " + r.From + ")"
			after = cmp.Or(after, known)
			text.WriteString(known)
		case len(parts) == 1 && !r.Secret:
			x, _ := d.any(r.Node, true)
			return x, ""
		default:
			secret = secret || r.Secret
			text.WriteString(r.Node.Value)
		}
	}
	if secret {
		return engine.NewSecret(text.String()), after
	}
	return text.String(), after
}
