// Package option stands in for that of Google's API libraries, which Vault's
// telemetry configures its Stackdriver client with, and its jwt auth method the client
// of Google Workspace; see packages monitoring and admin.
package option

import "golang.org/x/oauth2"

// A ClientOption changes nothing.
type ClientOption struct{}

// WithUserAgent returns a ClientOption.
func WithUserAgent(string) ClientOption { return ClientOption{} }

// WithTokenSource returns a ClientOption.
func WithTokenSource(oauth2.TokenSource) ClientOption { return ClientOption{} }
