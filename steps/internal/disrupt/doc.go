// Package disrupt deletes the pods of Vault, cert-manager or the gateway while a
// certificate rotates, and waits until they are replaced.
//
// A Disruption belongs to one goroutine and reports its Progress; an Outcome sums
// that up. A run that is interrupted deletes no more pods, and restores the part
// for a while.
package disrupt
