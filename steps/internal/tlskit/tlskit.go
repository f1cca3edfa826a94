// Package tlskit makes verified TLS connections and describes them: the address,
// the trust, the server's chain, and the reason of a refusal.
//
// Every connection is a new one. Nothing is resumed and nothing is kept alive:
// a resumed session can show the certificate of an earlier handshake, and so
// can a connection that was opened before a rotation. Verification cannot be
// switched off; a certificate that is not trusted is described in the
// [Failure], without anything being sent to its owner.
package tlskit
