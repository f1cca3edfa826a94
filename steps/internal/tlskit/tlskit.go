// Package tlskit makes verified TLS connections that can be looked at: where a
// connection goes, whom it trusts, what the server showed, and why it was
// refused.
//
// Every connection is a new one. Nothing is resumed and nothing is kept alive:
// a resumed session can show the certificate of an earlier handshake, and so
// can a connection that was opened before a rotation. Verification cannot be
// switched off; a certificate that is not trusted is described in the
// [Failure], without anything being sent to its owner.
package tlskit
