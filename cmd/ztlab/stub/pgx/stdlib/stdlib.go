// Package stdlib stands in for the driver's place in database/sql; see package pgx.
// It registers no driver.
package stdlib

import (
	"database/sql"

	"github.com/jackc/pgx/v4"
)

// RegisterConnConfig returns no name: no configuration can be made.
func RegisterConnConfig(*pgx.ConnConfig) string { return "" }

// OpenDB returns no database: no configuration can be made.
func OpenDB(pgx.ConnConfig) *sql.DB { return nil }
