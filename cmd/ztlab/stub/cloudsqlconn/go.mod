// The package comment says why this module exists.
module cloud.google.com/go/cloudsqlconn

go 1.26.0
