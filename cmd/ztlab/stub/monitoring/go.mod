// The package comment says why this module exists.
module cloud.google.com/go/monitoring

go 1.26.0

require google.golang.org/api v0.286.0
