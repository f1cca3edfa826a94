package evidence

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// parsePEM returns the certificates in text; other blocks are an error, so
// that nothing but certificates gets into evidence.
func parsePEM(text string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if len(strings.TrimSpace(string(rest))) > 0 {
				return nil, errors.New("there is text that is not PEM")
			}
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("a PEM block is %q instead of a certificate", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no certificate")
	}
	return out, nil
}

// describe says what a certificate says.
func describe(c *x509.Certificate) CertificateRecord {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if names == nil {
		names = []string{}
	}
	return CertificateRecord{
		Fingerprint: Digest(c.Raw), Serial: serial(c.SerialNumber), PublicKey: Digest(c.RawSubjectPublicKeyInfo),
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), Names: names,
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), CA: c.IsCA,
		PEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})),
	}
}

// serial writes a serial number as Vault does.
func serial(n *big.Int) string {
	text := hex.EncodeToString(n.Bytes())
	var parts []string
	for i := 0; i < len(text); i += 2 {
		parts = append(parts, text[i:i+2])
	}
	if len(parts) == 0 {
		return "00"
	}
	return strings.Join(parts, ":")
}
