package session

import (
	"path/filepath"
	"strings"
)

// Kubernetes holds the inputs below connections.kubernetes.
type Kubernetes struct {
	// Path of the kubeconfig; --kubeconfig wins. ~/ is the home directory, other relative
	// paths are relative to the plan.
	Kubeconfig string `yaml:"kubeconfig"`
	// Context of the kubeconfig; --context wins.
	Context string `yaml:"context"`
}

// Cluster returns the cluster of a plan in the absolute directory dir. home is the
// user's home directory; empty if there is none.
func (k Kubernetes) Cluster(dir, home string) Cluster {
	path := k.Kubeconfig
	if rest, ok := strings.CutPrefix(path, "~/"); ok && home != "" {
		path = filepath.Join(home, rest)
	}
	if path != "" && !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return Cluster{Kubeconfig: path, Context: k.Context}
}
