package pkiintermediate

import (
	"context"

	"github.com/ztplan/ztplan/engine"
)

// Checks implements engine.Checker.
func (s *Spec) Checks(unknown []string) []engine.Check {
	checks := s.Spec.Checks(unknown)
	const field = "parent.external.csrFile"
	if s.Parent.External == nil || s.Parent.External.CSRFile.IsZero() || !engine.Known(field, unknown) {
		return checks
	}
	file := s.Parent.External.CSRFile
	return append(checks, engine.Check{Name: "folder of " + file.Name, Run: func(context.Context, *engine.Env) engine.Verdict {
		return engine.CheckFolder(file.Path)
	}})
}
