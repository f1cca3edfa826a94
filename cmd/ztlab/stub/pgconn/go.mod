// The package comment says why this module exists.
module github.com/jackc/pgconn

go 1.26.0
