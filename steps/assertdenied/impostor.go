package assertdenied

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"time"

	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// impostorOf makes an authority with the subject of another one and a new key.
func impostorOf(subject []byte, now time.Time) (*x509.Certificate, crypto.Signer, error) {
	key, err := certs.NewKey("ec", 0)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), RawSubject: subject,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	c, err := x509.ParseCertificate(der)
	return c, key, err
}

// foreign makes a client certificate with the names and usages of another one, by an
// authority that has the name of the right one and another key. Both keys are forgotten
// with the attempt.
func foreign(right *x509.Certificate, now time.Time) (*tlskit.Credential, error) {
	authority, signer, err := impostorOf(right.RawIssuer, now)
	if err != nil {
		return nil, err
	}
	key, err := certs.NewKey("ec", 0)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: right.SerialNumber, RawSubject: right.RawSubject,
		DNSNames: right.DNSNames, EmailAddresses: right.EmailAddresses, IPAddresses: right.IPAddresses, URIs: right.URIs,
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: right.ExtKeyUsage, BasicConstraintsValid: true,
	}, authority, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return tlskit.NewCredential([]*x509.Certificate{leaf, authority}, key), nil
}
