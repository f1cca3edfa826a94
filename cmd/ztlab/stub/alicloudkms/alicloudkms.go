// Package alicloudkms stands in for the AliCloud KMS wrapper of go-kms-wrapping: Vault's
// configuration links it, and with it the SDK of Alibaba Cloud, for a seal that the lab
// does not have. It has the names that Vault uses.
package alicloudkms

import (
	"context"
	"errors"

	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
)

// Environment variables that Vault reads a seal's configuration from.
const (
	EnvAliCloudKmsWrapperKeyId   = "ALICLOUDKMS_WRAPPER_KEY_ID"
	EnvVaultAliCloudKmsSealKeyId = "VAULT_ALICLOUDKMS_SEAL_KEY_ID"
)

// A Wrapper cannot be configured, and without a configuration it does nothing.
type Wrapper struct{ wrapping.Wrapper }

// NewWrapper returns a Wrapper.
func NewWrapper() *Wrapper { return &Wrapper{} }

// SetConfig returns an error: the lab has no such key service.
func (*Wrapper) SetConfig(context.Context, ...wrapping.Option) (*wrapping.WrapperConfig, error) {
	return nil, errors.New("alicloudkms: the lab has no AliCloud KMS")
}
