package e2e_test

import (
	"os"
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// required returns the version of a module that a go.mod file requires.
func required(t *testing.T, file, module string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse(file, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Require {
		if r.Mod.Path == module {
			return r.Mod.Version
		}
	}
	t.Fatalf("%s does not require %s", file, module)
	return ""
}

// The lab is a cluster of the version that ztplan's client is made for. The
// two modules choose their versions apart, so only this notices a drift.
func TestKubernetesVersionMatchesZtplan(t *testing.T) {
	server := required(t, "../go.mod", "k8s.io/kubernetes")      // v1.N.P
	client := required(t, "../../../go.mod", "k8s.io/client-go") // v0.N.P
	if got, want := semver.MajorMinor("v1"+client[len("v0"):]), semver.MajorMinor(server); got != want {
		t.Errorf("ztplan's client-go %s is for Kubernetes %s, the lab runs %s: upgrade one of them", client, got, server)
	}
}
