package plan

import (
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// Connections say what a plan is about.
type Connections struct {
	// Kubernetes is the cluster; its zero value means the user's current one.
	// Kubeconfig is absolute. What the command line says comes before it.
	Kubernetes Kubernetes
}

// Kubernetes says which cluster a plan is about, in kubectl's terms.
type Kubernetes struct {
	Kubeconfig string // absolute path; "" is the user's
	Context    string // "" is the current one
	Position   string // where the plan says so
}

// readConnections reads connections. What it says about Vault stays YAML: it
// becomes part of the inputs of every step that has an input called vault.
func (l *loader) readConnections(n *yaml.Node) {
	if source.IsNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		l.problem(n, "", "connections: want a mapping, have %s", spec.Describe(n))
		return
	}
	l.plan.connected = make(map[*yaml.Node]bool)
	l.connect(n)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		switch key.Value {
		case "kubernetes":
			l.kubernetes(val)
		case "vault":
			if !source.IsNull(val) {
				l.vault = val
			}
		default:
			known := []string{"kubernetes", "vault"}
			l.problem(key, source.Suggestion(key.Value, known, "the connections are "), "connections: unknown key %q", key.Value)
		}
	}
}

// connect notes that a node belongs to the connections.
func (l *loader) connect(n *yaml.Node) {
	if l.plan.connected[n] {
		return
	}
	l.plan.connected[n] = true
	for _, c := range n.Content {
		l.connect(c)
	}
}

func (l *loader) kubernetes(n *yaml.Node) {
	if source.IsNull(n) {
		return
	}
	var in struct {
		Kubeconfig string `yaml:"kubeconfig"`
		Context    string `yaml:"context"`
	}
	d := l.decoder(&scope{noSteps: "the cluster is known before any step runs"}, "")
	d.Decode(n, []spec.Elem{spec.Key("kubernetes")}, &in)
	if in.Kubeconfig != "" {
		in.Kubeconfig = l.userPath(in.Kubeconfig)
	}
	l.plan.Connections.Kubernetes = Kubernetes{
		Kubeconfig: in.Kubeconfig,
		Context:    in.Context,
		Position:   l.plan.position(n).String(),
	}
}

// userPath resolves a path outside the plan's directory: ~ is the home.
func (l *loader) userPath(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && l.in.Env != nil {
		if home, ok := l.in.Env("HOME"); ok && home != "" {
			return filepath.Join(home, rest)
		}
	}
	return l.plan.file(path).Path
}

// checkVault checks connections.vault against every kind that has an input
// called vault: what no step of the plan uses must be right, too.
func (l *loader) checkVault() {
	if l.vault == nil {
		return
	}
	var types []*spec.Struct
	for _, k := range l.in.Kinds {
		if t := l.plan.vaultInput(k); t != nil && !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	if l.vault.Kind != yaml.MappingNode {
		l.problem(l.vault, "", "connections.vault: want a mapping, have %s", spec.Describe(l.vault))
		l.vault = nil
		return
	}
	l.checkVaultKeys(l.vault, types, "connections.vault")
	for _, t := range types {
		if n := l.merge(nil, l.vault, t); n != nil {
			d := l.decoder(&scope{}, "")
			d.Partial = true
			d.Decode(n, []spec.Elem{spec.Key("vault")}, reflect.New(t.Type).Interface())
		}
	}
}

// vaultInput returns the struct type of a kind's input vault, or nil.
func (p *Plan) vaultInput(k *engine.Kind) *spec.Struct {
	t, ok := p.types.Of(k.Spec).Field("vault")
	if !ok {
		return nil
	}
	return p.types.Fields(t)
}

// checkVaultKeys reports keys that none of the types knows.
func (l *loader) checkVaultKeys(n *yaml.Node, types []*spec.Struct, path string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		var below []*spec.Struct
		known := make(map[string]bool)
		found := false
		for _, t := range types {
			for _, name := range t.Names() {
				known[name] = true
			}
			if ft, ok := t.Field(key.Value); ok {
				found = true
				if fields := l.plan.types.Fields(ft); fields != nil && !slices.Contains(below, fields) {
					below = append(below, fields)
				}
			}
		}
		if !found {
			hint := source.Suggestion(key.Value, slices.Sorted(maps.Keys(known)), "the keys here are ")
			l.problem(key, hint, "%s: unknown key %q", path, key.Value)
			continue
		}
		if len(below) > 0 && val.Kind == yaml.MappingNode {
			l.checkVaultKeys(val, below, path+"."+key.Value)
		}
	}
}

