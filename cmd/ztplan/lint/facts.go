package lint

import (
	"bytes"
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/hosting"

	"github.com/ztplan/ztplan/engine/kubeyaml"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/steps/applymanifest"
	"github.com/ztplan/ztplan/steps/assertdenied"
	"github.com/ztplan/ztplan/steps/assertrotation"
	"github.com/ztplan/ztplan/steps/curltls"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/k8sauth"
	"github.com/ztplan/ztplan/steps/pkiintermediate"
	"github.com/ztplan/ztplan/steps/pkiroot"
	"github.com/ztplan/ztplan/steps/vaultinit"
	"github.com/ztplan/ztplan/steps/vaultunseal"
)

// facts are the parts of a plan that the checks read.
type facts struct {
	plan    *plan.Plan
	options Options
	order   map[string]int
	charts  []chart
	roots   []of[*pkiroot.Spec]
	inter   []of[*pkiintermediate.Spec]
	auths   []of[*k8sauth.Spec]
	inits   []of[*vaultinit.Spec]
	unseals []of[*vaultunseal.Spec]
	applied []of[*applymanifest.Spec]
	objects []object
	proofs  []proof
	texts   map[string][]byte // of the files that findings can be in, by their names in messages
}

// of is a step with its decoded inputs.
type of[S any] struct {
	step *plan.Step
	spec S
}

// A chart is a release with the values that the plan gives it.
type chart struct {
	of[*helminstall.Spec]
	display func(path string) string
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
	space  string // the step's, or default, if it names none
	fields map[string]any
}

// A proof is a step that measures.
type proof struct {
	step     *plan.Step
	host     string // that it requests; empty if it is not known, or none
	rotates  string // namespace/name of the Certificate that it renews; empty if it is not known
	rotation bool   // it renews a Certificate
	client   bool   // it presents a client certificate
	denies   bool   // it proves that other clients are refused
}

func gather(p *plan.Plan, o Options) *facts {
	f := &facts{plan: p, options: o, order: make(map[string]int), texts: make(map[string][]byte)}
	for _, src := range p.Sources() {
		f.texts[src.Name] = src.Text()
	}
	for i, s := range p.Steps {
		f.order[s.ID] = i
		if s.Kind == nil || s.Empty {
			continue
		}
		spec, _ := s.Draft()
		switch spec := spec.(type) {
		case *helminstall.Spec:
			f.charts = append(f.charts, chartOf(p, s, spec))
			f.keep(spec.ValuesFiles)
		case *pkiroot.Spec:
			f.roots = append(f.roots, of[*pkiroot.Spec]{s, spec})
		case *pkiintermediate.Spec:
			f.inter = append(f.inter, of[*pkiintermediate.Spec]{s, spec})
		case *k8sauth.Spec:
			f.auths = append(f.auths, of[*k8sauth.Spec]{s, spec})
		case *vaultinit.Spec:
			f.inits = append(f.inits, of[*vaultinit.Spec]{s, spec})
		case *vaultunseal.Spec:
			f.unseals = append(f.unseals, of[*vaultunseal.Spec]{s, spec})
		case *applymanifest.Spec:
			f.applied = append(f.applied, of[*applymanifest.Spec]{s, spec})
			f.objects = append(f.objects, objectsOf(p, s, spec)...)
			f.keep(spec.Files)
		}
		if s.Kind.Proof {
			f.proofs = append(f.proofs, proofOf(s, spec))
		}
	}
	return f
}

// keep reads files that findings can be in; those that cannot be read have none.
func (f *facts) keep(files []engine.File) {
	for _, file := range files {
		if b, err := file.Read(); err == nil {
			f.texts[f.plan.Display(file.Path)] = b
		}
	}
}

func proofOf(s *plan.Step, spec any) proof {
	host := func(text string) string {
		u, err := url.Parse(text)
		if err != nil {
			return ""
		}
		return u.Hostname()
	}
	switch spec := spec.(type) {
	case *curltls.Spec:
		return proof{step: s, host: host(spec.URL), client: spec.Client != nil}
	case *assertrotation.Spec:
		out := proof{step: s, host: host(spec.URL), rotation: true, client: spec.Client != nil}
		if c := spec.Certificate; c.Name != "" && c.Namespace != "" {
			out.rotates = c.String()
		}
		return out
	case *assertdenied.Spec:
		url, presents, denies := spec.Clients()
		return proof{step: s, host: host(url), client: presents, denies: denies}
	}
	return proof{step: s}
}

// isKnown reports whether an input does not wait for another step.
func isKnown(s *plan.Step, field string) bool {
	_, pending := s.Draft()
	return !slices.ContainsFunc(pending, func(p string) bool { return p == field || strings.HasPrefix(field, p+".") })
}

