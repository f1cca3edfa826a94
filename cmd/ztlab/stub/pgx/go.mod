// The package comment says why this module exists.
module github.com/jackc/pgx/v4

go 1.26.0

require github.com/jackc/pgconn v1.14.3
