package lint

import (
	"bytes"
	"fmt"

	"golang.org/x/mod/semver"
	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/kubeyaml"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps/applymanifest"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/k8sauth"
	"github.com/ztplan/ztplan/steps/pkiintermediate"
	"github.com/ztplan/ztplan/steps/pkiroot"
	"github.com/ztplan/ztplan/steps/vaultinit"
)

// facts are what the rules need to know about a plan.
type facts struct {
	plan    *plan.Plan
	order   map[string]int
	charts  []chart
	roots   []of[*pkiroot.Spec]
	inter   []of[*pkiintermediate.Spec]
	auths   []of[*k8sauth.Spec]
	inits   []of[*vaultinit.Spec]
	objects []object
	proofs  int
}

// of is a step with its decoded inputs.
type of[S any] struct {
	step *plan.Step
	spec S
}

// A chart is a release with the values that the plan gives it.
type chart struct {
	of[*helminstall.Spec]
	name    string
	version string // canonical, "v2.14.0"
	values  map[string]any
}

// An object is one manifest.
type object struct {
	step   *plan.Step
	field  string // the input of the step that holds it, "manifests[0]"
	kind   string
	name   string
	space  string
	fields map[string]any
}

func gather(p *plan.Plan) *facts {
	f := &facts{plan: p, order: make(map[string]int)}
	for i, s := range p.Steps {
		f.order[s.ID] = i
		if s.Kind.Proof {
			f.proofs++
		}
		spec, _ := s.Draft()
		switch spec := spec.(type) {
		case *helminstall.Spec:
			f.charts = append(f.charts, chartOf(s, spec))
		case *pkiroot.Spec:
			f.roots = append(f.roots, of[*pkiroot.Spec]{s, spec})
		case *pkiintermediate.Spec:
			f.inter = append(f.inter, of[*pkiintermediate.Spec]{s, spec})
		case *k8sauth.Spec:
			f.auths = append(f.auths, of[*k8sauth.Spec]{s, spec})
		case *vaultinit.Spec:
			f.inits = append(f.inits, of[*vaultinit.Spec]{s, spec})
		case *applymanifest.Spec:
			f.objects = append(f.objects, objectsOf(s, spec)...)
		}
	}
	return f
}

func chartOf(s *plan.Step, spec *helminstall.Spec) chart {
	c := chart{of: of[*helminstall.Spec]{s, spec}, name: lastPart(spec.Chart), version: spec.Version, values: map[string]any{}}
	if c.version != "" && c.version[0] != 'v' {
		c.version = "v" + c.version
	}
	for _, file := range spec.ValuesFiles {
		if b, err := file.Read(); err == nil {
			v, _ := kubeyaml.Unmarshal(b)
			if m, ok := v.(map[string]any); ok {
				merge(c.values, m)
			}
		}
	}
	merge(c.values, spec.Values)
	return c
}

func merge(into, from map[string]any) {
	for k, v := range from {
		a, aMap := into[k].(map[string]any)
		b, bMap := v.(map[string]any)
		if aMap && bMap {
			merge(a, b)
		} else {
			into[k] = v
		}
	}
}

// objectsOf returns the manifests of a step. What cannot be read is a problem
// of the plan that validating has already found.
func objectsOf(s *plan.Step, spec *applymanifest.Spec) []object {
	var out []object
	add := func(field string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		meta, _ := m["metadata"].(map[string]any)
		o := object{step: s, field: field, fields: m}
		o.kind, _ = m["kind"].(string)
		o.name, _ = meta["name"].(string)
		o.space, _ = meta["namespace"].(string)
		out = append(out, o)
	}
	for i, file := range spec.Files {
		b, err := file.Read()
		if err != nil {
			continue
		}
		for d := yaml.NewDecoder(bytes.NewReader(b)); ; {
			var doc yaml.Node
			if err := d.Decode(&doc); err != nil {
				break // the end, or a problem of the plan
			}
			v, _ := kubeyaml.Decode(&doc)
			add(fmt.Sprintf("files[%d]", i), v)
		}
	}
	switch v := spec.Manifests.(type) {
	case []any:
		for i, e := range v {
			add(fmt.Sprintf("manifests[%d]", i), e)
		}
	default:
		add("manifests", v)
	}
	return out
}

func (o object) text(path ...string) string {
	s, _ := dig(o.fields, path...).(string)
	return s
}

func dig(m map[string]any, path ...string) any {
	var v any = m
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

// release returns the chart of a name, if the plan installs it.
func (f *facts) release(name string) (chart, bool) {
	for _, c := range f.charts {
		if c.name == name {
			return c, true
		}
	}
	return chart{}, false
}

func before(version, limit string) bool {
	return semver.IsValid(version) && semver.Compare(version, limit) < 0
}
func within(version, from, to string) bool {
	return semver.IsValid(version) && semver.Compare(version, from) >= 0 && semver.Compare(version, to) <= 0
}

func lastPart(s string) string {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return s[i+1:]
		}
	}
	return s
}
