// The package comment says why this module exists.
module github.com/aws/aws-sdk-go-v2

go 1.26.0
