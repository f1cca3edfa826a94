// Package stub keeps code that the lab never calls out of its build: the SDKs of clouds,
// which Vault and cert-manager link for logins, seals, metrics and cluster members
// that a lab without a network cannot have. They are a third of the source that the
// lab would compile otherwise.
//
// Each directory is a Go module that stands in for one of another path, by a replace
// directive in the lab's go.mod. It is written for the lab, and has the names that
// Vault, its SDK or cert-manager use and no others. Its functions return an error that
// names the missing service. The package comment names the user of the
// original and the use.
//
// After an update of Vault or cert-manager a name may be missing: the compiler
// names it. The test of this package keeps the originals, and everything else of a
// cloud, out of the build.
package stub
