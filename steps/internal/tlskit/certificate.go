package tlskit

import (
	"crypto/x509"

	"github.com/ztplan/ztplan/steps/internal/certs"
)

// ParseChain is certs.Parse.
func ParseChain(text []byte) ([]*x509.Certificate, error) { return certs.Parse(string(text)) }

// The names of package certs that the kinds still use from here.
var (
	EncodePEM   = certs.Encode
	Serial      = certs.Serial
	NormalHex   = certs.NormalHex
	Fingerprint = certs.Fingerprint
	KeyDigest   = certs.KeyDigest
	KeyName     = certs.KeyName
	Names       = certs.Names
	Subject     = certs.Subject
)
