// Package mysql stands in for Cloud SQL's MySQL driver; see package cloudsqlconn.
package mysql

import (
	"errors"

	"cloud.google.com/go/cloudsqlconn"
)

// RegisterDriver returns an error: the lab has no Cloud SQL.
func RegisterDriver(string, ...cloudsqlconn.Option) (func() error, error) {
	return nil, errors.New("mysql: the lab has no Cloud SQL")
}
