package tlskit

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// ParseChain reads the certificates of a PEM text in their order. Blocks of
// other types are an error: a private key among certificates is a mistake that
// should be seen, and so is text without any certificate.
func ParseChain(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for rest := text; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("PEM block %d is a %s: only certificates are wanted here", len(chain)+1, block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(chain)+1, err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		if len(bytes.TrimSpace(text)) == 0 {
			return nil, errors.New("empty: no certificate in it")
		}
		return nil, errors.New(`no PEM certificate in it: the text must contain "-----BEGIN CERTIFICATE-----"`)
	}
	return chain, nil
}

// EncodePEM returns certificates as one PEM text.
func EncodePEM(certs ...*x509.Certificate) string {
	var b strings.Builder
	for _, c := range certs {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a Builder does not fail
	}
	return b.String()
}

// Serial returns the serial number as Vault writes it: lower-case hexadecimal
// bytes with colons, "4a:e7:2a".
func Serial(c *x509.Certificate) string {
	if c == nil || c.SerialNumber == nil {
		return ""
	}
	return colons(c.SerialNumber)
}

func colons(n *big.Int) string {
	b := n.Bytes()
	if len(b) == 0 {
		b = []byte{0}
	}
	var s strings.Builder
	for i, x := range b {
		if i > 0 {
			s.WriteByte(':')
		}
		fmt.Fprintf(&s, "%02x", x)
	}
	return s.String()
}

// NormalHex removes what tools disagree about in hexadecimal identifiers:
// colons, spaces, case and leading zeros. "0A:E7" and "ae7" are the same.
func NormalHex(s string) string {
	s = strings.NewReplacer(":", "", " ", "").Replace(strings.ToLower(strings.TrimSpace(s)))
	return strings.TrimLeft(s, "0")
}

// Fingerprint returns the SHA-256 of the whole certificate in lower-case
// hexadecimal.
func Fingerprint(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// KeyDigest returns the SHA-256 of the public key (SubjectPublicKeyInfo,
// RFC 5280 section 4.1) in lower-case hexadecimal. Two certificates have the
// same one exactly if they have the same key.
func KeyDigest(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// KeyName says what kind of key a certificate holds: "RSA 2048", "ECDSA P-256".
func KeyName(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	default:
		return c.PublicKeyAlgorithm.String()
	}
}

// Names returns the names that a certificate is valid for: DNS names, IP
// addresses, e-mail addresses and URIs, in the order of the certificate.
func Names(c *x509.Certificate) []string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	names = append(names, c.EmailAddresses...)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	return names
}

// Subject returns the subject of a certificate for messages: the whole
// distinguished name, or its names when the subject is empty.
func Subject(c *x509.Certificate) string {
	if s := c.Subject.String(); s != "" {
		return s
	}
	if names := Names(c); len(names) > 0 {
		return strings.Join(names, ", ")
	}
	return "a certificate without subject"
}
