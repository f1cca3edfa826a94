package document

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// APIVersion and PlanKind are the first keys of every plan, APIVersion and
// FragmentKind those of every fragment.
const (
	APIVersion   = "ztplan.dev/v1"
	PlanKind     = "Plan"
	FragmentKind = "Fragment"
)

// Split returns the values of a mapping by their keys, and the keys that are not known.
func Split(n *yaml.Node, known []string) (parts map[string]*yaml.Node, unknown []*yaml.Node) {
	parts = make(map[string]*yaml.Node, len(n.Content)/2)
	for key, val := range source.Pairs(n) {
		parts[key.Value] = val
		if !slices.Contains(known, key.Value) {
			unknown = append(unknown, key)
		}
	}
	return parts, unknown
}

// Constant reports whether a key has the one value that it must have, or the problem.
func Constant(r source.Reporter, root *yaml.Node, parts map[string]*yaml.Node, key, want string) bool {
	n := parts[key]
	switch {
	case n == nil:
		r.Problem(root, fmt.Sprintf("add %s: %s", key, want), "%s is missing", key)
	case n.Value != want:
		hint := fmt.Sprintf("write %s: %s", key, want)
		if key == "apiVersion" && strings.HasPrefix(n.Value, "ztplan.dev/") {
			hint = fmt.Sprintf("this ztplan reads %s; another release may read %s", want, n.Value)
		}
		r.Problem(n, hint, "%s: want %s, have %s", key, want, source.Describe(n))
	default:
		return true
	}
	return false
}

// HasSteps reports whether n can be the steps of a document: a list with at least one item.
// It reports the problem otherwise; what describes the document.
func HasSteps(r source.Reporter, root, n *yaml.Node, what string) bool {
	switch {
	case source.IsNull(n):
		r.Problem(cmp.Or(n, root), "add steps: [{id: …, uses: …}]", "steps are missing: %s has at least one", what)
	case n.Kind != yaml.SequenceNode:
		r.Problem(n, "write every step with a hyphen: - id: …", "steps: want a list, have %s", source.Describe(n))
	case len(n.Content) == 0:
		r.Problem(n, "add steps: [{id: …, uses: …}]", "steps: the list is empty: %s has at least one", what)
	default:
		return true
	}
	return false
}

// IsID reports whether s may name a plan or a step.
func IsID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || i > 0 && (c >= '0' && c <= '9' || c == '-')) {
			return false
		}
	}
	return s != ""
}

// TakeMeant sets the parts that are written under another tool's word, one of the unknown
// keys, so that they are checked as well. It returns the keys that an unknown one stands
// for: they are not missing.
func TakeMeant(parts map[string]*yaml.Node, unknown []*yaml.Node, known []string) map[string]bool {
	meant := make(map[string]bool)
	for _, key := range unknown {
		best, same := source.Meant(key.Value, known)
		if best == "" || parts[best] != nil {
			continue
		}
		meant[best] = true
		if same {
			parts[best] = parts[key.Value]
		}
	}
	return meant
}

// MayBePlan reports whether a document is a mapping with a key of a plan, or of a similar
// document of another tool. It reports the problem otherwise: a document without one may be
// a file of variables.
func MayBePlan(r source.Reporter, root *yaml.Node) bool {
	const hint = "a plan begins with apiVersion: " + APIVersion
	if root.Kind != yaml.MappingNode {
		r.Problem(root, hint, "want a plan, have %s", source.KindOf(root))
		return false
	}
	keys := source.Keys(root)
	if len(keys) == 0 || slices.ContainsFunc(keys, func(key string) bool {
		best, _ := source.Meant(key, []string{"apiVersion", "kind", "steps"})
		return best != "" || slices.Contains(PlanKeys, key)
	}) {
		return true
	}
	r.Problem(root, hint+"; a file of variables is given beside a plan: --var-file "+r.File.Name, "want a plan, have a mapping without any of its keys")
	return false
}

// IDHint describes the ids that [IsID] accepts.
const IDHint = "use lower-case letters, digits and hyphens, beginning with a letter"

// ReadMetadata returns the name of a plan as written, nil if there is none, and its
// description. It reports problems.
func ReadMetadata(r source.Reporter, root, n *yaml.Node) (name *yaml.Node, description string) {
	switch {
	case source.IsNull(n):
		r.Problem(cmp.Or(n, root), "add metadata: {name: …}", "metadata is missing: a plan has a name")
		return nil, ""
	case n.Kind != yaml.MappingNode:
		r.Problem(n, "write metadata: {name: …}", "metadata: want a mapping, have %s", source.Describe(n))
		return nil, ""
	}
	parts, unknown := Split(n, MetadataKeys)
	for _, key := range unknown {
		r.Problem(key, source.KeyHint(key.Value, MetadataKeys, "the keys here are "), "metadata: unknown key %q", key.Value)
	}
	if name = parts["name"]; name == nil {
		r.Problem(n, "add name: …", "metadata.name is missing")
	}
	if text := parts["description"]; text != nil {
		description = r.Text(text, "metadata.description")
	}
	return name, description
}

// BesideWith returns the hint for a key of steps that stands among the inputs.
func BesideWith(key string) string {
	best, same := source.Meant(key, []string{"when", "needs", "forEach", "timeout", "retry"})
	if !same {
		return ""
	}
	return best + " belongs to the step: write it beside with"
}
