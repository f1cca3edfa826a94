package lint

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	"golang.org/x/mod/semver"
	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/kubeyaml"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/steps/applymanifest"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/k8sauth"
	"github.com/ztplan/ztplan/steps/pkiintermediate"
	"github.com/ztplan/ztplan/steps/pkiroot"
	"github.com/ztplan/ztplan/steps/vaultinit"
)

// facts are the parts of a plan that the rules read.
type facts struct {
	plan    *plan.Plan
	order   map[string]int
	charts  []chart
	roots   []of[*pkiroot.Spec]
	inter   []of[*pkiintermediate.Spec]
	auths   []of[*k8sauth.Spec]
	inits   []of[*vaultinit.Spec]
	applied []of[*applymanifest.Spec]
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
	field  string     // the input of the step that holds it, "manifests[0]"
	file   string     // that it is written in; empty inside the plan
	node   *yaml.Node // its document in the file
	kind   string
	name   string
	space  string // the step's if it names none
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
			f.applied = append(f.applied, of[*applymanifest.Spec]{s, spec})
			f.objects = append(f.objects, objectsOf(s, spec)...)
		}
	}
	return f
}

func chartOf(s *plan.Step, spec *helminstall.Spec) chart {
	c := chart{of: of[*helminstall.Spec]{s, spec}, name: lastPart(spec.Chart), version: spec.Version, values: spec.MergedValues()}
	if c.version != "" && c.version[0] != 'v' {
		c.version = "v" + c.version
	}
	return c
}

// objectsOf returns the manifests of a step. What cannot be read is a problem
// of the plan that validating has already found.
func objectsOf(s *plan.Step, spec *applymanifest.Spec) []object {
	var out []object
	add := func(o object, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		meta, _ := m["metadata"].(map[string]any)
		o.step, o.fields = s, m
		o.kind, _ = m["kind"].(string)
		o.name, _ = meta["name"].(string)
		o.space, _ = meta["namespace"].(string)
		o.space = cmp.Or(o.space, spec.Namespace)
		out = append(out, o)
	}
	text := func(o object, text []byte) {
		for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var doc yaml.Node
			if err := d.Decode(&doc); err != nil {
				return // the end, or a problem of the plan
			}
			v, _ := kubeyaml.Decode(&doc)
			if o.file != "" {
				o.node = &doc
			}
			add(o, v)
		}
	}
	for i, file := range spec.Files {
		if b, err := file.Read(); err == nil {
			text(object{field: fmt.Sprintf("files[%d]", i), file: file.Path}, b)
		}
	}
	item := func(o object, v any) {
		if t, ok := v.(string); ok {
			text(o, []byte(t))
			return
		}
		add(o, v)
	}
	if list, ok := spec.Manifests.([]any); ok {
		for i, v := range list {
			item(object{field: fmt.Sprintf("manifests[%d]", i)}, v)
		}
	} else {
		item(object{field: "manifests"}, spec.Manifests)
	}
	return out
}

// position returns where a field of the object is written, "spec.duration", or
// the nearest one around it.
func (o object) position(field string) string {
	if o.node == nil {
		return o.step.PositionOf(o.field + "." + field).String()
	}
	n := o.node.Content[0]
	at := n
	for key := range strings.SplitSeq(field, ".") {
		var next *yaml.Node
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				at, next = n.Content[i], n.Content[i+1]
			}
		}
		if next == nil {
			break
		}
		n = next
	}
	return source.Position{File: o.file, Line: at.Line, Column: at.Column}.String()
}

// finding makes a finding about a field of the object.
func (o object) finding(severity Severity, rule, hint, why, field, format string, args ...any) Finding {
	return Finding{
		Severity: severity, Rule: rule, Step: o.step.ID, Position: o.position(field),
		Message: fmt.Sprintf(format, args...), Why: why, Hint: hint,
	}
}

// roleOf returns the role of the plan that signs a Certificate, if the plan has
// its issuer, too.
func (f *facts) roleOf(cert object) (pkiintermediate.Role, bool) {
	kind := cmp.Or(cert.text("spec", "issuerRef", "kind"), "Issuer")
	for _, o := range f.objects {
		if o.kind != kind || o.name != cert.text("spec", "issuerRef", "name") || kind == "Issuer" && o.space != cert.space {
			continue
		}
		for _, i := range f.inter {
			for _, r := range i.spec.Roles {
				if o.text("spec", "vault", "path") == i.spec.Mount+"/sign/"+r.Name {
					return r, true
				}
			}
		}
	}
	return pkiintermediate.Role{}, false
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
