// Package k8s stands in for go-discover's Kubernetes provider; see package discover.
package k8s

// A Provider finds no members.
type Provider struct{}
