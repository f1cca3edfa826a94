// Package pgxv4 stands in for Cloud SQL's PostgreSQL driver; see package cloudsqlconn.
package pgxv4

import (
	"errors"

	"cloud.google.com/go/cloudsqlconn"
)

// RegisterDriver returns an error: the lab has no Cloud SQL.
func RegisterDriver(string, ...cloudsqlconn.Option) (func() error, error) {
	return nil, errors.New("pgxv4: the lab has no Cloud SQL")
}
