package values

import (
	"fmt"
	"slices"
	"strings"
	"text/template/parse"

	"helm.sh/helm/v3/pkg/chart"
)

// A usage holds the values that the templates of a chart read, as dotted paths.
// "*" stands for a key that is only known when the template runs.
type usage struct {
	paths map[string]bool
	// alone are the maps that are taken whole, by toYaml or range for instance:
	// whatever is in them counts. "" is all values.
	alone map[string]bool
}

// templateSet holds the parsed templates of a chart and its subcharts, which
// may call each other's.
type templateSet struct {
	trees  map[string]*parse.Tree
	of     map[*chart.Chart][]string // names, by the chart that defines them
	broken map[*chart.Chart]bool     // has one that cannot be parsed
}

func parseTemplates(root *chart.Chart) *templateSet {
	set := &templateSet{map[string]*parse.Tree{}, map[*chart.Chart][]string{}, map[*chart.Chart]bool{}}
	set.add(root)
	return set
}

func (s *templateSet) add(c *chart.Chart) {
	for _, t := range c.Templates {
		if strings.HasSuffix(t.Name, ".txt") {
			continue // notes for people have no effect
		}
		tree := parse.New(c.ChartFullPath() + "/" + t.Name)
		tree.Mode = parse.SkipFuncCheck
		own := map[string]*parse.Tree{}
		if _, err := tree.Parse(string(t.Data), "", "", own); err != nil {
			s.broken[c] = true
		}
		for name, tr := range own {
			s.trees[name] = tr
			s.of[c] = append(s.of[c], name)
		}
	}
	for _, dep := range c.Dependencies() {
		s.add(dep)
	}
}

// usageOf reads a chart's templates. It follows with, range, if, include and
// variables; where it cannot follow, it takes the map as used whole, so that
// it does not call a key unknown that might be read.
func usageOf(c *chart.Chart, set *templateSet) *usage {
	u := &usage{paths: map[string]bool{}, alone: map[string]bool{}}
	if set.broken[c] {
		u.alone[""] = true
	}
	done := map[string]bool{}
	for _, name := range set.of[c] {
		walk(u, set.trees, done, name, ref{kind: refRoot})
	}
	return u
}

// walk reads a template whose dot is given, once for each dot.
func walk(u *usage, trees map[string]*parse.Tree, done map[string]bool, name string, dot ref) {
	key := fmt.Sprint(name, "\x00", dot)
	if t := trees[name]; t != nil && t.Root != nil && !done[key] {
		done[key] = true
		r := &reader{usage: u, trees: trees, done: done, vars: map[string]ref{"$": dot}, dot: dot}
		r.node(t.Root)
	}
}

// names reports whether the templates read the path, or take a map whole that
// it is in.
func (u *usage) names(path string) bool {
	return matches(u.paths, path, false) || u.whole(path)
}

// whole reports whether the templates take the map at path whole, or one
// around it.
func (u *usage) whole(path string) bool {
	for p := path; ; {
		if matches(u.alone, p, false) {
			return true
		}
		if p == "" {
			return false
		}
		p = p[:max(strings.LastIndexByte(p, '.'), 0)]
	}
}

// below reports whether the templates read something inside the path.
func (u *usage) below(path string) bool { return matches(u.paths, path, true) }

// matches reports whether one of the paths is path, or is inside it.
func matches(paths map[string]bool, path string, inside bool) bool {
	if !inside && paths[path] {
		return true
	}
	want := strings.Split(path, ".")
	for p := range paths {
		if !inside && !strings.Contains(p, "*") {
			continue
		}
		have := strings.Split(p, ".")
		if inside && len(have) <= len(want) || !inside && len(have) != len(want) {
			continue
		}
		if slices.EqualFunc(have[:len(want)], want, func(h, w string) bool { return h == w || h == "*" }) {
			return true
		}
	}
	return false
}

// A ref is the meaning of an expression in a template, as far as it matters here.
type ref struct {
	kind refKind
	path string // of refValues: below .Values, "" for .Values itself
}

type refKind int

const (
	refOther  refKind = iota
	refRoot           // the root that Helm gives the template: .Values, .Release, …
	refValues         // a place in the values
)

func (r ref) field(names ...string) ref {
	for _, n := range names {
		switch {
		case r.kind != refValues && n == "Values": // also of the root in a dict or a list
			r = ref{kind: refValues}
		case r.kind == refValues && r.path == "":
			r.path = n
		case r.kind == refValues:
			r.path += "." + n
		default:
			r = ref{}
		}
	}
	return r
}

// reader walks one template.
type reader struct {
	usage *usage
	trees map[string]*parse.Tree // all templates of the chart, by name
	done  map[string]bool
	vars  map[string]ref
	dot   ref
}

func (r *reader) node(n parse.Node) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, e := range n.Nodes {
				r.node(e)
			}
		}
	case *parse.ActionNode:
		r.pipe(n.Pipe, false)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			r.pass(n.Name, r.pipe(n.Pipe, true))
		}
	case *parse.IfNode:
		r.pipe(n.Pipe, false)
		r.node(n.List)
		r.node(n.ElseList)
	case *parse.WithNode:
		r.inside(r.pipe(n.Pipe, true), n.List)
		r.node(n.ElseList)
	case *parse.RangeNode:
		over := r.pipe(n.Pipe, true)
		r.take(over)
		r.inside(ref{}, n.List)
		r.node(n.ElseList)
	}
}

