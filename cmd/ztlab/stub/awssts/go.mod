// The package comment says why this module exists.
module github.com/aws/aws-sdk-go-v2/service/sts

go 1.26.0

require github.com/aws/aws-sdk-go-v2 v1.42.0
