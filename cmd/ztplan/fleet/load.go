package fleet

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/registry"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// Modes of a fleet, treatments of unhealthy clusters, and places of evidence.
const (
	ModeRun    = "run"
	ModeStatus = "status"

	UnhealthySkip = "skip"

	ToConfigMaps = "configMaps"
	ToOCI        = "oci"
)

const (
	defaultTimeout  = 30 * time.Minute
	defaultParallel = 10
)

// A Fleet is a checked fleet with the clusters that it knows.
type Fleet struct {
	File string // as the user named it
	Dir  string // absolute directory of the file
	*Document

	// Files are those that the plan reads for any cluster, without the plan itself, by
	// their path below the plan's directory.
	Files map[string]engine.File

	// Clusters in the order of the inventory.
	Clusters []*Cluster
	// Skipped are the names of ClusterProfiles that are left out because they are not
	// healthy.
	Skipped []string

	src      *source.File
	root     *yaml.Node
	problems *source.Collector
	types    *spec.Types
	inputs   *engine.Inputs
	plan     *plan.Plan
}

// A Profile is a ClusterProfile as far as a fleet needs it.
type Profile struct {
	Name       string
	Labels     map[string]string
	Properties map[string]string
	Server     Server
	Login      []byte // see [Cluster.Login]
	Unhealthy  string // why its control plane is not healthy; "" if it is, or that is not known
	Err        error  // why a fleet cannot have it
}

// An Input is a fleet to read.
type Input struct {
	File   string
	Inputs *engine.Inputs
	// Profiles reads the ClusterProfiles that the fleet selects from its hub. It is
	// called once the document itself is right, and not at all without profiles.
	Profiles func(d *Document) ([]Profile, error)
	// Plan reads the plan with the variables of one cluster. It is called from several
	// goroutines.
	Plan func(file string, values plan.Values) (*plan.Plan, error)
}

// Load reads and checks a fleet: the document, the inventory, and the plan with the
// variables of every cluster. The error is a *[source.Problems] with all that is wrong.
// Only the hub is contacted, and only for ClusterProfiles.
func Load(in Input) (*Fleet, error) {
	f := &Fleet{File: in.File, types: new(spec.Types), inputs: in.Inputs}
	if err := f.open(); err != nil {
		return nil, source.NewProblems(err)
	}
	if !f.document() {
		return nil, f.problems.Err()
	}
	if f.Document.Clusters.Profiles != nil && f.problems.Len() == 0 {
		list, err := in.Profiles(f.Document)
		if err != nil {
			return nil, err
		}
		f.addProfiles(list)
	}
	f.checkClusters()
	if f.problems.Len() == 0 {
		f.assignWaves()
		f.checkPlans(in.Plan)
	}
	if err := f.problems.Err(); err != nil {
		return nil, err
	}
	return f, nil
}

// Read reads and checks the document of a fleet, without its inventory and its plan.
func Read(file string, inputs *engine.Inputs) (*Document, error) {
	f := &Fleet{File: file, types: new(spec.Types), inputs: inputs}
	if err := f.open(); err != nil {
		return nil, source.NewProblems(err)
	}
	f.decode()
	return f.Document, f.problems.Err()
}

func (f *Fleet) open() *source.Problem {
	data, err := f.inputs.ReadGiven(f.File)
	var abs string
	if err == nil {
		abs, err = filepath.Abs(f.File)
	}
	if err != nil {
		return &source.Problem{Position: source.Position{File: f.File}, Summary: source.Unread(err).Error()}
	}
	f.Dir = filepath.Dir(abs)
	f.src = source.NewFile(f.File, data)
	f.problems = source.NewCollector(f.inputs, f.src, f.Dir, nil)
	return nil
}

// decode decodes the document and checks its types.
func (f *Fleet) decode() {
	f.Document = NewDocument()
	if f.root = source.Parse(f.src, "a fleet", f.problems.Add); f.root == nil {
		if f.problems.Len() == 0 {
			f.problems.Add(&source.Problem{Position: source.Position{File: f.File, Line: 1, Column: 1}, Summary: "the fleet is empty",
				Hint: "a fleet begins with apiVersion: " + APIVersion})
		}
		return
	}
	if f.root.Kind != yaml.MappingNode {
		f.problem(f.root, "a fleet begins with apiVersion: "+APIVersion, "want a fleet, have %s", source.KindOf(f.root))
		return
	}
	if _, waves := source.Lookup(f.root, "waves"); waves != nil {
		limitsAsText(waves)
	}
	f.decoder(unknownCluster{}, "").Decode(f.root, nil, f.Document)
}

