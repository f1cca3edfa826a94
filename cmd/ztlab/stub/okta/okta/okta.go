// Package okta stands in for Okta's SDK, 12 MB of generated source that Vault links
// for its Okta method of multi-factor login. The lab cannot reach Okta, so no
// client can be configured. The package has the names that Vault uses; code after
// the configuration is never reached.
package okta

import (
	"context"
	"errors"
)

var errNone = errors.New("okta: the lab has no way to Okta")

// A Configuration cannot be made.
type Configuration struct{ Context context.Context }

// A ConfigSetter changes nothing.
type ConfigSetter struct{}

// NewConfiguration returns an error: the lab has no way to Okta.
func NewConfiguration(...ConfigSetter) (*Configuration, error) { return nil, errNone }

// WithToken returns a ConfigSetter.
func WithToken(string) ConfigSetter { return ConfigSetter{} }

// WithOrgUrl returns a ConfigSetter.
func WithOrgUrl(string) ConfigSetter { return ConfigSetter{} }

// WithCache returns a ConfigSetter.
func WithCache(bool) ConfigSetter { return ConfigSetter{} }

// An APIClient answers every request with an error.
type APIClient struct {
	UserAPI       UserAPI
	UserFactorAPI UserFactorAPI
	config        *Configuration
}

// NewAPIClient returns a client of the configuration.
func NewAPIClient(c *Configuration) *APIClient { return &APIClient{config: c} }

// GetConfig returns the client's configuration.
func (c *APIClient) GetConfig() *Configuration { return c.config }

// A Request of Okta's API for a T fails.
type Request[T any] struct{}

// Filter returns the request.
func (r Request[T]) Filter(string) Request[T] { return r }

// An APIResponse is never made.
type APIResponse struct{}

// Execute returns an error: the lab has no way to Okta.
func (Request[T]) Execute() (T, *APIResponse, error) {
	var none T
	return none, nil, errNone
}

// A UserAPI has Vault's request for users.
type UserAPI struct{}

// ListUsers returns a request.
func (UserAPI) ListUsers(context.Context) Request[[]User] { return Request[[]User]{} }

// A User is never found.
type User struct{}

// GetId returns the empty text.
func (User) GetId() string { return "" }

// A UserFactorAPI has Vault's requests for factors.
type UserFactorAPI struct{}

// ListFactors returns a request.
func (UserFactorAPI) ListFactors(context.Context, string) Request[[]Factor] {
	return Request[[]Factor]{}
}

// VerifyFactor returns a request.
func (UserFactorAPI) VerifyFactor(context.Context, string, string) Request[*Verification] {
	return Request[*Verification]{}
}

// GetFactorTransactionStatus returns a request.
func (UserFactorAPI) GetFactorTransactionStatus(context.Context, string, string, string) Request[*Transaction] {
	return Request[*Transaction]{}
}

// A Factor is never found.
type Factor struct{ UserFactorPush *UserFactorPush }

// A UserFactorPush is never found.
type UserFactorPush struct{}

// GetId returns the empty text.
func (*UserFactorPush) GetId() string { return "" }

// A Verification is never started.
type Verification struct{ Links map[string]any }

// GetFactorResult returns the empty text.
func (*Verification) GetFactorResult() string { return "" }

// A Transaction is never found.
type Transaction struct {
	UserFactorPushTransaction, UserFactorPushTransactionWaiting,
	UserFactorPushTransactionRejected, UserFactorPushTransactionTimeout *struct{}
}
