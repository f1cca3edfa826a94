package fleet

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

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
	for i, k := range inv.Kubeconfigs {
		n := list.Content[i]
		f.addKubeconfig(k, source.Position{File: f.File, Line: n.Line, Column: n.Column})
	}
	if !inv.File.IsZero() {
		f.inventoryFile()
	}
}

// inventoryFile adds the clusters of the file that the document names.
func (f *Fleet) inventoryFile() {
	inv := f.Document.Clusters.File
	data, err := inv.Read()
	if err != nil {
		f.problem(f.at("clusters", "file"), "", "clusters.file: %v", err)
		return
	}
	src := source.NewFile(f.beside(inv.Name), data)
	f.problems.AddFile(src)
	root := source.Parse(src, "a list of clusters", f.problems.Add)
	if root == nil {
		return
	}
	if root.Kind != yaml.SequenceNode {
		f.problems.Add(&source.Problem{Position: source.Position{File: src.Name, Line: root.Line, Column: root.Column},
			Summary: "want a list of clusters", Hint: "write one cluster after a hyphen: - {name: …, file: …}"})
		return
	}
	if len(root.Content) > MostClusters {
		f.problems.Add(&source.Problem{Position: source.Position{File: src.Name, Line: root.Line, Column: root.Column},
			Summary: fmt.Sprintf("%d clusters: a fleet has at most %d", len(root.Content), MostClusters), Hint: "divide them into several fleets"})
		return
	}
	for i, n := range root.Content {
		var k Kubeconfig
		d := f.decoder(noReferences{}, fmt.Sprintf("[%d]", i))
		d.File = src
		before := f.problems.Len()
		d.Decode(n, nil, &k)
		if f.problems.Len() == before {
			f.addKubeconfig(k, source.Position{File: src.Name, Line: n.Line, Column: n.Column})
		}
	}
}

// addKubeconfig adds a cluster with the context of its kubeconfig that it names.
func (f *Fleet) addKubeconfig(k Kubeconfig, at source.Position) {
	add := func(hint, format string, args ...any) {
		f.problems.Add(&source.Problem{Position: at,
			Summary: fmt.Sprintf("cluster %s: ", k.Name) + fmt.Sprintf(format, args...), Hint: hint})
	}
	data, err := k.File.Read()
	var config *clientcmdapi.Config
	if err == nil {
		config, err = clientcmd.Load(data)
	}
	if err != nil {
		add("", "%s: %v", k.File.Name, withoutValues(err))
		return
	}
	name := cmp.Or(k.Context, config.CurrentContext)
	context := config.Contexts[name]
	if context == nil {
		add(source.Suggestion(name, sortedKeys(config.Contexts), "it has "), "%s has no context %q", k.File.Name, name)
		return
	}
	cluster, user := config.Clusters[context.Cluster], config.AuthInfos[context.AuthInfo]
	if cluster == nil || user == nil {
		add("", "%s: context %s names a cluster or a user that is not in it", k.File.Name, name)
		return
	}
	config.CurrentContext = name
	for _, c := range config.Clusters {
		c.LocationOfOrigin = k.File.Path
	}
	for _, u := range config.AuthInfos {
		u.LocationOfOrigin = k.File.Path
	}
	if err := clientcmdapi.MinifyConfig(config); err != nil {
		add("", "%s: %v", k.File.Name, err)
		return
	}
	if err := clientcmdapi.FlattenConfig(config); err != nil {
		add("", "%s: %v", k.File.Name, err)
		return
	}
	cluster, user = config.Clusters[context.Cluster], config.AuthInfos[context.AuthInfo]
	if cluster.InsecureSkipTLSVerify {
		add("give it certificate-authority-data", "%s: insecure-skip-tls-verify: TLS is always verified", k.File.Name)
	}
	c := &Cluster{
		Name: k.Name, Labels: k.Labels, Properties: k.Properties, at: at,
		Server: Server{URL: cluster.Server, CA: cluster.CertificateAuthorityData, TLSServerName: cluster.TLSServerName},
	}
	if f.Document.Access.Secrets != nil {
		if user.Exec != nil || user.AuthProvider != nil {
			add("use a kubeconfig with a token or a client certificate, or access.keyless", "%s: user %s runs a program to log in, which the pod does not have", k.File.Name, context.AuthInfo)
		}
		if c.Kubeconfig, err = clientcmd.Write(*config); err != nil {
			add("", "%s: %v", k.File.Name, err)
		}
	}
	f.Clusters = append(f.Clusters, c)
}

// withoutValues keeps what an error of a YAML parser quotes out of a message: it may be
// a key.
func withoutValues(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if i := strings.IndexByte(text, '"'); i >= 0 {
		text = text[:i] + "…"
	}
	return text
}

func (f *Fleet) addProfiles(list []Profile) {
	n := f.at("clusters", "profiles")
	at := source.Position{File: f.File, Line: n.Line, Column: n.Column}
	if len(list) == 0 {
		f.problem(n, "kubectl get clusterprofiles --namespace "+f.Document.Clusters.Profiles.Namespace+" --show-labels", "clusters.profiles: no ClusterProfile is selected")
	}
	for _, p := range list {
		f.Clusters = append(f.Clusters, &Cluster{Name: p.Name, Labels: p.Labels, Properties: p.Properties, Server: p.Server, Login: p.Login, at: at})
	}
}

// checkClusters checks names, and that no API server is in the fleet twice.
func (f *Fleet) checkClusters() {
	if len(f.Clusters) > MostClusters {
		f.problem(f.at("clusters"), "divide them into several fleets", "clusters: %d, and a fleet has at most %d", len(f.Clusters), MostClusters)
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