// document decodes the document and makes the checks that types cannot express. It
// reports whether the inventory can be looked at.
func (f *Fleet) document() bool {
	f.decode()
	if f.problems.Len() > 0 {
		return false
	}
	if !isName(f.Metadata.Name) {
		f.problem(f.at("metadata", "name"), "use lower-case letters, digits and hyphens, beginning with a letter", "metadata.name: %q is not a name", f.Metadata.Name)
	}
	if len(f.Waves) == 0 {
		f.Waves = []Wave{{Name: "all"}}
	}
	f.checkWaves()
	f.checkAccess()
	f.checkEvidence()
	f.addKubeconfigs()
	return true
}

// limitsAsText makes a limit that is written as a number text: it may be a percentage.
func limitsAsText(waves *yaml.Node) {
	for _, w := range waves.Content {
		_, stop := source.Lookup(w, "stop")
		if stop == nil {
			continue
		}
		if _, n := source.Lookup(stop, "failures"); n != nil && n.Tag == "!!int" {
			n.Tag = "!!str"
		}
	}
}

func (f *Fleet) checkAccess() {
	a, n := &f.Document.Access, f.at("access")
	given := 0
	for _, set := range []bool{a.Keyless != nil, a.Providers != nil, a.Secrets != nil} {
		if set {
			given++
		}
	}
	switch {
	case f.Document.Pull != nil && given > 0:
		f.problem(n, "remove one of them", "access: a cluster that pulls its Job runs it with its own ServiceAccount")
	case f.Document.Pull != nil:
	case given > 1:
		f.problem(n, "keep one of keyless, providers and secrets", "access: has %d ways", given)
	case given == 0 && f.Document.Clusters.Profiles != nil:
		f.problem(n, "write access: {keyless: {audience: …}} or access: {providers: {file: …}}", "access is missing: a ClusterProfile holds no credentials")
	case given == 0:
		a.Secrets = new(Secrets)
	}
	if a.Providers != nil && f.Document.Clusters.Profiles == nil {
		f.problem(n, "use keyless, or secrets", "access.providers: only ClusterProfiles have access providers")
	}
	if a.Secrets != nil && f.Document.Clusters.Profiles != nil {
		f.problem(n, "use keyless, or providers", "access.secrets: a ClusterProfile holds no credentials")
	}
	if a.Keyless != nil && a.Keyless.Audience == "" {
		if _, written := source.Lookup(f.at("access", "keyless"), "audience"); written == nil {
			f.problem(n, `write audience: "${cluster.name}" if each member accepts its own name`, "access.keyless.audience is missing: a token for every cluster would open every cluster")
		}
	}
}

func (f *Fleet) checkEvidence() {
	e, n := f.Evidence, f.at("evidence")
	if (e.To == ToOCI) != (e.Repository != "") {
		f.problem(n, "write evidence: {to: oci, repository: registry.example.com/ztplan/evidence}", "evidence: to: oci and a repository belong together")
	}
	if e.To != ToOCI && (e.Secret != "" || e.PlainHTTP) {
		f.problem(n, "write evidence: {to: oci, repository: …}, or remove it", "evidence: secret and plainHTTP are for a registry")
	}
	if e.Secret != "" && len(utilvalidation.IsDNS1123Subdomain(e.Secret)) > 0 {
		f.problem(f.at("evidence", "secret"), "write the name of the Secret only", "evidence.secret: %q is no name of a Secret", e.Secret)
	}
	if e.Repository != "" {
		if _, err := registry.Open(record.Registry{Repository: e.Repository}, nil); err != nil {
			f.problem(f.at("evidence", "repository"), "write HOST/PATH, without a scheme and a tag", "evidence.repository: %v", err)
		}
	}
	if strings.Contains(e.Sign, "://") {
		f.problem(f.at("evidence", "sign"), "write the path of a PEM file",
			"evidence.sign: %q is no file: a key in Vault is reached through the connections of a plan, and a fleet has none", e.Sign)
	}
}

