// The package comment says why this module exists.
module cloud.google.com/go/compute/metadata

go 1.26.0
