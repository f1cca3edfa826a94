// Package azurekeyvault stands in for the Azure Key Vault wrapper of go-kms-wrapping: Vault's
// configuration links it, and with it the SDK of Azure, for a seal that the lab
// does not have. It has the names that Vault uses.
package azurekeyvault

import (
	"context"
	"errors"

	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
)

// Environment variables that Vault reads a seal's configuration from.
const (
	EnvAzureKeyVaultWrapperKeyName   = "AZUREKEYVAULT_WRAPPER_KEY_NAME"
	EnvAzureKeyVaultWrapperVaultName = "AZUREKEYVAULT_WRAPPER_VAULT_NAME"
	EnvVaultAzureKeyVaultKeyName     = "VAULT_AZUREKEYVAULT_KEY_NAME"
	EnvVaultAzureKeyVaultVaultName   = "VAULT_AZUREKEYVAULT_VAULT_NAME"
)

// A Wrapper cannot be configured, and without a configuration it does nothing.
type Wrapper struct{ wrapping.Wrapper }

// NewWrapper returns a Wrapper.
func NewWrapper() *Wrapper { return &Wrapper{} }

// SetConfig returns an error: the lab has no such key service.
func (*Wrapper) SetConfig(context.Context, ...wrapping.Option) (*wrapping.WrapperConfig, error) {
	return nil, errors.New("azurekeyvault: the lab has no Azure Key Vault")
}

// WithDisallowEnvVars returns an option that no wrapper knows.
func WithDisallowEnvVars(bool) wrapping.Option { return func() any { return nil } }
