package run

import (
	"slices"
	"sync"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/dag"
)

// makers know which steps may still make something: see [engine.Env.MayCome]. They are
// safe for concurrent use.
type makers struct {
	nodes []Node
	graph *dag.Graph
	env   engine.Env // of the run

	mu   sync.Mutex
	over []State // of the steps that are, "" for others
}

func newMakers(nodes []Node, graph *dag.Graph, env engine.Env) *makers {
	return &makers{nodes: nodes, graph: graph, env: env, over: make([]State, len(nodes))}
}

// finish notes the state in which a step is over.
func (m *makers) finish(i int, state State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over[i] = state
}

// mayCome reports whether a step other than i may make a thing before i is done: one
// that is not done and does not wait for i, or a done one whose things make more.
func (m *makers) mayCome(i int, thing string) bool {
	m.mu.Lock()
	over := slices.Clone(m.over)
	m.mu.Unlock()
	for j, n := range m.nodes {
		if j == i || n.MayMake == nil || over[j] == Failed || over[j] == Skipped || over[j] == Awaiting || slices.Contains(m.graph.Ancestors(j), i) {
			continue
		}
		env := m.env
		env.Step = n.ID
		if n.MayMake(&env, thing, over[j] == Unchanged || over[j] == Changed) {
			return true
		}
	}
	return false
}
