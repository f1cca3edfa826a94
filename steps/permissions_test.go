package steps_test

import (
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps"
)

// Every kind states the permissions that it needs.
func TestPermissionsAreStated(t *testing.T) {
	for _, k := range steps.All() {
		if _, ok := k.New().(engine.PermissionNeeder); !ok {
			t.Errorf("kind %s does not state its permissions", k.Name)
		}
	}
}
