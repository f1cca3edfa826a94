package fleet

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// An entry is a cluster with a kubeconfig, and where it is listed.
type entry struct {
	Kubeconfig
	at source.Position
}

// A parsed is a kubeconfig that was read. It is not changed.
type parsed struct {
	config *clientcmdapi.Config
	err    error
}

// readKubeconfigs adds clusters with the contexts of their kubeconfigs. A file is read once
// for all its contexts.
func (f *Fleet) readKubeconfigs(entries []entry) {
	index := make(map[string]int)
	var files []Kubeconfig
	for _, e := range entries {
		if _, ok := index[e.File.Path]; !ok {
			index[e.File.Path] = len(files)
			files = append(files, e.Kubeconfig)
		}
	}
	configs := make([]parsed, len(files))
	concurrently(len(files), func(i int) {
		if files[i].File.IsZero() {
			return
		}
		data, err := files[i].File.Read()
		if err == nil {
			configs[i].config, err = clientcmd.Load(data)
		}
		configs[i].err = err
	})
	clusters, problems := make([]*Cluster, len(entries)), make([][]*source.Problem, len(entries))
	concurrently(len(entries), func(i int) {
		e := entries[i]
		clusters[i], problems[i] = f.clusterOf(e, configs[index[e.File.Path]])
	})
	for i, c := range clusters {
		for _, p := range problems[i] {
			f.problems.Add(p)
		}
		if c != nil {
			f.Clusters = append(f.Clusters, c)
		}
	}
}

// clusterOf returns the cluster of the context that an entry names; nil if there is none.
func (f *Fleet) clusterOf(e entry, file parsed) (_ *Cluster, problems []*source.Problem) {
	add := func(hint, format string, args ...any) {
		problems = append(problems, &source.Problem{Position: e.at,
			Summary: fmt.Sprintf("cluster %s: %s", e.Name, e.File.Name) + fmt.Sprintf(format, args...), Hint: hint})
	}
	switch {
	case f.Document.Pull != nil:
		return &Cluster{Name: e.Name, Labels: e.Labels, Properties: e.Properties, at: e.at}, nil
	case e.File.IsZero():
		add("name its kubeconfig: file: …", "file is missing")
		return nil, problems
	case file.err != nil:
		add("", ": %v", withoutValues(file.err))
		return nil, problems
	}
	all := file.config
	name := cmp.Or(e.Context, all.CurrentContext)
	context := all.Contexts[name]
	if context == nil {
		add(source.Suggestion(name, sortedKeys(all.Contexts), "it has "), " has no context %q", name)
		return nil, problems
	}
	if all.Clusters[context.Cluster] == nil || all.AuthInfos[context.AuthInfo] == nil {
		add("", ": context %s names a cluster or a user that is not in it", name)
		return nil, problems
	}
	cluster, user := all.Clusters[context.Cluster].DeepCopy(), all.AuthInfos[context.AuthInfo].DeepCopy()
	cluster.LocationOfOrigin, user.LocationOfOrigin = e.File.Path, e.File.Path
	config := clientcmdapi.NewConfig()
	config.CurrentContext, config.Contexts[name] = name, context
	config.Clusters[context.Cluster], config.AuthInfos[context.AuthInfo] = cluster, user
	if err := clientcmdapi.FlattenConfig(config); err != nil {
		add("", ": %v", err)
		return nil, problems
	}
	if cluster.InsecureSkipTLSVerify {
		add("give it certificate-authority-data", ": insecure-skip-tls-verify: TLS is always verified")
	}
	c := &Cluster{
		Name: e.Name, Labels: e.Labels, Properties: e.Properties, at: e.at,
		Server: Server{URL: cluster.Server, CA: cluster.CertificateAuthorityData, TLSServerName: cluster.TLSServerName},
	}
	if f.Document.Access.Secrets == nil {
		return c, problems
	}
	if user.Exec != nil || user.AuthProvider != nil {
		add("use a kubeconfig with a token or a client certificate, or access.keyless", ": user %s runs a program to log in, which the pod does not have", context.AuthInfo)
	}
	if user.TokenFile != "" {
		add("put the token into the kubeconfig, or use access.keyless", ": user %s has a tokenFile, which the pod does not have", context.AuthInfo)
	}
	var err error
	if c.Kubeconfig, err = clientcmd.Write(*config); err != nil {
		add("", ": %v", err)
	}
	return c, problems
}

// withoutValues removes the quoted text from an error of a YAML parser: it may be a key.
func withoutValues(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if i := strings.IndexByte(text, '"'); i >= 0 {
		text = text[:i] + "…"
	}
	return text
}
