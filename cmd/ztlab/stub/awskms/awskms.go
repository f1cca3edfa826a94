// Package awskms stands in for the AWS KMS wrapper of go-kms-wrapping: Vault's
// configuration links it, and with it the SDK of AWS, for a seal that the lab
// does not have. It has the names that Vault uses.
package awskms

import (
	"context"
	"errors"

	"github.com/hashicorp/go-hclog"
	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
)

// Environment variables that Vault reads a seal's configuration from.
const (
	EnvAwsKmsWrapperKeyId   = "AWSKMS_WRAPPER_KEY_ID"
	EnvVaultAwsKmsSealKeyId = "VAULT_AWSKMS_SEAL_KEY_ID"
)

// A Wrapper cannot be configured, and without a configuration it does nothing.
type Wrapper struct{ wrapping.Wrapper }

// NewWrapper returns a Wrapper.
func NewWrapper() *Wrapper { return &Wrapper{} }

// SetConfig returns an error: the lab has no such key service.
func (*Wrapper) SetConfig(context.Context, ...wrapping.Option) (*wrapping.WrapperConfig, error) {
	return nil, errors.New("awskms: the lab has no AWS KMS")
}

// WithLogger returns an option that no wrapper knows. Vault passes it to its Shamir
// wrapper, which ignores the options of others.
func WithLogger(hclog.Logger) wrapping.Option { return func() any { return nil } }

// WithDisallowEnvVars returns an option that no wrapper knows.
func WithDisallowEnvVars(bool) wrapping.Option { return func() any { return nil } }
