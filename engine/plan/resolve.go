package plan

import (
	"fmt"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// A resolved is what a reference stands for: exactly one of node, typ and val
// is set.
type resolved struct {
	node   *yaml.Node    // a value that is known: a variable, the plan's name
	typ    reflect.Type  // the type of an output that is not known yet
	val    reflect.Value // an output
	secret bool
}

// template fills v from a scalar that holds references.
func (d *decoder) template(n *yaml.Node, v reflect.Value) outcome {
	parts, bad := parseTemplate(n.Value)
	if bad != nil {
		return d.badTemplate(n, bad)
	}
	if len(parts) == 1 && parts[0].ref != nil {
		return d.whole(n, parts[0].ref, v)
	}
	t := indirect(v.Type())
	var text strings.Builder
	waiting, wrong := false, false
	for _, p := range parts {
		if p.ref == nil {
			text.WriteString(p.text)
			continue
		}
		r, ok := d.resolve(n, p.ref)
		switch {
		case !ok:
			wrong = true
		case r.secret && t != secretType:
			d.leak(n, p.ref)
			wrong = true
		case r.node != nil && (r.node.Kind != yaml.ScalarNode || source.IsNull(r.node)):
			d.refProblem(n, p.ref, "", "%s is %s: only text, numbers, true and false can be part of a text", p.ref.raw, kindOf(r.node))
			wrong = true
		case r.node != nil:
			if message, hint := ambiguity(r.node, p.ref.raw, r.secret); message != "" {
				d.refProblem(n, p.ref, hint, "%s", message)
				wrong = true
			}
			text.WriteString(r.node.Value)
		case r.typ != nil && !scalar(r.typ):
			d.refProblem(n, p.ref, "", "%s is %s: only text, numbers, true and false can be part of a text", p.ref.raw, typeName(r.typ))
			wrong = true
		case r.typ != nil:
			waiting = true
		default:
			text.WriteString(format(reflect.Indirect(r.val)))
		}
		if text.Len() > maxText {
			return d.problem(n, "", "the text is longer than %d bytes", maxText)
		}
	}
	switch {
	case wrong:
		d.bad = append(d.bad, pathString(d.path))
		return failed
	case waiting && !d.p.types.fits(stringType, t):
		return d.problem(n, "", "want %s, have text with references in it", typeName(t))
	case waiting:
		return d.wait(v)
	}
	lit := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text.String(), Line: n.Line, Column: n.Column}
	if d.at == nil {
		d.at = n
		defer func() { d.at = nil }()
	}
	return d.value(lit, v, true)
}

// whole fills v from a scalar that is one reference and nothing else.
func (d *decoder) whole(n *yaml.Node, ref *reference, v reflect.Value) outcome {
	r, ok := d.resolve(n, ref)
	t := v.Type()
	switch {
	case !ok:
		d.bad = append(d.bad, pathString(d.path))
		return failed
	case r.secret && indirect(t) != secretType:
		if r.node != nil || !d.p.types.fits(r.typeOf(), t) {
			return d.leak(n, ref)
		}
	}
	switch {
	case r.node != nil:
		if d.at == nil {
			d.at, d.via = n, ref.raw
			defer func() { d.at, d.via = nil, "" }()
		}
		return d.value(r.node, v, true)
	case !d.p.types.fits(r.typeOf(), t):
		want, have := typeName(t), typeName(r.typeOf())
		if want == have {
			have += " of other values"
		}
		return d.refProblem(n, ref, "", "want %s, and %s is %s", want, ref.raw, have)
	case r.typ != nil:
		return d.wait(v)
	}
	if err := d.p.types.convert(r.val, v, d.p.file); err != nil {
		return d.refProblem(n, ref, "", "%s: %v", ref.raw, err)
	}
	return set
}

func (r resolved) typeOf() reflect.Type {
	if r.typ != nil {
		return r.typ
	}
	return r.val.Type()
}

func (d *decoder) leak(n *yaml.Node, ref *reference) outcome {
	hint := ""
	if d.step != nil && d.step.Kind != nil {
		hint = fmt.Sprintf("ztplan explain %s shows which inputs take secrets", d.step.Kind.Name)
	}
	return d.refProblem(n, ref, hint,
		"%s is a secret, and this input is not: it would be shown", ref.raw)
}

func (d *decoder) badTemplate(n *yaml.Node, bad *templateError) outcome {
	line, column := d.places().Within(n, bad.offset, bad.text)
	d.problemAt(n, line, column, bad.hint, "%s", bad.message)
	return failed
}

// refProblem reports a problem at the place of a reference.
func (d *decoder) refProblem(n *yaml.Node, ref *reference, hint, format string, args ...any) outcome {
	line, column := d.places().Within(n, ref.offset, ref.raw)
	d.problemAt(n, line, column, hint, format, args...)
	return failed
}

