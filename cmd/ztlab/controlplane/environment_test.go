package controlplane

import (
	"slices"
	"strings"
	"testing"
)

// A part has the settings of the Go runtime, and no proxy of the user's network.
func TestPartEnvironment(t *testing.T) {
	t.Setenv("GOGC", "400")
	t.Setenv("HTTPS_PROXY", "http://proxy.example")
	env := partEnvironment()
	if !slices.Contains(env, "GOGC=400") || strings.Contains(strings.Join(env, "\n"), "proxy.example") {
		t.Errorf("the environment is %q", env)
	}
}
