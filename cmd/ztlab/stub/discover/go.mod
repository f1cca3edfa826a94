// The package comment says why this module exists.
module github.com/hashicorp/go-discover

go 1.26.0
