// Package certs reads, writes and names X.509 certificates. Every part of
// ztplan that prints a serial number or a fingerprint uses it, so that the same
// certificate has the same name in a message, an output and the evidence.
package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

const (
	certificateBlock = "CERTIFICATE"
	requestBlock     = "CERTIFICATE REQUEST"
)

// Parse returns the certificates of a PEM text in their order. Text around the
// blocks is ignored (RFC 7468, section 5.2). A block of another type, such as a
// private key, a block that is cut off, and a text without a certificate are errors.
func Parse(text string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		n := len(all) + 1
		if block.Type != certificateBlock {
			return nil, fmt.Errorf("PEM block %d is a %s: only certificates are wanted here", n, block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", n, err)
		}
		all = append(all, c)
	}
	switch {
	case strings.Count(text, "-----BEGIN ") > len(all):
		return nil, fmt.Errorf("a PEM block is cut off or has lost its line ends: %q and %q are lines of their own, with lines of base64 between them",
			"-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----")
	case len(all) > 0:
		return all, nil
	case len(bytes.TrimSpace([]byte(text))) == 0:
		return nil, errors.New("empty: no certificate in it")
	}
	return nil, errors.New(`no PEM certificate in it: the text must contain "-----BEGIN CERTIFICATE-----"`)
}

// AddTo adds the certificates of a PEM text to a pool. A text without one is an error; of
// several, those that Go cannot read are left out, which bundles of systems may have.
func AddTo(pool *x509.CertPool, text string) error {
	if pool.AppendCertsFromPEM([]byte(text)) {
		return nil
	}
	if _, err := Parse(text); err != nil {
		return err
	}
	return errors.New("no certificate that can be used in it")
}

// ParseOne returns the only certificate of a PEM text.
func ParseOne(text string) (*x509.Certificate, error) {
	all, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if len(all) > 1 {
		return nil, fmt.Errorf("%d certificates where one is expected", len(all))
	}
	return all[0], nil
}

// Encode returns certificates as one PEM text.
func Encode(all ...*x509.Certificate) string {
	var b strings.Builder
	for _, c := range all {
		_ = pem.Encode(&b, &pem.Block{Type: certificateBlock, Bytes: c.Raw}) // a Builder does not fail
	}
	return b.String()
}

// NewKey makes a key of the type rsa, or of ec for any other type. bits is the
// size; below 2048 it is 2048 for rsa, and without a curve of that size it is 256
// for ec.
func NewKey(keyType string, bits int) (crypto.Signer, error) {
	if keyType == "rsa" {
		return rsa.GenerateKey(rand.Reader, max(bits, 2048))
	}
	curve := elliptic.P256()
	switch bits {
	case 384:
		curve = elliptic.P384()
	case 521:
		curve = elliptic.P521()
	}
	return ecdsa.GenerateKey(curve, rand.Reader)
}

// NewRequest returns a certificate signing request in PEM form for DNS names, of
// which the first is the common name as well.
func NewRequest(key crypto.Signer, names ...string) (string, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
	}, key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: requestBlock, Bytes: der})), nil
}

// ParseRequest reads a certificate signing request in PEM form.
func ParseRequest(text string) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != requestBlock {
		return nil, errors.New("no PEM certificate request in it")
	}
	return x509.ParseCertificateRequest(block.Bytes)
}

// Signs reports whether c is an authority that may sign certificates (RFC 5280,
// sections 4.2.1.3 and 4.2.1.9).
func Signs(c *x509.Certificate) bool { return c.IsCA && c.KeyUsage&x509.KeyUsageCertSign != 0 }

// SelfSigned reports whether c is signed with its own key.
func SelfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject) && c.CheckSignatureFrom(c) == nil
}
