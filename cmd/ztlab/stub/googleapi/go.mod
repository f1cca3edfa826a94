// The package comment says why this module exists.
module google.golang.org/api

go 1.26.0
