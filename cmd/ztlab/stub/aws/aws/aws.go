// Package aws stands in for the core of the AWS SDK, which cert-manager's Vault
// issuer links for Vault's AWS login. The lab cannot reach AWS, and its Vault has no
// such login. The package has the names that cert-manager uses.
package aws

import "context"

// Credentials are never found.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
}

// A CredentialsProvider finds credentials.
type CredentialsProvider interface {
	Retrieve(context.Context) (Credentials, error)
}

// A Config cannot be loaded.
type Config struct {
	Region      string
	Credentials CredentialsProvider
}