func chartOf(p *plan.Plan, s *plan.Step, spec *helminstall.Spec) chart {
	c := chart{of: of[*helminstall.Spec]{s, spec}, display: p.Display, name: lastPart(cmp.Or(spec.Chart, spec.Repo)), version: spec.Version, values: spec.MergedValues()}
	if c.version != "" && c.version[0] != 'v' {
		c.version = "v" + c.version
	}
	return c
}

// value returns a value of the plan, by its dotted path; nil if there is none.
func (c chart) value(path string) any { return hosting.Dig(c.values, strings.Split(path, ".")...) }

// text returns a value that is a text.
func (c chart) text(path string) string {
	s, _ := c.value(path).(string)
	return s
}

// finding makes a finding about a value. One that the plan leaves to the chart is where
// the plan names the chart.
func (c chart) finding(path, rule, hint, format string, args ...any) Finding {
	f := at(c.step, "chart", rule, hint, format, args...)
	f.Place = c.place(path)
	return f
}

func (c chart) place(path string) source.Position {
	keys := strings.Split(path, ".")
	if hosting.Dig(c.spec.Values, keys...) != nil {
		return c.step.PositionOf("values." + path)
	}
	for _, file := range slices.Backward(c.spec.ValuesFiles) {
		b, err := file.Read()
		var doc yaml.Node
		if err != nil || yaml.Unmarshal(b, &doc) != nil || len(doc.Content) == 0 {
			continue
		}
		if at, whole := locate(doc.Content[0], keys); whole {
			return source.Position{File: c.display(file.Path), Line: at.Line, Column: at.Column}
		}
	}
	return c.step.PositionOf("chart")
}

// locate returns the key of a path in a document, or the nearest one around it.
func locate(n *yaml.Node, path []string) (at *yaml.Node, whole bool) {
	at = n
	for _, key := range path {
		k, v := source.Lookup(n, key)
		if v == nil {
			return at, false
		}
		at, n = k, v
	}
	return at, true
}

// objectsOf returns the manifests of a step. A manifest that cannot be read is a problem
// that validation of the plan has found already.
func objectsOf(p *plan.Plan, s *plan.Step, spec *applymanifest.Spec) []object {
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
		o.space = cmp.Or(o.space, spec.Namespace, "default")
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
			text(object{field: fmt.Sprintf("files[%d]", i), file: p.Display(file.Path)}, b)
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

// place returns where a field of the object is written, "spec.duration", or
// the nearest one around it.
func (o object) place(field string) source.Position {
	if o.node == nil {
		return o.step.PositionOf(o.field + "." + field)
	}
	at, _ := locate(o.node.Content[0], strings.Split(field, "."))
	return source.Position{File: o.file, Line: at.Line, Column: at.Column}
}

// finding makes a finding about a field of the object; hint is empty for that of the rule.
func (o object) finding(field, rule, hint, format string, args ...any) Finding {
	return Finding{Rule: rule, Step: o.step.ID, Place: o.place(field), Message: fmt.Sprintf(format, args...), Hint: hint}
}

// isIssuer reports whether the object is an Issuer or ClusterIssuer.
func (o object) isIssuer() bool { return o.kind == "ClusterIssuer" || o.kind == "Issuer" }

// id names the object within its kind.
func (o object) id() string { return o.space + "/" + o.name }

// A signer is a role of the plan that signs certificates.
type signer struct {
	pkiintermediate.Role
	step  *plan.Step
	field string // of the step, "roles[0]"
	mount string
	path  string // that signs with it, "pki_int/sign/web"
	// server is the Vault that it is in, as [engine.ServerUser] has it.
	server string
}

// signers returns the roles of all pkiIntermediate steps.
func (f *facts) signers() []signer {
	var out []signer
	for _, i := range f.inter {
		for n, r := range i.spec.Roles {
			out = append(out, signer{r, i.step, fmt.Sprintf("roles[%d]", n), i.spec.Mount, i.spec.Mount + "/sign/" + r.Name, i.spec.ServerID()})
		}
	}
	return out
}

// issuerOf returns the issuer of a Certificate, if the plan has it.
func (f *facts) issuerOf(cert object) (object, bool) {
	kind := cmp.Or(cert.text("spec", "issuerRef", "kind"), "Issuer")
	i := slices.IndexFunc(f.objects, func(o object) bool {
		return o.kind == kind && o.name == cert.text("spec", "issuerRef", "name") && (kind != "Issuer" || o.space == cert.space)
	})
	if i < 0 {
		return object{}, false
	}
	return f.objects[i], true
}

// roleOf returns the role of the plan that signs a Certificate, if the plan has
// its issuer, too.
func (f *facts) roleOf(cert object) (signer, bool) {
	issuer, ok := f.issuerOf(cert)
	if !ok {
		return signer{}, false
	}
	for _, r := range f.signers() {
		if r.path == issuer.text("spec", "vault", "path") {
			return r, true
		}
	}
	return signer{}, false
}

func (o object) text(path ...string) string {
	return o.hosting().Text(path...)
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

// lastPart returns the text behind the last slash.
func lastPart(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }
