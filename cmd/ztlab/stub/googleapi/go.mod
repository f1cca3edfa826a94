// The package comment says why this module exists.
module google.golang.org/api

go 1.26.0

require golang.org/x/oauth2 v0.36.0
