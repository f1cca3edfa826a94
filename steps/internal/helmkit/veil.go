package helmkit

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Random stands for what a chart makes anew with each rendering.
const Random = "(random)"

// minConcealed is the length from which a secret is looked for in texts:
// shorter ones, such as "admin", are ordinary words.
const minConcealed = 8

// objectName matches what under a key such as tlsSecret is rather the name of a
// Secret than a secret.
var objectName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)

// A veil hides secrets in what is shown of objects: the data of Secrets,
// environment variables whose names look like secrets, and the secrets among
// the values wherever a template put them.
type veil struct {
	known    []engine.Secret
	replacer *strings.Replacer
}

// newVeil returns the veil for charts with these values.
func newVeil(all ...Values) *veil {
	var texts []string
	for _, values := range all {
		flat := map[string]any{}
		leaves(map[string]any(values), "", flat)
		for path, v := range flat {
			s := text(v)
			if len(s) < minConcealed || !looksSecret(path) || strings.HasSuffix(strings.ToLower(path), "secret") && objectName.MatchString(s) {
				continue
			}
			if !slices.Contains(texts, s) {
				texts = append(texts, s)
			}
		}
	}
	// The longer first: one may contain another.
	slices.SortFunc(texts, func(a, b string) int { return len(b) - len(a) })
	v := &veil{}
	var pairs []string
	for _, s := range texts {
		v.known = append(v.known, engine.NewSecret(s))
		pairs = append(pairs, s, engine.Redacted)
	}
	v.replacer = strings.NewReplacer(pairs...)
	return v
}

var environment = regexp.MustCompile(`/env\[([^\]/]+)\]/value$`)

// over returns leaves of an object as they may be shown; random are the paths
// of what is made anew each time.
func (v *veil) over(gk schema.GroupKind, flat map[string]any, random map[string]bool) map[string]any {
	out := make(map[string]any, len(flat))
	for path, value := range kubekit.Hide(gk, kubekit.Condense(gk, flat)) {
		if random[path] {
			out[path] = Random
			continue
		}
		if m := environment.FindStringSubmatch(path); m != nil && looksSecret(m[1]) {
			out[path] = engine.NewSecret(fmt.Sprint(value))
			continue
		}
		out[path] = v.text(value)
	}
	return out
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
