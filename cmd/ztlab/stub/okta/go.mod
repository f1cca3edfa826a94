// The package comment says why this module exists.
module github.com/okta/okta-sdk-golang/v5

go 1.26.0
