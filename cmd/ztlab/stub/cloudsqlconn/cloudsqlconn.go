// Package cloudsqlconn stands in for the connector to Google Cloud SQL, which every
// plugin of Vault links through the SDK's framework, and with it Google's API
// libraries. The lab's Vault has no database engine. The package has the names that
// Vault uses.
package cloudsqlconn

// An Option changes nothing.
type Option struct{}

// WithIAMAuthN returns an Option.
func WithIAMAuthN() Option { return Option{} }

// WithCredentialsJSON returns an Option.
func WithCredentialsJSON([]byte) Option { return Option{} }

// WithDefaultDialOptions returns an Option.
func WithDefaultDialOptions(...DialOption) Option { return Option{} }

// A DialOption changes nothing.
type DialOption struct{}

// WithPrivateIP returns a DialOption.
func WithPrivateIP() DialOption { return DialOption{} }

// WithPSC returns a DialOption.
func WithPSC() DialOption { return DialOption{} }
