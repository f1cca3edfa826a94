// Package certwatch renews a cert-manager Certificate and watches how the new
// certificate comes to its Secret.
//
// A Watch delivers the states of a Certificate, its CertificateRequests and its
// Secret; a State keeps the newest of each, and a History every certificate that
// the Secret held. An Issuance places the milestones of a renewal, by the states
// and by the times in the objects, which are those of the API server's clock: a
// Clock bounds how far it is ahead. Times of conditions are not used: they are those
// of the controller's clock, which cannot be measured from here.
package certwatch
