// Package pki is what the steps about certificate authorities in Vault share:
// the mount with its tuning and addresses, its issuers and keys, and whether a
// certificate is what a plan asks for.
package pki
