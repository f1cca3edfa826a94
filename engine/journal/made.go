package journal

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Orphans returns what earlier runs made in steps that the plan has no more, by
// step in the order in which they were made.
func Orphans(p Plan) []Made {
	_, orphans := p.made()
	return orphans
}

// made returns what earlier runs on the plan's server made, in steps that it
// still has and in those that it has no more. Each journal adds to those before
// it; damage costs what was behind it.
func (p Plan) made() (made, orphans []Made) {
	var all []Made
	dir := p.Dir()
	for _, id := range runs(dir) {
		records, _ := Read(filepath.Join(dir, id+suffix))
		if len(records) == 0 || records[0].Server != p.Server {
			continue
		}
		first := records[0]
		all = slices.DeleteFunc(all, func(m Made) bool { return slices.Contains(first.Told, m.Step) })
		for _, m := range first.Made {
			for _, path := range m.Paths {
				all = add(all, m.Step, m.Kind, path)
			}
		}
		for _, r := range records[1:] {
			if r.Type == Done {
				all = add(all, r.Step, r.Kind, r.Path)
			}
		}
		for _, r := range unfinished(records) {
			all = add(all, r.Step, r.Kind, r.Path)
		}
	}
	for _, m := range all {
		if slices.Contains(p.Steps, m.Step) {
			made = append(made, m)
		} else {
			orphans = append(orphans, m)
		}
	}
	return made, orphans
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

// String is "sys/mounts/pki, pki/issuer/root (pkiRoot)".
func (m Made) String() string {
	const most = 8
	text := strings.Join(m.Paths[:min(len(m.Paths), most)], ", ")
	if more := len(m.Paths) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + " (" + m.Kind + ")"
}
