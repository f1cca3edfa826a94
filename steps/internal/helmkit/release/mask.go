package release

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/sensitive"
	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// Random stands for a value that a chart makes anew with each rendering.
const Random = "(random)"

// A Mask hides the secrets of a release where its objects are shown: the data of
// Secrets, the fields whose names are those of secrets, and the same values wherever a
// template put them.
type Mask struct {
	// Secrets are the values that the mask searches for.
	Secrets  []engine.Secret
	replacer *strings.Replacer

	// whole holds, by key, values that are too common to be searched for.
	whole map[string]map[string]bool
}

// NewMask returns the Mask for charts with these values and objects.
func NewMask(all []values.Values, objects ...*unstructured.Unstructured) *Mask {
	v := &Mask{whole: make(map[string]map[string]bool)}
	var found []kubefields.SecretValue
	for _, v := range all {
		for path, value := range values.Flatten(map[string]any(v), "") {
			found = append(found, valuesIn(path, value)...)
		}
	}
	for _, o := range objects {
		found = append(found, kubefields.SecretValues(o)...)
	}
	v.Secrets = kubefields.Findable(found)
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
	slices.SortFunc(v.Secrets, func(a, b engine.Secret) int { return len(b.Reveal()) - len(a.Reveal()) })
	var pairs []string
	for _, s := range v.Secrets {
		pairs = append(pairs, s.Reveal(), engine.Redacted)
	}
	v.replacer = strings.NewReplacer(pairs...)
	return v
}

// valuesIn returns the secrets among a chart's values at a path.
func valuesIn(path string, value any) (out []kubefields.SecretValue) {
	switch value := value.(type) {
	case string:
		if sensitive.Holds(path, value) {
			out = append(out, kubefields.SecretValue{Key: path, Text: value, Named: true})
		}
		for _, part := range sensitive.Assigned(value) {
			out = append(out, kubefields.SecretValue{Key: path, Text: part})
		}
	case map[string]any:
		for key, v := range value {
			out = append(out, valuesIn(path+"."+key, v)...)
		}
		if name := kubefields.Text(value["name"]); name != "" { // of a variable in a list
			out = append(out, valuesIn(path+"."+name, value["value"])...)
		}
	case []any:
		for _, v := range value {
			out = append(out, valuesIn(path, v)...)
		}
		for _, i := range sensitive.Arguments(value) {
			out = append(out, kubefields.SecretValue{Key: path, Text: value[i].(string), Named: true})
		}
	}
	return out
}

// lastKey is the last key of a path, in lower case and without separators.
func lastKey(path string) string {
	path = strings.TrimSuffix(path, "/value")
	key := strings.TrimSuffix(path[strings.LastIndexAny(path, "./[")+1:], "]")
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(key))
}

// Fields returns the fields of an object as they may be shown. random holds the paths
// of the fields that are made anew each time.
func (v *Mask) Fields(gk schema.GroupKind, flat map[string]any, random map[string]bool) map[string]any {
	out := make(map[string]any, len(flat))
	for path, value := range kubefields.Hide(gk, kubefields.Condense(gk, flat)) {
		if random[path] {
			out[path] = Random
			continue
		}
		out[path] = v.at(path, value)
	}
	return out
}

// Values hides the secrets of the release among the values of one side of a difference.
func (v *Mask) Values(side map[string]any) {
	values, _ := side["values"].(map[string]any)
	for path, value := range values {
		values[path] = v.at(path, value)
	}
}

// at returns the value at a path as it may be shown.
func (v *Mask) at(path string, value any) any {
	if s, ok := value.(string); ok && v.whole[lastKey(path)][s] {
		return engine.NewSecret(s)
	}
	return v.text(value)
}

func (v *Mask) text(value any) any {
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

// Difference is Fields for both sides of a difference. Fields that differ in a hidden
// part only show as a changed secret.
func (v *Mask) Difference(gk schema.GroupKind, have, want map[string]any) (map[string]any, map[string]any) {
	a, b := v.Fields(gk, have, nil), v.Fields(gk, want, nil)
	for path := range a {
		if _, both := b[path]; both && reflect.DeepEqual(a[path], b[path]) {
			a[path], b[path] = engine.NewSecret(fmt.Sprint(have[path])), engine.NewSecret(fmt.Sprint(want[path]))
		}
	}
	return a, b
}
