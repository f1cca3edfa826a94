package plan

import (
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/merge"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// A connection is a key below connections that the plan has.
type connection struct {
	engine.Connection
	node  *yaml.Node
	value any // made by New; nil for a default of inputs
}

// readConnections reads connections. A default of inputs stays YAML: it becomes part
// of the inputs of every step that has an input of its name.
func (l *loader) readConnections(n *yaml.Node) {
	if source.IsNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		l.problem(n, "", "connections: want a mapping, have %s", source.Describe(n))
		return
	}
	l.plan.connected = make(map[*yaml.Node]bool)
	l.connect(n)
	for key, val := range source.Pairs(n) {
		at := slices.IndexFunc(l.in.Connections, func(c engine.Connection) bool { return c.Key == key.Value })
		if at < 0 {
			known := make([]string, len(l.in.Connections))
			for j, c := range l.in.Connections {
				known[j] = c.Key
			}
			l.problem(key, source.Suggestion(key.Value, known, "the connections are "), "connections: unknown key %q", key.Value)
			continue
		}
		if source.IsNull(val) {
			continue
		}
		c := &connection{Connection: l.in.Connections[at], node: val}
		if c.New == nil {
			if !l.checkDefault(c) {
				continue
			}
		} else {
			c.value = c.New()
			l.decoder(&scope{noSteps: c.NoOutputs}, "").Decode(val, []keypath.Elem{keypath.Key(c.Key)}, c.value)
		}
		l.plan.connections = append(l.plan.connections, c)
	}
}

// connect marks a node as part of the connections.
func (l *loader) connect(n *yaml.Node) {
	if l.plan.connected[n] {
		return
	}
	l.plan.connected[n] = true
	for _, c := range n.Content {
		l.connect(c)
	}
}

// checkDefault checks a default of inputs against every kind that has such an input:
// keys that no step of the plan uses must be right, too. It reports whether the
// default is a mapping.
func (l *loader) checkDefault(c *connection) bool {
	path := "connections." + c.Key
	if c.node.Kind != yaml.MappingNode {
		l.problem(c.node, "", "%s: want a mapping, have %s", path, source.Describe(c.node))
		return false
	}
	var types []*spec.Struct
	for _, k := range l.in.Kinds {
		if t := l.plan.types.Input(k.Spec, c.Key); t != nil && !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	merge.Unknown(l.plan.types, c.node, types, path, func(path string, key *yaml.Node, known []string) {
		l.problem(key, spec.UnknownKeyHint(key.Value, known, l.in.Refused), "%s: unknown key %q", path, key.Value)
	})
	for _, t := range types {
		if n := merge.Fill(l.plan.types, nil, c.node, t, l.connect); n != nil {
			d := l.decoder(&scope{}, "")
			d.Partial = true
			d.Decode(n, []keypath.Elem{keypath.Key(c.Key)}, reflect.New(t.Type).Interface())
		}
	}
	return true
}

// withConnections returns a step's inputs with the keys that they leave out and the
// connections have; with itself does not change.
func (l *loader) withConnections(step *Step, with *yaml.Node) *yaml.Node {
	for _, c := range l.plan.connections {
		if with != nil && with.Kind != yaml.MappingNode {
			break
		}
		if t := l.plan.types.Input(step.Kind.Spec, c.Key); t != nil && c.New == nil {
			with = l.withConnection(c, t, step, with)
		}
	}
	return with
}

func (l *loader) withConnection(c *connection, t *spec.Struct, step *Step, with *yaml.Node) *yaml.Node {
	key, own := source.Lookup(with, c.Key)
	if source.IsNull(own) {
		own = nil
	}
	filled := merge.Fill(l.plan.types, own, merge.Without(c.node, own, c.Exclusive, c.Deciding), t, l.connect)
	if filled == own {
		return with
	}
	if key == nil {
		key = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: c.Key, Line: c.node.Line, Column: c.node.Column}
	}
	return merge.Replace(with, key, filled, step.Position)
}

func (p *Plan) connection(key string) *connection {
	for _, c := range p.connections {
		if c.Key == key {
			return c
		}
	}
	return nil
}

// Connection returns the value of a connection that has one, as its New made it, and
// its position; nil if the plan does not have it.
func (p *Plan) Connection(key string) (value any, at source.Position) {
	if c := p.connection(key); c != nil {
		return c.value, p.src.Place(c.node)
	}
	return nil, source.Position{}
}

// Connects reports whether the plan gives a key of a connection.
func (p *Plan) Connects(connection, key string) bool {
	c := p.connection(connection)
	if c == nil {
		return false
	}
	_, n := source.Lookup(c.node, key)
	return !source.IsNull(n)
}

// Connect fills into, a pointer to a struct like the inputs of the connection's name,
// from the connection; outputs are as in [Step.Spec]. It is for parts of a
// run that are no steps. The error is permanent and holds [source.Problems].
func (p *Plan) Connect(connection string, into any, outputs func(id string) (any, bool)) error {
	c := p.connection(connection)
	if c == nil {
		return nil
	}
	problems := p.collector()
	p.decoder(&scope{outputs: outputs}, "", problems.Add).Decode(c.node, []keypath.Elem{keypath.Key(c.Key)}, into)
	return engine.Permanent(problems.Err())
}
