// Package e2e tests ztlab as its users meet it: through the commands of the
// built program and through the Kubernetes API that it serves. It builds the
// program unless the environment variable ZTLAB names one.
package e2e
