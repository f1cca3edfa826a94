package vaulttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

// An Issuer signs JSON web tokens, as the identity provider of a CI system does.
type Issuer struct {
	URL string
	key *ecdsa.PrivateKey
}

// NewIssuer makes one.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ok(t, err)
	return &Issuer{URL: "https://ci.example.com", key: key}
}

// PublicKey returns the key that its tokens are verified with, as PEM.
func (i *Issuer) PublicKey(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(i.key.Public())
	ok(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// Token signs claims (RFC 7515, ES256).
func (i *Issuer) Token(t testing.TB, claims map[string]any) engine.Secret {
	t.Helper()
	body, err := json.Marshal(claims)
	ok(t, err)
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	ok(t, err)
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return engine.NewSecret(text + "." + base64.RawURLEncoding.EncodeToString(signature))
}
