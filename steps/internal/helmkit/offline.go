package helmkit

import (
	"regexp"
	"slices"

	"helm.sh/helm/v3/pkg/chartutil"
	helmengine "helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/release"
)

// An Expected is an object that a chart makes, as far as that is known without a
// cluster.
type Expected struct {
	Object  *unstructured.Unstructured
	Deleted bool // by Helm, as a hook
	AnyName bool // it is called otherwise from one operation to the next
}

// Expect returns the objects and hooks of an install and of upgrades, each once. The
// chart is rendered without a cluster: lookups find nothing, and the kinds of the
// cluster are those of Kubernetes and of the chart's crds folder.
func (o *Operation) Expect() ([]Expected, error) {
	caps := *chartutil.DefaultCapabilities
	caps.APIVersions = append(slices.Clone(caps.APIVersions), o.ownAPIs()...)
	var renderings []*Rendering
	for revision := range 3 {
		op := *o
		if op.Previous = nil; revision > 0 {
			op.Previous = &release.Release{Revision: revision, EverDeployed: true}
		}
		r, err := op.renderOnce(helmengine.Engine{}, &caps)
		if err != nil {
			return nil, err
		}
		renderings = append(renderings, r)
	}
	changing := differentNames(renderings[1], renderings[2])
	seen := make(map[manifest.Key]bool)
	var out []Expected
	for _, r := range renderings {
		for _, e := range r.expected() {
			if key := manifest.KeyOf(e.Object); !seen[key] {
				seen[key] = true
				e.AnyName = changing[e.Object.GroupVersionKind().GroupKind()] && !(renderings[1].has(key) && renderings[2].has(key))
				out = append(out, e)
			}
		}
	}
	return out, nil
}

func (r *Rendering) expected() []Expected {
	var list []Expected
	for _, object := range r.Objects {
		list = append(list, Expected{Object: object})
	}
	for _, h := range r.Hooks {
		list = append(list, Expected{Object: h.Object, Deleted: h.Deletes})
	}
	return list
}

func (r *Rendering) has(key manifest.Key) bool {
	return slices.ContainsFunc(r.all(), func(o *unstructured.Unstructured) bool { return manifest.KeyOf(o) == key })
}

// differentNames returns the kinds with an object that only one of two renderings has.
func differentNames(a, b *Rendering) map[schema.GroupKind]bool {
	kinds := make(map[schema.GroupKind]bool)
	for _, pair := range [][2]*Rendering{{a, b}, {b, a}} {
		for _, o := range pair[0].all() {
			if !pair[1].has(manifest.KeyOf(o)) {
				kinds[o.GroupVersionKind().GroupKind()] = true
			}
		}
	}
	return kinds
}

var lookups = regexp.MustCompile(`\{\{[^}]*\blookup\b`)

// LooksUp reports whether a template of the chart reads objects of the cluster.
func (o *Operation) LooksUp() bool { return o.calls(lookups) }
