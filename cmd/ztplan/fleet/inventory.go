package fleet

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
)

var textType = reflect.TypeFor[string]()

// MostClusters bounds a fleet: a Job takes more, the objects of a run are made for it.
const MostClusters = 10_000

// addKubeconfigs adds the clusters of the document and of the inventory file.
func (f *Fleet) addKubeconfigs() {
	inv := f.Document.Clusters
	if inv.Profiles == nil && len(inv.Kubeconfigs) == 0 && inv.File.IsZero() {
		f.problem(f.at("clusters"), "name clusters below profiles, kubeconfigs or file", "clusters: there are none")
		return
	}
	list := f.at("clusters", "kubeconfigs")
	var entries []entry
	for i, k := range inv.Kubeconfigs {
		n := list.Content[i]
		entries = append(entries, entry{k, source.Position{File: f.File, Line: n.Line, Column: n.Column}})
	}
	if !inv.File.IsZero() {
		entries = append(entries, f.inventoryFile()...)
	}
	f.readKubeconfigs(entries)
}

// inventoryFile returns the clusters of the file that the document names.
func (f *Fleet) inventoryFile() (entries []entry) {
	inv := f.Document.Clusters.File
	data, err := inv.Read()
	if err != nil {
		f.problem(f.at("clusters", "file"), "", "clusters.file: %v", err)
		return nil
	}
	src := source.NewFile(f.beside(inv.Name), data)
	f.problems.AddFile(src)
	root := source.Parse(src, "a list of clusters", f.problems.Add)
	if root == nil {
		return nil
	}
	if root.Kind != yaml.SequenceNode {
		f.problems.Add(&source.Problem{Position: source.Position{File: src.Name, Line: root.Line, Column: root.Column},
			Summary: "want a list of clusters", Hint: "write one cluster after a hyphen: - {name: …, file: …}"})
		return nil
	}
	if len(root.Content) > MostClusters {
		f.problems.Add(&source.Problem{Position: source.Position{File: src.Name, Line: root.Line, Column: root.Column},
			Summary: fmt.Sprintf("%d clusters: a fleet has at most %d", len(root.Content), MostClusters), Hint: "divide them into several fleets"})
		return nil
	}
	for i, n := range root.Content {
		var k Kubeconfig
		d := f.decoder(noReferences{}, fmt.Sprintf("[%d]", i))
		d.File = src
		before := f.problems.Len()
		d.Decode(n, nil, &k)
		if f.problems.Len() == before {
			entries = append(entries, entry{k, source.Position{File: src.Name, Line: n.Line, Column: n.Column}})
		}
	}
	return entries
}

func (f *Fleet) addProfiles(list []Profile) {
	n := f.at("clusters", "profiles")
	at := source.Position{File: f.File, Line: n.Line, Column: n.Column}
	if len(list) == 0 {
		f.problem(n, "kubectl get clusterprofiles --namespace "+f.Document.Clusters.Profiles.Namespace+" --show-labels", "clusters.profiles: no ClusterProfile is selected")
	}
	for _, p := range list {
		switch {
		case p.Unhealthy != "" && f.Document.Clusters.Profiles.Unhealthy == UnhealthySkip:
			f.Skipped = append(f.Skipped, p.Name)
			continue
		case p.Unhealthy != "":
			f.problem(n, "leave such clusters out with clusters.profiles.unhealthy: skip", "ClusterProfile %s is not healthy: %s", p.Name, p.Unhealthy)
			continue
		case p.Err != nil:
			f.problem(n, engine.HintOf(p.Err), "ClusterProfile %s: %v", p.Name, p.Err)
			continue
		}
		f.Clusters = append(f.Clusters, &Cluster{Name: p.Name, Labels: p.Labels, Properties: p.Properties, Server: p.Server, Login: p.Login, at: at})
	}
	if len(list) > 0 && len(f.Skipped) == len(list) {
		f.problem(n, "", "clusters.profiles: none of the %d ClusterProfiles is healthy", len(list))
	}
}

// checkClusters checks names, and that no API server is in the fleet twice.
func (f *Fleet) checkClusters() {
	if len(f.Clusters) > MostClusters {
		f.problem(f.at("clusters"), "divide them into several fleets", "clusters: %d, and a fleet has at most %d", len(f.Clusters), MostClusters)
		return
	}
	if len(f.Clusters) == 0 && f.problems.Len() == 0 {
		f.problem(f.at("clusters"), "list one after a hyphen: - {name: …, file: …}", "clusters: there are none")
		return
	}
	names, servers := make(map[string]*Cluster), make(map[string]*Cluster)
	for _, c := range f.Clusters {
		add := func(hint, format string, args ...any) {
			f.problems.Add(&source.Problem{Position: c.at, Summary: fmt.Sprintf(format, args...), Hint: hint})
		}
		if msgs := utilvalidation.IsDNS1123Subdomain(c.Name); len(msgs) > 0 {
			add("use lower-case letters, digits, hyphens and dots", "cluster %q: is not a name", c.Name)
			continue
		}
		if other := names[c.Name]; other != nil {
			add("give one of them another name", "cluster %s: the name is taken by the one at %s", c.Name, other.at)
			continue
		}
		names[c.Name] = c
		if f.Document.Pull != nil {
			continue
		}
		u, err := url.Parse(c.Server.URL)
		if err != nil || u.Scheme != "https" || u.Host == "" {
			add("write https://HOST:PORT", "cluster %s: %q is no address of an API server", c.Name, c.Server.URL)
			continue
		}
		if other := servers[c.Server.URL]; other != nil && f.Mode == ModeRun {
			add("remove one of them: two runs of one plan must not write to one cluster", "clusters %s and %s are the same API server, %s", other.Name, c.Name, c.Server.URL)
		}
		servers[c.Server.URL] = c
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
