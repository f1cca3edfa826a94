// Package pki holds the parts that the kinds of certificate authorities in Vault
// share: the mount with its tuning and addresses, its issuers and keys, and the
// comparison of a certificate with the plan.
package pki
