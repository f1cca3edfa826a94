package helminstall

import "github.com/ztplan/ztplan/steps/internal/kubekit"

// Scope implements kubekit.Scoper.
func (s *Spec) Scope() kubekit.Scope { return kubekit.Scope{Namespaces: []string{s.Namespace}} }
