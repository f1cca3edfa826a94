// Package tlstest makes certificate authorities and TLS servers for tests: real
// certificates and real handshakes, nothing installed anywhere.
package tlstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"
)

// A CA is a certificate authority.
type CA struct {
	Cert *x509.Certificate

	key    crypto.Signer
	parent *CA // nil for a root
}

// NewCA makes a root.
func NewCA(t testing.TB, name string) *CA {
	t.Helper()
	ca := &CA{key: NewKey(t)}
	ca.Cert = sign(t, authority(name), ca.key, nil, ca.key)
	return ca
}

// Intermediate makes an intermediate below ca.
func (ca *CA) Intermediate(t testing.TB, name string) *CA {
	t.Helper()
	return ca.Brief(t, name, 10*365*24*time.Hour)
}

// Brief makes an intermediate that expires after a while.
func (ca *CA) Brief(t testing.TB, name string, life time.Duration) *CA {
	t.Helper()
	sub := &CA{key: NewKey(t), parent: ca}
	template := authority(name)
	template.NotAfter = time.Now().Add(life)
	sub.Cert = sign(t, template, sub.key, ca.Cert, ca.key)
	return sub
}

// PEM returns the CA's certificate.
func (ca *CA) PEM() string { return string(encode("CERTIFICATE", ca.Cert.Raw)) }

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(10 * 365 * 24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
}

// A Leaf describes a certificate to make, of a server or a client.
type Leaf struct {
	CommonName string
	Names      []string      // DNS names and IP addresses
	NotBefore  time.Time     // 30 s ago by default, as Vault does
	Lifetime   time.Duration // from NotBefore; 1 h and 30 s by default
	Key        crypto.Signer // a new ECDSA key by default
	Bare       bool          // leave the intermediates out
	Client     bool          // for clients alone
	Server     bool          // for servers alone
}

// A Pair is a certificate with its key and intermediates.
type Pair struct {
	Chain   []*x509.Certificate
	Key     crypto.Signer
	TLS     *tls.Certificate
	CertPEM []byte // the chain
	KeyPEM  []byte
}

// Leaf returns the certificate itself.
func (p *Pair) Leaf() *x509.Certificate { return p.Chain[0] }

// Issue makes a certificate.
func (ca *CA) Issue(t testing.TB, l Leaf) *Pair {
	t.Helper()
	if l.NotBefore.IsZero() {
		l.NotBefore = time.Now().Add(-30 * time.Second)
	}
	if l.Lifetime == 0 {
		l.Lifetime = time.Hour + 30*time.Second
	}
	if l.Key == nil {
		l.Key = NewKey(t)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: l.CommonName},
		NotBefore:   l.NotBefore,
		NotAfter:    l.NotBefore.Add(l.Lifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if l.Client {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	if l.Server {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, name := range l.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	p := &Pair{Key: l.Key, Chain: []*x509.Certificate{sign(t, template, l.Key, ca.Cert, ca.key)}}
	for sub := ca; sub.parent != nil && !l.Bare; sub = sub.parent {
		p.Chain = append(p.Chain, sub.Cert)
	}
	p.TLS = &tls.Certificate{PrivateKey: l.Key, Leaf: p.Chain[0]}
	for _, c := range p.Chain {
		p.TLS.Certificate = append(p.TLS.Certificate, c.Raw)
		p.CertPEM = append(p.CertPEM, encode("CERTIFICATE", c.Raw)...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(l.Key)
	if err != nil {
		t.Fatal(err)
	}
	p.KeyPEM = encode("PRIVATE KEY", der)
	return p
}

// NewKey makes an ECDSA key, which costs less time than an RSA one.
func NewKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign makes a certificate from a template; without an issuer it signs itself.
func sign(t testing.TB, template *x509.Certificate, key crypto.Signer, issuer *x509.Certificate, issuerKey crypto.Signer) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 150))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = serial
	if issuer == nil {
		issuer = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