// checkPlans reads the plan with the variables of every cluster; clusters with the
// same variables share one.
func (f *Fleet) checkPlans(load func(string, plan.Values) (*plan.Plan, error)) {
	if !f.substituteVars() {
		return
	}
	seenVars := make(map[string]bool)
	var distinct []*Cluster
	for _, c := range f.Clusters {
		if !seenVars[c.Vars] {
			seenVars[c.Vars] = true
			distinct = append(distinct, c)
		}
	}
	results := make([]checked, len(distinct))
	check := func(i int, p *plan.Plan, err error) {
		if err != nil {
			results[i].problems = problemsOf(err, f.Document.Plan.Name)
			return
		}
		results[i] = f.checkPlan(p)
	}
	// The first one is read alone: the others need not parse the file again.
	first, err := load(f.beside(f.Document.Plan.Name), plan.Values{File: f.src, Node: distinct[0].vars})
	check(0, first, err)
	f.plan = first
	concurrently(len(distinct)-1, func(i int) {
		values := plan.Values{File: f.src, Node: distinct[i+1].vars}
		if first != nil {
			p, err := first.With(values)
			check(i+1, p, err)
			return
		}
		p, err := load(f.beside(f.Document.Plan.Name), values)
		check(i+1, p, err)
	})
	f.Files = make(map[string]engine.File)
	seen := make(map[string]bool)
	for i, r := range results {
		for _, p := range r.problems {
			f.addPlanProblem(seen, distinct[i], p)
		}
		maps.Copy(f.Files, r.files)
	}
	names := make(map[string]string, len(distinct)) // of the plan, by variables
	for i, c := range distinct {
		names[c.Vars] = results[i].name
	}
	for _, c := range f.Clusters {
		c.Plan = names[c.Vars]
	}
}

// PlanNames returns the names that the plan has in the clusters, sorted and each once.
func (f *Fleet) PlanNames() []string {
	names := make(map[string]bool, 1)
	for _, c := range f.Clusters {
		names[c.Plan] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func problemsOf(err error, file string) []*source.Problem {
	var list *source.Problems
	if errors.As(err, &list) {
		return list.List()
	}
	return []*source.Problem{{Position: source.Position{File: file}, Summary: err.Error(), Hint: engine.HintOf(err)}}
}

// Plan returns the plan with the variables of the first cluster.
func (f *Fleet) Plan() *plan.Plan { return f.plan }

// addPlanProblem adds a problem of the plan, with the cluster whose variables it comes
// from. The same one is not repeated for each cluster.
func (f *Fleet) addPlanProblem(seen map[string]bool, c *Cluster, p *source.Problem) {
	key := p.Position.String() + " " + p.Summary
	if seen[key] {
		return
	}
	seen[key] = true
	own := *p
	own.Snippet = ""
	if len(f.Clusters) > 1 && c.Vars != "" {
		own.Summary = strings.TrimSpace(fmt.Sprintf("with the variables of cluster %s: %s", c.Name, p.Summary))
	}
	f.problems.Add(&own)
}

// decoder returns a decoder of the document.
func (f *Fleet) decoder(scope spec.Scope, subject string) *spec.Decoder {
	return &spec.Decoder{
		Types: f.types, Scope: scope, Forms: referenceForms, Subject: subject, Report: f.problems.Add,
		Document: spec.Document{File: f.src, FileOf: func(name string) engine.File { return f.inputs.File(f.Dir, name) }},
	}
}

// beside returns the name of a file beside the fleet's, as the user would name it.
func (f *Fleet) beside(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(f.File), name)
}

// problem reports something wrong with the fleet at a node.
func (f *Fleet) problem(n *yaml.Node, hint, format string, args ...any) {
	f.problems.Add(&source.Problem{Position: source.Position{File: f.File, Line: n.Line, Column: n.Column}, Summary: fmt.Sprintf(format, args...), Hint: hint})
}

// at returns the node at a path of keys, or the deepest one that is written.
func (f *Fleet) at(path ...string) *yaml.Node {
	n := f.root
	for _, key := range path {
		_, v := source.Lookup(n, key)
		if v == nil {
			break
		}
		n = v
	}
	return n
}

func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || i > 0 && (c >= '0' && c <= '9' || c == '-' && i < len(s)-1)) {
			return false
		}
	}
	return s != ""
}

// Text returns the document as it was read.
func (f *Fleet) Text() ([]byte, error) { return f.inputs.ReadGiven(f.File) }
