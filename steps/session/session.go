// Package session holds the settings of a run that the kinds and their kits know and the
// engine does not: the cluster, the mirrors of chart repositories, and where
// secrets are written. Beside it are the parts of a run that are no kinds.
package session

import (
	"path/filepath"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

// Settings are the value of [engine.Env.Settings]. The command line makes them
// from the plan and the flags; the zero value stands for the user's current
// cluster.
type Settings struct {
	Cluster Cluster
	Mirrors []Mirror

	// SinkDir, if not empty, is where relative secret sinks go instead of the
	// plan's directory. The lab sets it to its own state, so that the keys of a
	// throw-away Vault live and die with it and never land in a working tree.
	SinkDir string
}

// A Cluster names the Kubernetes cluster of the plan, in kubectl's terms.
type Cluster struct {
	Kubeconfig string // path; empty means KUBECONFIG, then ~/.kube/config
	Context    string // empty means the current context
	Position   string // of the connection in the plan, for messages; empty if a flag names the cluster
}

// A Mirror is the address from which another is really fetched: the lab's
// chart repositories, or those of an air-gapped site.
type Mirror struct {
	From string // an address prefix as plans write it: "https://charts.jetstack.io"
	To   string // the address used instead
}

// Of returns the settings of env, zero if there are none.
func Of(env *engine.Env) Settings {
	s, _ := env.Settings.(Settings)
	return s
}

// Sink returns the absolute path of a file that secrets are written to.
func (s Settings) Sink(f engine.File) string {
	if s.SinkDir != "" && !filepath.IsAbs(f.Name) {
		return filepath.Join(s.SinkDir, f.Name)
	}
	return f.Path
}

// Mirrored returns where address is fetched from: the longest matching mirror
// decides, and an address without a mirror is returned as it is.
func (s Settings) Mirrored(address string) string {
	best := Mirror{}
	for _, m := range s.Mirrors {
		from := strings.TrimSuffix(m.From, "/")
		if len(from) > len(best.From) && (address == from || strings.HasPrefix(address, from+"/")) {
			best = Mirror{From: from, To: strings.TrimSuffix(m.To, "/")}
		}
	}
	return best.To + strings.TrimPrefix(address, best.From)
}
