package rbac

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

// A Role is a Role of Kubernetes, or a ClusterRole.
type Role struct {
	Name      string
	Namespace string // "" for a ClusterRole
	Rules     []Rule
}

// A Rule is a rule of a role, and why it is there.
type Rule struct {
	Groups, Resources, Names, Verbs, Paths []string

	Reasons []string
}

// The sets of permissions. A dry run and a status need the same.
const (
	Run  = "run"
	View = "view"
)

// Roles returns the roles of a set of permissions, the ClusterRole first and the others
// by namespace. Their namespaces are taken to be there: rules to make them are left out.
func Roles(name, set string, needs []Need) []Role {
	g := make(grants)
	for _, n := range needs {
		for _, p := range n.Permissions {
			if p.Write && set == View || makesNamespaces(p) {
				continue
			}
			g.add(p, n.Who)
		}
	}
	byNamespace := make(map[string][]Rule)
	for ns, of := range g.split() {
		byNamespace[ns] = rules(of)
	}
	var roles []Role
	for ns, list := range byNamespace {
		roles = append(roles, Role{Name: name + "-" + set, Namespace: ns, Rules: list})
	}
	slices.SortFunc(roles, func(a, b Role) int { return cmp.Compare(a.Namespace, b.Namespace) })
	return roles
}

// makesNamespaces reports whether the permission is only there to make namespaces.
func makesNamespaces(p engine.Permission) bool {
	return p.Group == "" && p.Resource == "namespaces" && p.Name == "" && slices.Equal(p.Verbs, []string{"create"})
}

// A thing is the object of a permission.
type thing struct{ namespace, group, resource, name, path string }

// A grant has the verbs that are allowed on a thing, and the reasons.
type grant struct{ verbs, reasons []string }

type grants map[thing]*grant

func (g grants) add(p engine.Permission, who string) {
	t := thing{p.Namespace, p.Group, p.Resource, p.Name, p.Path}
	if t.path != "" {
		t = thing{path: p.Path}
	}
	if g[t] == nil {
		g[t] = new(grant)
	}
	g[t].verbs = union(g[t].verbs, p.Verbs)
	g[t].reasons = union(g[t].reasons, []string{who + " " + p.Reason})
}

// split returns the grants by namespace, without the verbs that a wider one has: one for
// any name, or for all namespaces.
func (g grants) split() map[string]map[thing]*grant {
	out := make(map[string]map[thing]*grant)
	for t := range g {
		of := g.narrowed(t)
		if len(of.verbs) == 0 {
			continue
		}
		if out[t.namespace] == nil {
			out[t.namespace] = make(map[thing]*grant)
		}
		out[t.namespace][t] = of
	}
	return out
}

func (g grants) narrowed(t thing) *grant {
	wide := []thing{{group: t.group, resource: t.resource}, {group: t.group, resource: t.resource, name: t.name}, {namespace: t.namespace, group: t.group, resource: t.resource}}
	verbs := slices.DeleteFunc(slices.Clone(g[t].verbs), func(v string) bool {
		return t.path == "" && slices.ContainsFunc(wide, func(w thing) bool { return w != t && g[w] != nil && slices.Contains(g[w].verbs, v) })
	})
	return &grant{verbs, g[t].reasons}
}

// rules puts the grants of a namespace together: those of one resource for all names,
// and then those with the same names and verbs for all resources of a group.
func rules(of map[thing]*grant) []Rule {
	byName := make(map[string]*Rule)
	for t, one := range of {
		key := strings.Join(append([]string{t.group, t.resource, t.path, kindOf(t)}, one.verbs...), "\x00")
		if byName[key] == nil {
			byName[key] = &Rule{Verbs: one.verbs}
		}
		byName[key].join(t, one.reasons)
	}
	byVerb := make(map[string]*Rule)
	for _, r := range byName {
		key := strings.Join([]string{strings.Join(r.Groups, ","), strings.Join(r.Names, ","), strings.Join(r.Verbs, ",")}, "\x00")
		if len(r.Paths) > 0 {
			key = "\x00" + key
		}
		have := byVerb[key]
		if have == nil {
			byVerb[key] = r
			continue
		}
		have.Resources, have.Paths, have.Reasons = union(have.Resources, r.Resources), union(have.Paths, r.Paths), union(have.Reasons, r.Reasons)
	}
	var list []Rule
	for _, r := range byVerb {
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b Rule) int { return cmp.Compare(a.key(), b.key()) })
	return list
}

func kindOf(t thing) string {
	if t.name != "" {
		return "named"
	}
	return "any"
}

func (r *Rule) join(t thing, reasons []string) {
	if t.path != "" {
		r.Paths = union(r.Paths, []string{t.path})
	} else {
		r.Groups, r.Resources = union(r.Groups, []string{t.group}), union(r.Resources, []string{t.resource})
	}
	if t.name != "" {
		r.Names = union(r.Names, []string{t.name})
	}
	r.Reasons = union(r.Reasons, reasons)
}

func (r *Rule) key() string {
	return strings.Join([]string{strings.Join(r.Groups, ","), strings.Join(r.Resources, ","), strings.Join(r.Paths, ","), strings.Join(r.Names, ","), strings.Join(r.Verbs, ",")}, "\x00")
}

// union returns the texts of both lists, sorted, each once.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
