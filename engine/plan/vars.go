package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// A variable is one entry of vars.
type variable struct {
	name    string
	key     *yaml.Node // where it is declared
	typ     string     // string, number, bool, list, map; "" for any
	def     *yaml.Node // default as written, or nil
	secret  bool
	fromEnv string // environment variable that may hold the value
	given   *yaml.Node
	givenBy string // "--var", "$NAME" or the name of a variable file
	loose   bool   // given by a document in which all values may be text
	state   varState
	value   *yaml.Node // without references
	size    int        // nodes in value
	tainted bool       // secret, or made from a secret
	used    bool       // something refers to it
}

type varState int

const (
	varUntouched varState = iota
	varResolving
	varResolved
	varFailed
)

// readVars reads the declarations below vars.
func (l *loader) readVars(n *yaml.Node) {
	if source.IsNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		l.problem(n, "write vars: {name: value}", "vars: want a mapping, have %s", spec.Describe(n))
		return
	}
	for key, val := range source.Pairs(n) {
		v := &variable{name: key.Value, key: key}
		if !keypath.IsName(key.Value) {
			l.problem(key, "use letters, digits, _ and -, beginning with a letter", "vars: %q is not a name for a variable", key.Value)
			continue
		}
		l.plan.vars[v.name] = v
		l.varNames = append(l.varNames, v.name)
		if isDeclaration(val) {
			l.declaration(v, val)
		} else if !source.IsNull(val) {
			v.def = val
		}
	}
}

func isDeclaration(n *yaml.Node) bool {
	return n.Kind == yaml.MappingNode &&
		slices.ContainsFunc(source.Keys(n), func(key string) bool { return slices.Contains(declarationKeys, key) })
}

func (l *loader) declaration(v *variable, n *yaml.Node) {
	required, before := false, l.Len()
	for key, val := range source.Pairs(n) {
		subject := "vars." + v.name + "." + key.Value
		switch key.Value {
		case "default":
			if !source.IsNull(val) {
				v.def = val
			}
		case "description":
			l.text(val, subject)
		case "secret":
			v.secret = l.truth(val, subject)
		case "required":
			required = l.truth(val, subject)
		case "env":
			v.fromEnv = l.text(val, subject)
		case "type":
			if v.typ = l.text(val, subject); v.typ != "" && !slices.Contains(varTypes, v.typ) {
				l.problem(val, source.DidYouMean(v.typ, varTypes), "%s: %q is not one of %s", subject, v.typ, strings.Join(varTypes, ", "))
				v.typ = ""
			}
		default:
			hint := source.DidYouMean(key.Value, declarationKeys)
			if hint == "" {
				hint = "a mapping with any of " + source.Listed(declarationKeys) + " declares a variable; write a value that is such a mapping below default"
			}
			l.problem(key, hint, "vars.%s: unknown key %q", v.name, key.Value)
		}
	}
	if required && v.def != nil {
		l.problem(v.key, "keep one of the two", "vars.%s: is required and has a default", v.name)
	}
	if l.Len() > before {
		v.state = varFailed // other problems with it may follow from that
	}
	if v.secret && v.def != nil && v.def.Kind == yaml.ScalarNode {
		l.KeepSecret(v.def.Value)
	}
}

// giveVars sets the values from the environment, variable files and flags; later ones
// replace earlier ones.
func (l *loader) giveVars(in Input) {
	for _, n := range l.varNames {
		v := l.plan.vars[n]
		if v.fromEnv == "" || in.Env == nil {
			continue
		}
		if text, ok := in.Env(v.fromEnv); ok {
			v.given, v.givenBy = textNode(text), "$"+v.fromEnv
		}
	}
	for _, file := range in.VarFiles {
		l.varFile(file)
	}
	if in.Values.File != nil {
		l.documentValues(in.Values)
	}
	for _, n := range slices.Sorted(maps.Keys(in.Vars)) {
		v := l.plan.vars[n]
		if v == nil {
			l.Add(&source.Problem{Summary: fmt.Sprintf("--var %s: the plan has no such variable", n),
				Hint: source.Suggestion(n, l.varNames, "its variables are ")})
			continue
		}
		if v.secret {
			l.KeepSecret(in.Vars[n])
			l.Add(&source.Problem{Summary: fmt.Sprintf("--var %s: a secret on the command line is there for every process to see", n),
				Hint: fmt.Sprintf("put it into a file that only you can read, and give that: --var-file %s.yaml", n)})
			v.state = varFailed
			continue
		}
		v.given, v.givenBy = textNode(in.Vars[n]), "--var"
	}
}

