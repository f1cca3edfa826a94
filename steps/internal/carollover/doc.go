// Package carollover replaces an intermediate authority in Vault by a new one,
// around the measured renewal of a certificate.
//
// Both sign side by side at first; then the new one becomes the default issuer, and
// a Rollover waits until the caller calls Proceed. It has the other certificates
// issued anew, retires the old intermediate and proves that it refuses to sign. If
// anything fails before that, the old one becomes the default again. The requests to
// Vault are those of package vaultkit/rollover.
package carollover
