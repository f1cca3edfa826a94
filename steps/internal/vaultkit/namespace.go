package vaultkit

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/ztplan/ztplan/engine"
)

// errNoNamespaces is the error of a plan with a namespace for a Vault without them.
var errNoNamespaces = errors.New("this Vault has no namespaces: it ignores the header, and the plan would change the root")

// rootOnly are the paths that exist in the root namespace alone, or that a client in
// another one may not use (developer.hashicorp.com/vault/docs/enterprise/namespaces).
var rootOnly = map[string]bool{
	"sys/health": true, "sys/init": true, "sys/leader": true, "sys/seal": true, "sys/seal-status": true, "sys/unseal": true,
	"sys/storage/raft/join": true, raftConfiguration: true, raftAutopilot: true,
}

// inNamespace reports whether a request to path goes to the client's namespace. Vault's
// Community Edition ignores the header silently, so it is asked for its edition.
func (c *Client) inNamespace(ctx context.Context, path string) (bool, error) {
	if c.namespace == "" || rootOnly[path] {
		return false, nil
	}
	if c.replicas.LacksNamespaces(func() *bool {
		var health struct {
			Enterprise *bool `json:"enterprise"` // since Vault 1.17; OpenBao, which has namespaces, has no such field
		}
		if c.send(ctx, query{method: http.MethodGet, path: "sys/health", params: anyState()}, &health) != nil {
			return nil // the request itself reports why
		}
		community := health.Enterprise != nil && !*health.Enterprise
		return &community
	}) {
		return false, engine.WithHint(engine.Permanent(fmt.Errorf("namespace %s: %w", c.namespace, errNoNamespaces)),
			"remove namespace from connections.vault, or give the address of the Vault Enterprise or OpenBao that has it")
	}
	return true, nil
}