func textNode(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

// varFile reads one file of variables: a YAML or JSON mapping of values, which
// are taken as they are. One that gives a secret must be open to its owner only.
func (l *loader) varFile(name string) {
	data, err := l.in.Inputs.ReadGiven(name)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		l.Add(&source.Problem{Summary: fmt.Sprintf("--var-file %s: %v", name, err)})
		return
	}
	src := source.NewFile(filepath.Clean(name), data)
	root := source.Parse(src, "a file of variables", l.Add)
	exposed := false
	l.values(Values{File: src, Node: root}, func(v *variable, key *yaml.Node) (problem, hint string) {
		if exposed {
			return "", ""
		}
		if err := l.in.Inputs.Exposed(name); err != nil {
			exposed = true
			return fmt.Sprintf("variable %q is a secret, and %v", v.name, err), engine.HintOf(err)
		}
		return "", ""
	})
}

// values takes the variables that a document gives. secret is called for one that is
// a secret and returns why it may not be there, or "".
func (l *loader) values(given Values, secret func(v *variable, key *yaml.Node) (problem, hint string)) {
	src, root := given.File, given.Node
	l.AddFile(src)
	if source.IsNull(root) {
		return
	}
	problem := func(n *yaml.Node, hint, format string, args ...any) {
		l.Add(&source.Problem{Position: src.Place(n), Summary: fmt.Sprintf(format, args...), Hint: hint})
	}
	if root.Kind != yaml.MappingNode {
		problem(root, "write one variable a line: name: value", "want a mapping of variables, have %s", spec.KindOf(root))
		return
	}
	for key, val := range source.Pairs(root) {
		v := l.plan.vars[key.Value]
		if v == nil {
			problem(key, source.Suggestion(key.Value, l.varNames, "its variables are "), "the plan has no variable %q", key.Value)
			continue
		}
		if source.IsNull(val) {
			continue // as if it had not been written
		}
		if v.secret && val.Kind == yaml.ScalarNode {
			l.KeepSecret(val.Value)
		}
		if v.secret {
			if summary, hint := secret(v, key); summary != "" {
				problem(key, hint, "%s", summary)
			}
		}
		v.given, v.givenBy = val, src.Name
	}
}

// documentValues takes the variables that another document gives.
func (l *loader) documentValues(given Values) {
	for _, v := range l.plan.vars {
		v.loose = true
	}
	l.values(given, func(v *variable, _ *yaml.Node) (problem, hint string) {
		return fmt.Sprintf("variable %q is a secret, and %s is not kept as one", v.name, given.File.Name),
			"let the plan read it where it runs, or leave it to a login of connections"
	})
}

// resolveVars gives every variable its value.
func (l *loader) resolveVars() {
	for _, n := range l.varNames {
		l.resolveVar(l.plan.vars[n])
	}
	l.plan.Vars = make(map[string]any, len(l.varNames))
	for _, n := range l.varNames {
		v := l.plan.vars[n]
		if v.state != varResolved {
			continue
		}
		if v.tainted {
			var text string
			if v.value.Kind == yaml.ScalarNode {
				text = v.value.Value
				l.KeepSecret(text)
			}
			l.plan.Vars[n] = engine.NewSecret(text)
			continue
		}
		l.plan.Vars[n] = l.plan.decoder(&scope{}, "", silent).Plain(v.value)
	}
}