// resolve finds what a reference stands for; if there is no such thing, it
// reports why, unless what it refers to has been reported itself.
func (d *decoder) resolve(n *yaml.Node, ref *reference) (resolved, bool) {
	switch ref.root {
	case "plan":
		return resolved{node: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: d.p.Name}}, true
	case "vars":
		return d.resolveVar(n, ref)
	}
	if d.noSteps != "" {
		d.refProblem(n, ref, "use a variable: ${vars.NAME}", "%s: no output can be used here: %s", ref.raw, d.noSteps)
		return resolved{}, false
	}
	id := ref.path[0].name
	to := d.p.byID[id]
	switch {
	case to == nil:
		d.refProblem(n, ref, d.p.suggestStep(id), "%s: there is no step %q", ref.raw, id)
		return resolved{}, false
	case to == d.step:
		hint := ""
		if d.p.connected[n] {
			hint = "give this step its own value: what it says itself comes before connections"
		}
		d.refProblem(n, ref, hint, "%s: step %s cannot use its own output", ref.raw, id)
		return resolved{}, false
	case to.Kind == nil:
		if d.refer != nil {
			d.refer(n, ref, to, nil)
		}
		return resolved{}, false // its unknown kind has been reported
	case len(ref.path) == 1:
		d.refProblem(n, ref, "its outputs are "+source.Listed(d.p.types.of(to.Kind.Outputs).names), "%s names a step and no output", ref.raw)
		return resolved{}, false
	}
	t, ok := d.outputType(n, ref, to)
	if !ok {
		return resolved{}, false
	}
	r := resolved{typ: t, secret: d.p.types.hasSecret(t)}
	if d.refer != nil {
		d.refer(n, ref, to, t)
	}
	if d.outputs == nil {
		return r, true
	}
	out, ok := d.outputs(id)
	if !ok || out == nil {
		d.refProblem(n, ref, "", "%s: step %s has no outputs: it did not run", ref.raw, id)
		return resolved{}, false
	}
	v, err := d.p.types.walk(reflect.ValueOf(out), ref.path[1:])
	if err != nil {
		d.refProblem(n, ref, "", "%s: %v", ref.raw, err)
		return resolved{}, false
	}
	return resolved{val: v, secret: r.secret}, true
}

// outputType returns the type of the output that a reference names.
func (d *decoder) outputType(n *yaml.Node, ref *reference, to *Step) (reflect.Type, bool) {
	t := to.Kind.Outputs
	for i, e := range ref.path[1:] {
		t = indirect(t)
		so := pathString(ref.path[1 : i+1])
		switch {
		case t.Kind() == reflect.Struct && !scalar(t):
			st := d.p.types.of(t)
			fi, ok := st.byName[e.name]
			if !ok || e.index >= 0 {
				what := fmt.Sprintf("step %s (%s) has no output %q", to.ID, to.Kind.Name, pathString(ref.path[1:i+2]))
				d.refProblem(n, ref, source.Suggestion(e.name, st.names, "there is "), "%s: %s", ref.raw, what)
				return nil, false
			}
			t = st.fields[fi].typ
		case t.Kind() == reflect.Map && e.index < 0, t.Kind() == reflect.Slice && e.index >= 0:
			t = t.Elem()
		case t.Kind() == reflect.Slice:
			d.refProblem(n, ref, fmt.Sprintf("write ${steps.%s.%s[0]} for its first item", to.ID, so),
				"%s: output %s is a list and has no %q", ref.raw, so, e.name)
			return nil, false
		default:
			d.refProblem(n, ref, "", "%s: output %s is %s and has no parts", ref.raw, so, typeName(t))
			return nil, false
		}
	}
	return t, true
}

// walk follows a path, whose type has been checked, into outputs.
func (c *typeCache) walk(v reflect.Value, path []elem) (reflect.Value, error) {
	for i, e := range path {
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, fmt.Errorf("%s is not set", pathString(path[:i]))
			}
			v = v.Elem()
		}
		switch v.Kind() {
		case reflect.Struct:
			fi, ok := c.of(v.Type()).byName[e.name]
			if !ok {
				return v, fmt.Errorf("the outputs are of another type than the kind says: %v", v.Type())
			}
			v = v.FieldByIndex(c.of(v.Type()).fields[fi].index)
		case reflect.Map:
			m := v.MapIndex(reflect.ValueOf(e.name).Convert(v.Type().Key()))
			if !m.IsValid() {
				var keys []string
				for _, k := range v.MapKeys() {
					keys = append(keys, k.String())
				}
				return v, engine.WithHint(fmt.Errorf("output %s has no key %q; it has %s", pathString(path[:i]), e.name, source.Listed(keys)), source.DidYouMean(e.name, keys))
			}
			v = m
		case reflect.Slice:
			if e.index >= v.Len() {
				return v, fmt.Errorf("output %s has %d items, so no [%d]", pathString(path[:i]), v.Len(), e.index)
			}
			v = v.Index(e.index)
		default:
			return v, fmt.Errorf("the outputs are of another type than the kind says: %v", v.Type())
		}
	}
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return v, fmt.Errorf("%s is not set", pathString(path))
		}
		v = v.Elem()
	}
	return v, nil
}
