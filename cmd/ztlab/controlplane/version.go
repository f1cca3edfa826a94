package controlplane

import "runtime/debug"

// modules maps a part's name in [Versions] to the module that it comes from.
var modules = map[string]string{
	"kubernetes":                   "k8s.io/kubernetes",
	"etcd":                         "go.etcd.io/etcd/server/v3",
	"vault":                        "github.com/hashicorp/vault",
	"cert-manager":                 "github.com/cert-manager/cert-manager",
	"vault-plugin-auth-kubernetes": "github.com/hashicorp/vault-plugin-auth-kubernetes",
}

// Versions are the versions of the linked parts, as the build recorded them.
// A part that is not linked in, as in a test binary, is absent.
func Versions() map[string]string {
	versions := make(map[string]string)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versions
	}
	for _, dep := range info.Deps {
		for name, module := range modules {
			if dep.Path == module {
				versions[name] = dep.Version
			}
		}
	}
	return versions
}