func (l *loader) resolveVar(v *variable) {
	switch v.state {
	case varResolved, varFailed:
		return
	case varResolving:
		return // the reference that closes the circle reports it
	}
	v.state = varResolving
	l.resolving = append(l.resolving, v.name)
	v.value, v.state = l.evaluate(v)
	l.resolving = l.resolving[:len(l.resolving)-1]
}

func (l *loader) evaluate(v *variable) (*yaml.Node, varState) {
	v.tainted = v.secret
	typ := v.typ
	if v.def != nil {
		d := l.plan.decoder(&scope{noSteps: "variables have their values before any step runs"}, "vars."+v.name, l.Add)
		value, secret, ok := d.Substitute(v.def)
		if !ok {
			return nil, varFailed
		}
		if v.size = d.Size(); v.size > spec.MaxNodes {
			l.problem(v.def, "", "vars.%s: has more than %d values", v.name, spec.MaxNodes)
			return nil, varFailed
		}
		value = spec.AsType(value, typ)
		if typ != "" && spec.TypeOf(value) != typ {
			l.problem(v.def, "", "vars.%s: want %s, as its type says, and the default is %s", v.name, spec.TypeWord(typ), spec.KindOf(value))
			return nil, varFailed
		}
		if typ == "" {
			typ = spec.TypeOf(value)
		}
		if v.given == nil {
			v.tainted = v.tainted || secret
			return value, varResolved
		}
	}
	if v.given == nil {
		hint := fmt.Sprintf("give it with --var %s=…, or in a file with --var-file", v.name)
		switch {
		case v.secret && v.fromEnv != "":
			hint = fmt.Sprintf("set %s, or put it into a file that only you can read and give that with --var-file", v.fromEnv)
		case v.secret:
			hint = "put it into a file that only you can read, and give that with --var-file"
		case v.fromEnv != "":
			hint = fmt.Sprintf("give it with --var %s=…, in a file with --var-file, or set %s", v.name, v.fromEnv)
		}
		l.problem(v.key, hint, "variable %q has no value", v.name)
		return nil, varFailed
	}
	value := v.given
	if v.givenBy == "--var" || strings.HasPrefix(v.givenBy, "$") || v.loose && v.given.Tag == "!!str" {
		value = readAs(v.given.Value, typ)
	}
	value = spec.AsType(value, v.typ)
	if typ != "" && spec.TypeOf(value) != typ {
		have := spec.Describe(v.given)
		if v.secret {
			have = spec.KindOf(v.given)
		}
		p := &source.Problem{Summary: fmt.Sprintf("variable %q: want %s, have %s", v.name, spec.TypeWord(typ), have)}
		switch {
		case v.given.Line > 0:
			p.Position = source.Position{File: v.givenBy, Line: v.given.Line, Column: v.given.Column}
			if typ == "string" && v.given.Kind == yaml.ScalarNode {
				p.Hint = "write it in quotes"
			}
		case v.givenBy == "--var":
			p.Summary = "--var " + v.name + ": " + strings.TrimPrefix(p.Summary, fmt.Sprintf("variable %q: ", v.name))
		default:
			p.Summary += ", from " + v.givenBy
		}
		l.Add(p)
		return nil, varFailed
	}
	return value, varResolved
}

// readAs reads text from outside the plan as a value of the given type. Text
// that is none stays text.
func readAs(text, typ string) *yaml.Node {
	if typ == "" || typ == "string" {
		return textNode(text)
	}
	src := source.NewFile("", []byte(text))
	if n := source.Parse(src, "a value", func(*source.Problem) {}); n != nil && spec.TypeOf(n) == typ {
		return n
	}
	return textNode(text)
}

// Unused returns the variables that nothing in the plan refers to, by name, and the
// places of their declarations.
func (p *Plan) Unused() map[string]source.Position {
	unused := make(map[string]source.Position)
	for name, v := range p.vars {
		if !v.used {
			unused[name] = p.position(v.key)
		}
	}
	return unused
}
