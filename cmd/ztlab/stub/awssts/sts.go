// Package sts stands in for the client of AWS's token service; see package aws.
package sts

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A Client answers every request with an error.
type Client struct{}

// Options are those of a client.
type Options struct{}

// NewFromConfig returns a Client.
func NewFromConfig(aws.Config, ...func(*Options)) *Client { return &Client{} }

// An AssumeRoleWithWebIdentityInput is a request for credentials.
type AssumeRoleWithWebIdentityInput struct {
	RoleArn, RoleSessionName, WebIdentityToken *string
}

// An AssumeRoleWithWebIdentityOutput has the credentials.
type AssumeRoleWithWebIdentityOutput struct {
	Credentials *struct{ AccessKeyId, SecretAccessKey, SessionToken *string }
}

// AssumeRoleWithWebIdentity returns an error: the lab has no way to AWS.
func (*Client) AssumeRoleWithWebIdentity(context.Context, *AssumeRoleWithWebIdentityInput, ...func(*Options)) (*AssumeRoleWithWebIdentityOutput, error) {
	return nil, errors.New("sts: the lab has no way to AWS")
}
