package fleet

import (
	"cmp"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// noReferences is the scope of a document without references.
type noReferences struct{}

func (noReferences) Resolve(_ *yaml.Node, ref *syntax.Reference) (spec.Value, *spec.Fault) {
	return spec.Value{}, &spec.Fault{Message: ref.Raw + ": there are no references here", Hint: "write the value itself"}
}

func (f *Fleet) checkWaves() {
	list := f.at("waves")
	seen := make(map[string]bool)
	for i := range f.Waves {
		w := &f.Waves[i]
		w.Parallel = cmp.Or(w.Parallel, defaultParallel)
		if list.Kind != yaml.SequenceNode {
			continue // the default
		}
		n := list.Content[i]
		_, at := source.Lookup(n, "name")
		switch {
		case !isName(w.Name):
			f.problem(at, "use lower-case letters, digits and hyphens, beginning with a letter", "waves[%d].name: %q is not a name", i, w.Name)
		case seen[w.Name]:
			f.problem(at, "give one of them another name", "waves[%d]: another wave is named %s", i, w.Name)
		}
		seen[w.Name] = true
		if len(w.Select) == 0 && i < len(f.Waves)-1 {
			f.problem(n, "give it select, or make it the last one", "wave %s: takes every cluster, and none is left for the waves after it", w.Name)
		}
	}
}

// assignWaves gives every cluster its wave.
func (f *Fleet) assignWaves() {
	counts := make([]int, len(f.Waves))
	var left []*Cluster
	for _, c := range f.Clusters {
		c.Wave = -1
		for i, w := range f.Waves {
			if selects(w.Select, c.Labels) {
				c.Wave = i
				counts[i]++
				break
			}
		}
		if c.Wave < 0 {
			left = append(left, c)
		}
	}
	list := f.at("waves")
	if len(left) > 0 {
		more := ""
		if len(left) > 1 {
			more = " and " + display.Count(len(left)-1, "other")
		}
		f.problem(list, "add a wave without select at the end: it takes what is left", "waves: cluster %s%s belong to none", left[0].Name, more)
	}
	for i, n := range counts {
		if n == 0 && list.Kind == yaml.SequenceNode {
			f.problem(list.Content[i], "correct select, or remove the wave", "wave %s: no cluster belongs to it", f.Waves[i].Name)
		}
	}
}

func selects(want, have map[string]string) bool {
	for k, v := range want {
		if h, ok := have[k]; !ok || h != v {
			return false
		}
	}
	return true
}

// Wave returns the clusters of a wave, in the order of the inventory.
func (f *Fleet) Wave(i int) []*Cluster {
	var out []*Cluster
	for _, c := range f.Clusters {
		if c.Wave == i {
			out = append(out, c)
		}
	}
	return out
}
