package evidence

import (
	"crypto/x509"
	"slices"

	"github.com/ztplan/ztplan/steps/internal/certs"
)

// Describe returns the record of a certificate.
func Describe(c *x509.Certificate) CertificateRecord {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return CertificateRecord{
		Fingerprint: certs.Fingerprint(c), Serial: certs.Serial(c), PublicKey: certs.KeyDigest(c),
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), Names: names,
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), CA: c.IsCA,
		PEM: certs.Encode(c),
	}
}