// withConnections returns a step's inputs with what they leave out of the
// connections; with itself does not change.
func (l *loader) withConnections(step *Step, with *yaml.Node) *yaml.Node {
	if l.vault == nil || with != nil && with.Kind != yaml.MappingNode {
		return with
	}
	t := l.plan.vaultInput(step.Kind)
	if t == nil {
		return with
	}
	key, own := source.Lookup(with, "vault")
	if source.IsNull(own) {
		own = nil
	}
	merged := l.merge(own, l.elsewhere(own), t)
	if merged == nil || merged == own {
		return with
	}
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: step.Position.Line, Column: step.Position.Column}
	if with != nil {
		*out = *with
		out.Content = make([]*yaml.Node, 0, len(with.Content)+2)
		for i := 0; i+1 < len(with.Content); i += 2 {
			if with.Content[i] != key {
				out.Content = append(out.Content, with.Content[i], with.Content[i+1])
			}
		}
	}
	if key == nil {
		key = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "vault", Line: l.vault.Line, Column: l.vault.Column}
	}
	out.Content = append(out.Content, key, merged)
	return out
}

// elsewhere returns what a step with these inputs takes from the connections.
// An address and a service are two ways to say where Vault is: a step that says
// it one way does not get the other.
func (l *loader) elsewhere(own *yaml.Node) *yaml.Node {
	without := ""
	if _, n := source.Lookup(own, "service"); !source.IsNull(n) {
		without = "address"
	}
	if _, n := source.Lookup(own, "address"); !source.IsNull(n) {
		without = "service"
	}
	key, _ := source.Lookup(l.vault, without)
	if key == nil {
		return l.vault
	}
	out := *l.vault
	at := slices.Index(out.Content, key)
	out.Content = slices.Delete(slices.Clone(out.Content), at, at+2)
	return &out
}

// merge returns own with the keys that it leaves out and type t knows, taken
// from the connections; own itself if there are none. Keys of a struct inside
// are merged one by one, too.
func (l *loader) merge(own, from *yaml.Node, t *spec.Struct) *yaml.Node {
	if own != nil && (own.Kind != yaml.MappingNode || from.Kind != yaml.MappingNode) {
		return own
	}
	if from.Kind != yaml.MappingNode {
		return from
	}
	var content []*yaml.Node
	if own != nil {
		content = own.Content
	}
	changed := false
	for i := 0; i+1 < len(from.Content); i += 2 {
		key, val := from.Content[i], from.Content[i+1]
		ft, ok := t.Field(key.Value)
		if !ok || source.IsNull(val) {
			continue
		}
		at := -1
		for j := 0; own != nil && j+1 < len(own.Content); j += 2 {
			if own.Content[j].Value == key.Value {
				at = j + 1
			}
		}
		fields := l.plan.types.Fields(ft)
		inside := fields != nil && val.Kind == yaml.MappingNode
		switch {
		case at < 0 && inside:
			if val = l.merge(nil, val, fields); val == nil {
				continue
			}
			fallthrough
		case at < 0:
			content = append(slices.Clip(content), key, val)
			changed = true
		case inside:
			if merged := l.merge(own.Content[at], val, fields); merged != own.Content[at] {
				content = slices.Clone(content)
				content[at] = merged
				changed = true
			}
		}
	}
	if !changed {
		return own
	}
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: from.Line, Column: from.Column, Content: content}
	if own != nil {
		out.Line, out.Column = own.Line, own.Column
	} else {
		l.plan.connected[out] = true
	}
	return out
}
