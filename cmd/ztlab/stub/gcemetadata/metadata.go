// Package metadata stands in for that of Google's Compute Engine, which
// golang.org/x/oauth2/google asks whether it runs there: Vault's jwt auth method
// links it for its provider of Google Workspace. The lab runs nowhere like that.
package metadata

import "errors"

// NotDefinedError is the error of a value that is not defined.
type NotDefinedError string

// Error returns the name.
func (e NotDefinedError) Error() string { return string(e) }

var errNone = errors.New("the lab has no Compute Engine")

// OnGCE returns false.
func OnGCE() bool { return false }

// ProjectID returns an error.
func ProjectID() (string, error) { return "", errNone }

// Get returns an error.
func Get(string) (string, error) { return "", errNone }
