// Package option stands in for that of Google's API libraries, which Vault's
// telemetry configures its Stackdriver client with; see package monitoring.
package option

// A ClientOption changes nothing.
type ClientOption struct{}

// WithUserAgent returns a ClientOption.
func WithUserAgent(string) ClientOption { return ClientOption{} }
