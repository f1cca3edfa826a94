package report

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ztplan/ztplan/steps/evidence"
)

// A fact is one line about where and by whom the plan was run.
type fact struct {
	Name   string
	Values []string
	Mono   bool
}

// facts returns the recorded facts about the subject of a run.
func facts(d *evidence.Document) []fact {
	s := d.Subject
	if s == nil {
		return nil
	}
	var out []fact
	add := func(name string, mono bool, values ...string) {
		if len(values) > 0 && values[0] != "" {
			out = append(out, fact{name, values, mono})
		}
	}
	if c := s.Cluster; c != nil {
		lines := []string{c.Server}
		if c.UID != "" {
			lines = append(lines, "kube-system "+c.UID)
		}
		if c.Version != "" {
			lines = append(lines, "Kubernetes "+c.Version)
		}
		add("Cluster", true, lines...)
	}
	add("User", true, s.User)
	add("Host", true, s.Host)
	if s.Job != nil {
		add(s.Job.System, true, pairs(s.Job.Facts)...)
	}
	if g := s.Checkout; g != nil {
		state := "clean"
		if !g.Clean {
			state = "NOT clean"
		}
		add("Git commit", true, append([]string{g.Commit + ", " + state}, g.Changes...)...)
	}
	values := pairs(s.Variables)
	for _, name := range s.Secret {
		values = append(values, name+" (secret)")
	}
	add("Variables", true, values...)
	add("Only", true, s.Only...)
	add("Skipped", true, s.Skip...)
	for _, m := range s.Mirrors {
		add("Mirror", true, m.From+" from "+m.To)
	}
	var images []string
	for _, i := range s.Images {
		line := fmt.Sprintf("%s: %s", i.Namespace, i.Image)
		if i.ID != "" {
			line += ", " + i.ID
		}
		images = append(images, line)
	}
	add("Images", true, images...)
	add("ztplan binary", true, s.Binary)
	add("Not on record", false, s.Remarks...)
	return out
}

func pairs[V any](m map[string]V) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+plain(m[k]))
	}
	return out
}
