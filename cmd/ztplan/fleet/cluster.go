package fleet

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// A Cluster is a member of a fleet.
type Cluster struct {
	Name       string
	Labels     map[string]string
	Properties map[string]string
	Wave       int // index in Document.Waves
	Server     Server
	// Vars are the plan's variables for the cluster, as YAML; "" for none.
	Vars string
	// Plan is the name of the plan, which may be made of its variables.
	Plan string
	// Audience of the tokens, with access.keyless.
	Audience string
	// Kubeconfig holds the credentials, with access.secrets: one context, all data in it.
	Kubeconfig []byte

	// Login is a kubeconfig without credentials that runs a command of the image to get
	// some, with access.providers.
	Login []byte

	at   source.Position
	vars *yaml.Node
}

// A Server is the API server of a cluster.
type Server struct {
	URL           string
	CA            []byte // PEM; empty for the system's roots
	TLSServerName string
}

// Position returns where the cluster is listed, or the inventory.
func (c *Cluster) Position() source.Position { return c.at }

// clusterKeys are the parts of a reference to a cluster.
var clusterKeys = []string{"name", "labels", "properties"}

// unknownCluster checks references to a cluster that is not known: each is a text.
type unknownCluster struct{}

func (unknownCluster) Resolve(_ *yaml.Node, ref *syntax.Reference) (spec.Value, *spec.Fault) {
	if _, fault := clusterPath(ref); fault != nil {
		return spec.Value{}, fault
	}
	return spec.Value{Type: textType}, nil
}

const referenceForms = "references are ${cluster.name}, ${cluster.labels.KEY} and ${cluster.properties.KEY}; " + syntax.LiteralHint

// clusterPath checks the form of a reference to a cluster.
func clusterPath(ref *syntax.Reference) (key string, _ *spec.Fault) {
	if ref.Root != "cluster" {
		return "", &spec.Fault{Message: fmt.Sprintf("%s: a fleet refers to clusters only", ref.Raw), Hint: referenceForms}
	}
	first := ""
	if len(ref.Path) > 0 {
		first = ref.Path[0].Name
	}
	switch {
	case first == "name" && len(ref.Path) == 1:
		return "", nil
	case (first == "labels" || first == "properties") && len(ref.Path) == 2 && ref.Path[1].Index < 0:
		return ref.Path[1].Name, nil
	}
	return "", &spec.Fault{Message: fmt.Sprintf("%s: a cluster has name, labels.KEY and properties.KEY", ref.Raw), Hint: source.DidYouMean(first, clusterKeys)}
}

// Resolve returns the value of a reference for the cluster.
func (c *Cluster) Resolve(_ *yaml.Node, ref *syntax.Reference) (spec.Value, *spec.Fault) {
	key, fault := clusterPath(ref)
	if fault != nil {
		return spec.Value{}, fault
	}
	noun, values := "name", map[string]string{"": c.Name}
	switch ref.Path[0].Name {
	case "labels":
		noun, values = "label", c.Labels
	case "properties":
		noun, values = "property", c.Properties
	}
	text, ok := values[key]
	if !ok {
		hint := "it has none"
		if len(values) > 0 {
			hint = source.Suggestion(key, slices.Sorted(maps.Keys(values)), "it has ")
		}
		return spec.Value{}, &spec.Fault{Message: fmt.Sprintf("%s: cluster %s has no %s %q", ref.Raw, c.Name, noun, key), Hint: hint}
	}
	return spec.Value{Node: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}}, nil
}

// substituteVars gives every cluster its variables and its audience. The same problem
// is reported for the first cluster that has it, with the number of the others. It
// reports whether every cluster has its variables.
func (f *Fleet) substituteVars() bool {
	_, vars := source.Lookup(f.root, "vars")
	audience := f.at("access", "keyless", "audience")
	counts := make(map[string]int)
	first := make(map[string]*source.Problem)
	var order []string
	report := func(p *source.Problem) {
		key := fmt.Sprint(p.Line, ":", p.Column)
		if counts[key]++; counts[key] == 1 {
			first[key] = p
			order = append(order, key)
		}
	}
	for _, c := range f.Clusters {
		d := f.decoder(c, "")
		d.Report = report
		if !source.IsNull(vars) {
			d.Subject = "vars"
			if v, ok := d.Substitute(vars); ok {
				c.vars = v.Node
				text, err := yaml.Marshal(v.Node)
				if err != nil {
					f.problem(vars, "", "vars: %v", err)
					return false
				}
				c.Vars = string(text)
			}
		}
		if f.Document.Access.Keyless != nil {
			d.Subject = "access.keyless"
			if v, ok := d.Substitute(audience); ok {
				c.Audience = v.Node.Value
			}
		}
	}
	for _, key := range order {
		p := *first[key]
		if more := counts[key] - 1; more > 0 {
			p.Summary += fmt.Sprintf(" (and %d more)", more)
		}
		f.problems.Add(&p)
	}
	f.checkAudiences(audience)
	return len(order) == 0
}

// checkAudiences refuses one audience for two clusters: a token for one would open the
// other.
func (f *Fleet) checkAudiences(at *yaml.Node) {
	if f.Document.Access.Keyless == nil || f.problems.Len() > 0 {
		return
	}
	seen := make(map[string]*Cluster)
	for _, c := range f.Clusters {
		if other := seen[c.Audience]; other != nil {
			f.problem(at, `use a property that differs, such as "${cluster.name}"`, "access.keyless.audience: clusters %s and %s have the same, %q: a token for one would open the other", other.Name, c.Name, c.Audience)
			return
		}
		seen[c.Audience] = c
	}
}

// concurrently calls f for 0 to n-1, as many at once as there are processors.
func concurrently(n int, f func(int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	all.Wait()
}
