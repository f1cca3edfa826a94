package values

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"

	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
	"github.com/ztplan/ztplan/steps/internal/nearest"
)

// An Unknown is a key of the user's values that nothing in the chart
// reads. Helm ignores such keys without a word.
type Unknown struct {
	Path   string // dotted: "gateway.type"
	Advice string // the replacement, or why there is none; may be empty
	Unread bool   // the chart has a default for it, which is not used either
}

func (u Unknown) String() string {
	if u.Advice == "" {
		return u.Path
	}
	return u.Path + " (" + u.Advice + ")"
}

// Keys are the values that a chart knows: its defaults, those of its subcharts, its
// schema, the conditions that switch subcharts on, and the paths that its templates
// read.
type Keys struct {
	defaults map[string]any
	schema   map[string]any
	used     *usage
	sub      map[string]Keys // by name or alias
	extra    []string        // dotted paths that count as known
	chart    *chart.Chart
}

// KeysOf reads the chart's files. It is slow for large charts, and its result does
// not change.
func KeysOf(c *chart.Chart) Keys { return keysOf(c, parseTemplates(c)) }

// Unknown returns the values that the chart does not know. Below a default that is
// an empty map, or none at all, anything goes: the chart leaves that to the user.
// It reports the topmost unknown key of a branch, or the values below it where it
// knows the replacement of one of them.
func (s Keys) Unknown(v Values) []Unknown {
	var found []string
	lint(s, v, "", &found)
	slices.Sort(found)
	known := replacements[s.chart.Name()]
	all := Flatten(s.allDefaults(), "")

	var out []Unknown
	for _, path := range found {
		for _, leaf := range spread(path, v, known) {
			out = append(out, Unknown{Path: leaf, Advice: advise(leaf, known, all)})
		}
	}
	return out
}

