package helmkit

import (
	"slices"
	"strings"
	"text/template/parse"

	"helm.sh/helm/v3/pkg/chart"
)

// A usage holds the values that the templates of a chart read, as dotted paths.
type usage struct {
	paths map[string]bool
	// alone are the maps that are taken whole, by toYaml or range for instance:
	// whatever is in them counts. "" is all values.
	alone map[string]bool
}

// usageOf reads the templates. It follows with, range, if and variables; where
// it cannot follow, it takes the map as used whole, so that it never calls a
// key unknown that might be read.
func usageOf(c *chart.Chart) *usage {
	u := &usage{paths: map[string]bool{}, alone: map[string]bool{}}
	for _, t := range c.Templates {
		if strings.HasSuffix(t.Name, ".txt") {
			continue // notes for people have no effect
		}
		tree := parse.New(t.Name)
		tree.Mode = parse.SkipFuncCheck
		trees := map[string]*parse.Tree{}
		if _, err := tree.Parse(string(t.Data), "", "", trees); err != nil {
			u.alone[""] = true
			continue
		}
		for _, tr := range trees {
			if tr.Root != nil {
				r := &reader{usage: u, vars: map[string]ref{"$": {kind: refRoot}}, dot: ref{kind: refRoot}}
				r.node(tr.Root)
			}
		}
	}
	return u
}

// names reports whether the templates read the path, or take a map whole that
// it is in.
func (u *usage) names(path string) bool { return u.paths[path] || u.whole(path) }

// whole reports whether the templates take the map at path whole, or one
// around it.
func (u *usage) whole(path string) bool {
	for p := path; ; {
		if u.alone[p] {
			return true
		}
		if p == "" {
			return false
		}
		p = p[:max(strings.LastIndexByte(p, '.'), 0)]
	}
}

// below reports whether the templates read something inside the path.
func (u *usage) below(path string) bool {
	for p := range u.paths {
		if strings.HasPrefix(p, path+".") {
			return true
		}
	}
	return false
}

// A ref is what an expression in a template means, as far as it matters here.
type ref struct {
	kind refKind
	path string // of refValues: below .Values, "" for .Values itself
}

type refKind int

const (
	refOther  refKind = iota
	refRoot           // what Helm gives the template: .Values, .Release, …
	refValues         // a place in the values
)

func (r ref) field(names ...string) ref {
	for _, n := range names {
		switch {
		case r.kind == refRoot && n == "Values":
			r = ref{kind: refValues}
		case r.kind == refValues && r.path == "":
			r.path = n
		case r.kind == refValues:
			r.path += "." + n
		default:
			return ref{}
		}
	}
	return r
}

// reader walks one template.
type reader struct {
	usage *usage
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
			r.pass(r.pipe(n.Pipe, true))
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

// pipe evaluates a pipeline. kept says that its result becomes a dot, a
// variable or an argument, so that what it may hold matters.
func (r *reader) pipe(p *parse.PipeNode, kept bool) ref {
	kept = kept || len(p.Decl) > 0
	var result ref
	if len(p.Cmds) == 1 && len(p.Cmds[0].Args) == 1 {
		result = r.arg(p.Cmds[0].Args[0])
	} else {
		for i, c := range p.Cmds {
			r.command(c, kept, i < len(p.Cmds)-1 && wholesale(p.Cmds[i+1:]))
		}
	}
	for _, v := range p.Decl {
		r.vars[v.Ident[0]] = result
	}
	return result
}

// wholesale reports whether what flows into the commands is used whole: unless
// the first only asks about it.
func wholesale(rest []*parse.CommandNode) bool {
	id, ok := rest[0].Args[0].(*parse.IdentifierNode)
	return !ok || !slices.Contains(asking, id.Ident)
}

// asking are functions that look at a value without handing it on. None takes
// a map for what is in it.
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
	r.keys(id.Ident, args)
	if id.Ident == "index" && literal(args[min(1, len(args)):]) {
		return
	}
	hands := kept || !slices.Contains(asking, id.Ident)
	for _, a := range args {
		got := r.arg(a)
		switch {
		case id.Ident == "include" || id.Ident == "tpl":
			r.pass(got)
		case hands:
			r.take(got)
		}
	}
}

// keys notes the keys that index, get, hasKey and dig name as text.
func (r *reader) keys(function string, args []parse.Node) {
	if len(args) < 2 {
		return
	}
	from, names := args[0], args[1:]
	switch function {
	case "index", "get", "hasKey":
	case "dig": // dig "a" "b" DEFAULT MAP
		from, names = args[len(args)-1], args[:max(len(args)-2, 0)]
	default:
		return
	}
	at := r.arg(from)
	for _, n := range names {
		s, ok := n.(*parse.StringNode)
		if !ok {
			return
		}
		at = at.field(s.Text)
	}
	r.see(at)
}

func literal(args []parse.Node) bool {
	return len(args) > 0 && !slices.ContainsFunc(args, func(n parse.Node) bool { return n.Type() != parse.NodeString })
}

// arg evaluates one operand and notes what it reads.
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

// pass notes that a value is handed to another template as its dot. The root
// is what templates expect; anything else cannot be followed there.
func (r *reader) pass(v ref) { r.take(v) }
