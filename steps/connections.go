package steps

import (
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/session"
)

// Connections returns the entries that connections of a plan may have. The keys of
// vault are those of the input vault of the kinds.
func Connections() []engine.Connection {
	return []engine.Connection{
		{
			Key: "kubernetes", Doc: "The cluster of the plan. Without it, or without one of its keys, it is as with kubectl.", New: func() any { return new(session.Kubernetes) },
			NoOutputs: "the cluster is known before any step runs",
		},
		{
			Key: "vault", Doc: "Where Vault is, and how the steps get in: the default of the input vault of every step that has one.",
			Exclusive: [][]string{
				{"address", "service"},
				{"token", "tokenFile"},
				{"caFile", "caBundle", "trustFrom"},
				{"trustFrom.secret", "trustFrom.configMap"},
				{"login.serviceAccount", "login.jwt", "login.jwtFile"},
				{"login.audience", "login.jwt", "login.jwtFile"},
				{"login.audiences", "login.jwt", "login.jwtFile"},
				{"login.secretID", "login.secretIDFile"},
			},
			Deciding: map[string]string{"login.method": "kubernetes"},
		},
	}
}
