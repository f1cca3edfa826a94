package main

import (
	"testing"

	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/steps"
)

// A plan can fill the inputs of every kind, and a reference can read its outputs.
func TestTypesOfKinds(t *testing.T) {
	for _, k := range steps.All() {
		if err := spec.CheckKind(k); err != nil {
			t.Error(err)
		}
	}
}
