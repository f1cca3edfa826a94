package helmkit

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/sensitive"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Random stands for what a chart makes anew with each rendering.
const Random = "(random)"

// A veil hides secrets in what is shown of a release: the data of Secrets and
// what has the name of a secret, and these values wherever a template put them.
type veil struct {
	known    []engine.Secret
	replacer *strings.Replacer

	// whole holds, by key, values that are too common to be searched for.
	whole map[string]map[string]bool
}

// newVeil returns the veil for charts with these values and objects.
func newVeil(all []Values, objects ...*unstructured.Unstructured) *veil {
	v := &veil{whole: make(map[string]map[string]bool)}
	var found []kubekit.SecretValue
	for _, values := range all {
		flat := map[string]any{}
		leaves(map[string]any(values), "", flat)
		for path, value := range flat {
			found = append(found, valuesIn(path, value)...)
		}
	}
	for _, o := range objects {
		found = append(found, kubekit.SecretValues(o)...)
	}
	v.known = kubekit.Findable(found)
	for _, f := range found {
		switch key := lastKey(f.Key); {
		case f.Text == "", f.Text == "true", f.Text == "false":
		case v.whole[key] == nil:
			v.whole[key] = map[string]bool{f.Text: true}
		default:
			v.whole[key][f.Text] = true
		}
	}
	// The longer first: one may contain another.
	slices.SortFunc(v.known, func(a, b engine.Secret) int { return len(b.Reveal()) - len(a.Reveal()) })
	var pairs []string
	for _, s := range v.known {
		pairs = append(pairs, s.Reveal(), engine.Redacted)
	}
	v.replacer = strings.NewReplacer(pairs...)
	return v
}

// valuesIn returns the secrets among a chart's values at a path.
func valuesIn(path string, value any) (out []kubekit.SecretValue) {
	switch value := value.(type) {
	case string:
		if sensitive.Holds(path, value) {
			out = append(out, kubekit.SecretValue{Key: path, Text: value, Named: true})
		}
		for _, part := range sensitive.Assigned(value) {
			out = append(out, kubekit.SecretValue{Key: path, Text: part})
		}
	case map[string]any:
		for key, v := range value {
			out = append(out, valuesIn(path+"."+key, v)...)
		}
		if name := text(value["name"]); name != "" { // of a variable in a list
			out = append(out, valuesIn(path+"."+name, value["value"])...)
		}
	case []any:
		for _, v := range value {
			out = append(out, valuesIn(path, v)...)
		}
	}
	return out
}

// lastKey is the last key of a path without what differs between styles.
func lastKey(path string) string {
	path = strings.TrimSuffix(path, "/value")
	key := strings.TrimSuffix(path[strings.LastIndexAny(path, "./[")+1:], "]")
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(key))
}

// over returns leaves of an object as they may be shown; random are the paths
// of what is made anew each time.
func (v *veil) over(gk schema.GroupKind, flat map[string]any, random map[string]bool) map[string]any {
	out := make(map[string]any, len(flat))
	for path, value := range kubekit.Hide(gk, kubekit.Condense(gk, flat)) {
		if random[path] {
			out[path] = Random
			continue
		}
		out[path] = v.at(path, value)
	}
	return out
}

// overValues hides, among values that differ, what a Secret of the release holds.
func (v *veil) overValues(side map[string]any) {
	values, _ := side["values"].(map[string]any)
	for path, value := range values {
		values[path] = v.at(path, value)
	}
}

// at returns the value at a path as it may be shown.
func (v *veil) at(path string, value any) any {
	if s, ok := value.(string); ok && v.whole[lastKey(path)][s] {
		return engine.NewSecret(s)
	}
	return v.text(value)
}

func (v *veil) text(value any) any {
	switch value := value.(type) {
	case string:
		return v.replacer.Replace(value)
	case []any:
		out := make([]any, len(value))
		for i, e := range value {
			out[i] = v.text(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(value))
		for k, e := range value {
			out[k] = v.text(e)
		}
		return out
	}
	return value
}

// overBoth is over for the two sides of a difference: what differs only in
// something hidden shows as a changed secret.
func (v *veil) overBoth(gk schema.GroupKind, have, want map[string]any) (map[string]any, map[string]any) {
	a, b := v.over(gk, have, nil), v.over(gk, want, nil)
	for path := range a {
		if _, both := b[path]; both && reflect.DeepEqual(a[path], b[path]) {
			a[path], b[path] = engine.NewSecret(fmt.Sprint(have[path])), engine.NewSecret(fmt.Sprint(want[path]))
		}
	}
	return a, b
}
