// Package cluster names the cluster that a plan is about.
package cluster

import (
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Server returns the address of the API server, as the kubeconfig says, and ""
// if that cannot be told. It contacts nothing.
func Server(c engine.Cluster) string { return kubekit.Server(c) }
