package vault

import (
	"maps"
	"slices"

	jwtauth "github.com/hashicorp/vault-plugin-auth-jwt"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/logical/pki"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// plugins returns the auth methods and secrets engines that the server has,
// besides those inside Vault's core (system, identity, token, cubbyhole, kv
// version 1). Everything else would bring the cloud providers' SDKs with it.
func plugins(p pod) (credential, secrets map[string]logical.Factory) {
	return map[string]logical.Factory{
			"kubernetes": p.kubernetesAuth, "jwt": jwtauth.Factory, "approle": approle.Factory, "cert": cert.Factory,
		},
		map[string]logical.Factory{"pki": pki.Factory, "transit": transit.Factory}
}

// A registry lists the built-in plugins for Vault's plugin catalog. Without
// one, the first mount ends in a nil pointer.
type registry struct {
	credential, logical map[string]logical.Factory
}

// factories returns the plugins of a type; nil when there are none.
func (r registry) factories(t consts.PluginType) map[string]logical.Factory {
	switch t {
	case consts.PluginTypeCredential:
		return r.credential
	case consts.PluginTypeSecrets:
		return r.logical
	default:
		return nil
	}
}

// Contains reports whether the plugin is built in.
func (r registry) Contains(name string, t consts.PluginType) bool {
	return r.factories(t)[name] != nil
}

// Get returns a function that returns the plugin's [logical.Factory].
func (r registry) Get(name string, t consts.PluginType) (func() (any, error), bool) {
	f, ok := r.factories(t)[name]
	return func() (any, error) { return f, nil }, ok
}

// Keys returns the names of the built-in plugins of a type.
func (r registry) Keys(t consts.PluginType) []string {
	return slices.Sorted(maps.Keys(r.factories(t)))
}

// DeprecationStatus returns Supported for a built-in plugin.
func (r registry) DeprecationStatus(name string, t consts.PluginType) (consts.DeprecationStatus, bool) {
	if !r.Contains(name, t) {
		return consts.Unknown, false
	}
	return consts.Supported, true
}

// IsBuiltinEntPlugin is false: nothing of Vault Enterprise is here.
func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
