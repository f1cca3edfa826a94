package steps

import (
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/session"
)

// Connections returns what a plan may say below connections. The keys of vault are
// those of the input vault of the kinds.
func Connections() []engine.Connection {
	return []engine.Connection{
		{
			Key: "kubernetes", New: func() any { return new(session.Kubernetes) },
			NoOutputs: "the cluster is known before any step runs",
		},
		{Key: "vault", Exclusive: []string{"address", "service"}},
	}
}