// Unread returns the values for which the chart has a default that no template reads.
// A value that is a list or a map counts as a whole.
func (s Keys) Unread(v Values) []Unknown {
	var out []Unknown
	for path := range Flatten(map[string]any(v), "") {
		if s.hasDefault(path) && !s.reads(path) {
			out = append(out, Unknown{Path: path, Advice: unread[s.chart.Name()][path], Unread: true})
		}
	}
	slices.SortFunc(out, func(a, b Unknown) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// hasDefault reports whether the chart's own values, or those of the subchart that the
// path is in, have the path. Below an empty map they do not.
func (s Keys) hasDefault(path string) bool {
	var at any = s.defaults
	for _, key := range strings.Split(path, ".") {
		m, _ := at.(map[string]any)
		at = m[key]
		if _, ok := m[key]; !ok {
			first, rest, below := strings.Cut(path, ".")
			sub, ok := s.sub[first]
			return ok && below && sub.hasDefault(rest)
		}
	}
	return true
}

// reads reports whether a template of the chart, or of the subchart that the path is in,
// reads the value, something in it, or a map that it is in.
func (s Keys) reads(path string) bool {
	first, rest, below := strings.Cut(path, ".")
	if first == "global" || s.knows(path) || s.leadsOn(path) {
		return true
	}
	sub, ok := s.sub[first]
	return ok && (!below || sub.reads(rest))
}

func keysOf(c *chart.Chart, templates *templateSet) Keys {
	s := Keys{chart: c, defaults: c.Values, used: usageOf(c, templates), sub: map[string]Keys{}}
	_ = json.Unmarshal(c.Schema, &s.schema) // there may be none; Helm itself reports a broken one
	for _, d := range c.Metadata.Dependencies {
		for _, path := range strings.Split(d.Condition, ",") {
			s.extra = append(s.extra, strings.TrimSpace(path))
		}
		if len(d.Tags) > 0 {
			s.extra = append(s.extra, "tags")
		}
		for _, iv := range d.ImportValues {
			if m, ok := iv.(map[string]any); ok {
				s.extra = append(s.extra, kubefields.Text(m["parent"]))
			}
		}
		for _, dep := range c.Dependencies() {
			if dep.Name() != d.Name {
				continue
			}
			name := d.Alias
			if name == "" {
				name = d.Name
			}
			s.sub[name] = keysOf(dep, templates)
		}
	}
	for _, dep := range c.Dependencies() { // vendored without being declared
		if _, ok := s.sub[dep.Name()]; !ok {
			s.sub[dep.Name()] = keysOf(dep, templates)
		}
	}
	return s
}

// lint walks the values of one chart; prefix is where they are in the user's.
func lint(s Keys, v map[string]any, prefix string, found *[]string) {
	for key, value := range v {
		if key == "global" {
			continue // for everybody
		}
		path := prefix + key
		sub, ok := s.sub[key]
		if !ok {
			lintKey(s, key, s.defaults, s.schema, value, path, prefix, found)
			continue
		}
		m, _ := value.(map[string]any)
		// The parent's defaults for the subchart count too.
		if own, ok := s.defaults[key].(map[string]any); ok {
			sub.defaults = overlay(sub.defaults, own)
		}
		for _, e := range s.extra {
			if rest, ok := strings.CutPrefix(e, key+"."); ok {
				sub.extra = append(slices.Clone(sub.extra), rest)
			}
		}
		lint(sub, m, path+".", found)
	}
}

// lintKey judges one key inside a chart's own values. in holds the defaults
// beside it, schema describes them.
func lintKey(s Keys, key string, in, schema map[string]any, value any, path, prefix string, found *[]string) {
	local := strings.TrimPrefix(path, prefix)
	fallback, inDefaults := in[key]
	below, described, open := property(schema, key)
	if !inDefaults && !described {
		if open || s.knows(local) {
			return
		}
		m, isMap := value.(map[string]any)
		if !isMap || !s.leadsOn(local) {
			*found = append(*found, path)
			return
		}
		for k, e := range m { // templates name something below it
			lintKey(s, k, nil, nil, e, path+"."+k, prefix, found)
		}
		return
	}
	m, _ := value.(map[string]any)
	d, _ := fallback.(map[string]any)
	if len(d) == 0 && !closed(below) {
		return // the chart leaves the content to the user
	}
	for k, e := range m {
		lintKey(s, k, d, below, e, path+"."+k, prefix, found)
	}
}

func (s Keys) knows(local string) bool {
	return s.used.names(local) || slices.ContainsFunc(s.extra, func(e string) bool {
		return e == local || strings.HasPrefix(local, e+".")
	})
}

func (s Keys) leadsOn(local string) bool {
	return s.used.below(local) || slices.ContainsFunc(s.extra, func(e string) bool { return strings.HasPrefix(e, local+".") })
}

// property looks a key up in a JSON schema: its description, whether
// there is one, and whether the schema leaves other keys open on purpose.
func property(schema map[string]any, key string) (below map[string]any, described, open bool) {
	properties, _ := schema["properties"].(map[string]any)
	if p, ok := properties[key]; ok {
		below, _ = p.(map[string]any)
		return below, true, false
	}
	if _, ok := schema["patternProperties"]; ok {
		return nil, false, true
	}
	switch a := schema["additionalProperties"].(type) {
	case bool:
		return nil, false, a
	case map[string]any:
		return a, false, true
	}
	_, ref := schema["$ref"]
	return nil, false, ref
}

// closed reports whether a schema lists the keys that it allows.
func closed(schema map[string]any) bool {
	properties, _ := schema["properties"].(map[string]any)
	additional, isBool := schema["additionalProperties"].(bool)
	return len(properties) > 0 && isBool && !additional
}

// allDefaults returns the defaults with those of the subcharts in their places, which may
// be called by an alias.
func (s Keys) allDefaults() map[string]any {
	out := overlay(s.defaults, nil)
	for name, sub := range s.sub {
		own, _ := out[name].(map[string]any)
		out[name] = overlay(sub.allDefaults(), own)
	}
	return out
}

// spread returns the values of an unknown branch if the replacements know one
// of them, else the branch itself.
func spread(path string, v Values, known map[string]string) []string {
	if _, ok := known[path]; ok {
		return []string{path}
	}
	var at any = map[string]any(v)
	for _, k := range strings.Split(path, ".") {
		m, ok := at.(map[string]any)
		if !ok {
			return []string{path}
		}
		at = m[k]
	}
	paths := slices.Sorted(maps.Keys(Flatten(at, path)))
	if slices.ContainsFunc(paths, func(p string) bool { _, ok := known[p]; return ok }) {
		return paths
	}
	return []string{path}
}

// advise returns the replacement of an unknown key, or a similar key.
func advise(path string, known map[string]string, defaults map[string]any) string {
	if advice, ok := known[path]; ok {
		return advice
	}
	if near := nearestKey(path, defaults); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return ""
}

// nearestKey finds the most likely meaning of an unknown path among the keys
// of the chart: a slip of the pen in the last key, or the same key elsewhere.
func nearestKey(path string, defaults map[string]any) string {
	candidates := map[string]bool{}
	for leaf := range defaults {
		for p := leaf; p != ""; {
			candidates[p] = true
			i := strings.LastIndexByte(p, '.')
			p = p[:max(i, 0)]
		}
	}
	last := path[strings.LastIndexByte(path, '.')+1:]
	parent := strings.TrimSuffix(path, last)
	best, limit := "", len(last)/3+1
	var elsewhere []string
	for _, c := range slices.Sorted(maps.Keys(candidates)) {
		if rest, ok := strings.CutPrefix(c, parent); ok && !strings.Contains(rest, ".") {
			if d := nearest.Distance(strings.ToLower(last), strings.ToLower(rest)); d < limit {
				best, limit = c, d
			}
		}
		if c == last || strings.HasSuffix(c, "."+last) {
			elsewhere = append(elsewhere, c)
		}
	}
	if best == "" && len(elsewhere) == 1 && len(last) > 4 {
		return elsewhere[0]
	}
	return best
}
