// Package pgconn stands in for the lower half of the PostgreSQL driver; see package
// pgx. It has the names that Vault uses.
package pgconn

import (
	"context"
	"crypto/tls"
)

// A Config is that of a connection.
type Config struct {
	Host      string
	Port      uint16
	TLSConfig *tls.Config
	Fallbacks []*FallbackConfig
}

// A FallbackConfig is an address that is tried later.
type FallbackConfig struct {
	Host      string
	Port      uint16
	TLSConfig *tls.Config
}

// ParseConfigOptions are those of parsing a configuration.
type ParseConfigOptions struct {
	GetSSLPassword func(context.Context) string
}

// NetworkAddress returns no network: the lab has no database.
func NetworkAddress(string, uint16) (network, address string) { return "", "" }
