// Package kubeaccess states the permissions that the requests of the kits need: one
// function for each action of a kit. It contacts nothing. A change of a kit's
// requests changes its function here.
package kubeaccess