// inside walks a block whose dot is something else.
func (r *reader) inside(dot ref, list *parse.ListNode) {
	outer := r.dot
	r.dot = dot
	r.node(list)
	r.dot = outer
}

// pipe evaluates a pipeline. kept means that its result becomes a dot, a
// variable or an argument, so that its content matters.
func (r *reader) pipe(p *parse.PipeNode, kept bool) ref {
	kept = kept || len(p.Decl) > 0
	var result ref
	if first := p.Cmds[0]; len(p.Cmds) == 1 && len(first.Args) == 1 {
		result = r.arg(first.Args[0])
	} else if id, ok := first.Args[0].(*parse.IdentifierNode); ok && id.Ident == "index" && len(first.Args) > 1 && len(p.Cmds) == 1 {
		result = r.index(first.Args[1:])
	} else {
		for i, c := range p.Cmds {
			r.command(c, kept, i < len(p.Cmds)-1 && wholesale(p.Cmds[i+1:]))
		}
	}
	for _, v := range p.Decl {
		if p.IsAssign { // perhaps not always: it may be either
			r.take(r.vars[v.Ident[0]])
			r.take(result)
		}
		r.vars[v.Ident[0]] = result
	}
	return result
}

// wholesale reports whether the commands use their input whole: unless
// the first only asks about it.
func wholesale(rest []*parse.CommandNode) bool {
	id, ok := rest[0].Args[0].(*parse.IdentifierNode)
	return !ok || !slices.Contains(asking, id.Ident)
}

// asking are functions that look at a value without handing it on. None takes
// a map for its content.
var asking = []string{
	"eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "empty", "hasKey", "kindIs", "kindOf", "typeIs", "typeOf",
	"quote", "squote", "toString", "int", "int64", "float64", "len", "contains", "has", "required", "fail", "printf", "trunc", "trimSuffix",
}

func (r *reader) command(c *parse.CommandNode, kept, flowsOn bool) {
	id, isFunc := c.Args[0].(*parse.IdentifierNode)
	if !isFunc {
		for _, a := range c.Args {
			if got := r.arg(a); kept || flowsOn {
				r.take(got)
			}
		}
		return
	}
	args := c.Args[1:]
	if id.Ident == "include" && len(args) == 2 {
		r.pass(literal(args[0]), r.arg(args[1]))
		return
	}
	if r.keys(id.Ident, args) {
		return
	}
	hands := kept || !slices.Contains(asking, id.Ident)
	for _, a := range args {
		if got := r.arg(a); hands {
			r.take(got)
		}
	}
}

// keys evaluates hasKey, get and dig, which name keys as text, and reports
// whether the function is one of them.
func (r *reader) keys(function string, args []parse.Node) bool {
	if len(args) < 2 {
		return false
	}
	from, names := args[0], args[1:]
	switch function {
	case "get", "hasKey":
	case "dig": // dig "a" "b" DEFAULT MAP
		from, names = args[len(args)-1], args[:len(args)-2]
	default:
		return false
	}
	at := r.arg(from)
	for _, n := range names {
		at = at.field(literal(n))
	}
	r.see(at)
	if function != "hasKey" {
		r.take(at) // its use is not followed
	}
	return true
}

// literal returns the text of a string, and "*" for anything else.
func literal(n parse.Node) string {
	if s, ok := n.(*parse.StringNode); ok {
		return s.Text
	}
	return "*"
}

// index evaluates "index MAP KEY…".
func (r *reader) index(args []parse.Node) ref {
	at := r.arg(args[0])
	for _, n := range args[1:] {
		r.arg(n)
		at = at.field(literal(n))
	}
	r.see(at)
	return at
}

// arg evaluates one operand and notes the values that it reads.
func (r *reader) arg(n parse.Node) ref {
	var got ref
	switch n := n.(type) {
	case *parse.DotNode:
		return r.dot
	case *parse.FieldNode:
		got = r.dot.field(n.Ident...)
	case *parse.VariableNode:
		got = r.vars[n.Ident[0]].field(n.Ident[1:]...)
	case *parse.ChainNode:
		got = r.arg(n.Node).field(n.Field...)
	case *parse.PipeNode:
		got = r.pipe(n, true)
	case *parse.IdentifierNode:
		return ref{}
	}
	r.see(got)
	return got
}

// see notes that a value is read.
func (r *reader) see(v ref) {
	if v.kind == refValues && v.path != "" {
		r.usage.paths[v.path] = true
	}
}

// take notes that a value is used with all that is in it.
func (r *reader) take(v ref) {
	if v.kind == refValues {
		r.usage.alone[v.path] = true
	}
}

// pass follows a value that is handed to another template as its dot.
func (r *reader) pass(name string, v ref) {
	if r.trees[name] == nil {
		r.take(v) // the template of another chart, or a name that is put together
		return
	}
	walk(r.usage, r.trees, r.done, name, v)
}
