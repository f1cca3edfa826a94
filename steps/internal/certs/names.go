package certs

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Serial returns a serial number as Vault writes it: lower-case hexadecimal
// bytes with colons, "4a:e7:2a"; "00" for zero, and "" without a certificate.
func Serial(c *x509.Certificate) string {
	if c == nil || c.SerialNumber == nil {
		return ""
	}
	b := c.SerialNumber.Bytes()
	if len(b) == 0 {
		b = []byte{0}
	}
	return strings.ReplaceAll(fmt.Sprintf("% x", b), " ", ":")
}

// NormalHex removes the differences between tools in hexadecimal identifiers:
// colons, spaces, case and leading zeros. "0A:E7" and "ae7" are the same.
func NormalHex(s string) string {
	s = strings.NewReplacer(":", "", " ", "").Replace(strings.ToLower(strings.TrimSpace(s)))
	return strings.TrimLeft(s, "0")
}

// Fingerprint returns the SHA-256 of the whole certificate in lower-case
// hexadecimal, and "" without a certificate.
func Fingerprint(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	return digest(c.Raw)
}

// KeyDigest returns the SHA-256 of the public key (SubjectPublicKeyInfo,
// RFC 5280 section 4.1) in lower-case hexadecimal, and "" without a certificate.
// Two certificates have the same one exactly if they have the same key.
func KeyDigest(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	return digest(c.RawSubjectPublicKeyInfo)
}

// SubjectKeyID returns the SHA-1 of the bits of a public key, given as its
// SubjectPublicKeyInfo, in the form of [NormalHex] (RFC 5280, section 4.2.1.2, method 1).
// It is how Vault names keys. It is "" if spki is no public key.
func SubjectKeyID(spki []byte) string {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(spki, &info); err != nil {
		return ""
	}
	sum := sha1.Sum(info.Key.Bytes)
	return NormalHex(hex.EncodeToString(sum[:]))
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// KeyName returns algorithm and size of a certificate's key: "RSA 2048",
// "ECDSA P-256".
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

// Stamp renders a time as 2026-01-18T16:59:40Z.
func Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
