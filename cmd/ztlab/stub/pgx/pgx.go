// Package pgx stands in for the PostgreSQL driver, which every plugin of Vault links
// through the SDK's framework. The lab's Vault has no database engine. The package
// has the names that Vault uses.
package pgx

import (
	"errors"

	"github.com/jackc/pgconn"
)

// A ConnConfig is that of a connection.
type ConnConfig struct{ pgconn.Config }

// ParseConfig returns an error: the lab has no database.
func ParseConfig(string) (*ConnConfig, error) {
	return nil, errors.New("pgx: the lab has no database")
}
