package journal

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

// Orphans returns the things that earlier runs made and the plan does not ask for any more,
// by step in the order in which they were made: all of a step that it has lost,
// and of the others those that [Plan.Owns] disowns.
func Orphans(p Plan) []Made {
	_, gone, dropped := p.made()
	return append(gone, dropped...)
}

// made returns the things that earlier runs on the plan's server made: those that the
// plan still asks for, those of removed steps (gone), and those that steps of the plan
// do not ask for any more (dropped). Changes of proofs are left out: no plan asks
// for them. Each journal adds to those before it; of a damaged one the records before
// the damage count.
func (p Plan) made() (made, gone, dropped []Made) {
	var all []Made
	dir := p.Dir()
	for _, id := range runs(dir) {
		records, _ := Read(filepath.Join(dir, id+suffix))
		if len(records) == 0 || records[0].Server != p.Server {
			continue
		}
		first := records[0]
		all = slices.DeleteFunc(all, func(m Made) bool { return slices.Contains(first.Told, m.Step) })
		for _, m := range first.Dropped {
			all = drop(all, m)
		}
		for _, m := range first.Made {
			for _, path := range m.Paths {
				all = add(all, m.Step, m.Kind, path)
			}
		}
		for _, r := range records[1:] {
			if r.Type == Done && !r.Proof {
				all = add(all, r.Step, r.Kind, r.Path)
			}
		}
		for _, r := range unfinished(records) {
			if r.Proof {
				continue
			}
			all = add(all, r.Step, r.Kind, r.Path)
		}
	}
	for _, m := range all {
		if !slices.Contains(p.Steps, m.Step) {
			gone = append(gone, m)
			continue
		}
		owned, disowned := p.split(m)
		if len(owned.Paths) > 0 {
			made = append(made, owned)
		}
		if len(disowned.Paths) > 0 {
			dropped = append(dropped, disowned)
		}
	}
	return made, gone, dropped
}

// split parts the things of a step by whether the step still asks for them.
func (p Plan) split(m Made) (owned, disowned Made) {
	owned, disowned = Made{Step: m.Step, Kind: m.Kind}, Made{Step: m.Step, Kind: m.Kind}
	var owns func(string) bool
	if p.Owns != nil {
		owns = p.Owns(m.Step, m.Kind)
	}
	for _, path := range m.Paths {
		if owns == nil || owns(path) {
			owned.Paths = append(owned.Paths, path)
		} else {
			disowned.Paths = append(disowned.Paths, path)
		}
	}
	return owned, disowned
}

func stepsOf(list []Made) (ids []string) {
	for _, m := range list {
		ids = append(ids, m.Step)
	}
	return ids
}

func add(all []Made, step, kind, path string) []Made {
	i := slices.IndexFunc(all, func(m Made) bool { return m.Step == step })
	if i < 0 {
		return append(all, Made{Step: step, Kind: kind, Paths: []string{path}})
	}
	all[i].Kind = kind
	if !slices.Contains(all[i].Paths, path) {
		all[i].Paths = append(all[i].Paths, path)
	}
	return all
}

// drop takes the paths of one step out of all.
func drop(all []Made, told Made) []Made {
	i := slices.IndexFunc(all, func(m Made) bool { return m.Step == told.Step })
	if i < 0 {
		return all
	}
	all[i].Paths = slices.DeleteFunc(all[i].Paths, func(path string) bool { return slices.Contains(told.Paths, path) })
	if len(all[i].Paths) == 0 {
		return slices.Delete(all, i, i+1)
	}
	return all
}

// String returns "users/ann, users/bob (account)", without the fields of objects
// that are in the list.
func (m Made) String() string {
	const most = 8
	paths := outermost(m.Paths)
	text := strings.Join(paths[:min(len(paths), most)], ", ")
	if more := len(paths) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + " (" + m.Kind + ")"
}

// outermost leaves out paths that lie inside another one.
func outermost(paths []string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(path string) bool {
		return slices.ContainsFunc(paths, func(other string) bool { return other != path && engine.Below(path, other) })
	})
}
