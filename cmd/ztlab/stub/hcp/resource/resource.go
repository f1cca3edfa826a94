// Package resource stands in for that of HCP's SDK, which Vault's configuration links
// for its "cloud" stanza, and with it the models of HCP's API. The lab's Vault has no
// link to HCP. The package has the names that Vault uses.
package resource

import "errors"

// A Resource of HCP is never made.
type Resource struct{}

// FromString returns an error: the lab has no link to HCP.
func FromString(string) (Resource, error) {
	return Resource{}, errors.New("resource: the lab has no link to HCP")
}
