package attest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/ztplan/ztplan/steps/evidence"
)

// A Key signs, or only verifies if it was read from a public key. It is a
// signer and verifier for package dsse.
type Key struct {
	id     string
	public crypto.PublicKey
	sign   Signing // nil for a public key
}

// A Signing returns a signature of data: Ed25519's, or ASN.1 of ECDSA over
// SHA-256.
type Signing func(ctx context.Context, data []byte) ([]byte, error)

// NewKey returns a key whose private part is elsewhere.
func NewKey(public crypto.PublicKey, sign Signing) (*Key, error) {
	k, err := newKey(public)
	if err == nil {
		k.sign = sign
	}
	return k, err
}

// ParsePrivate reads a private key to sign with from the content of a file.
func ParsePrivate(file string, data []byte) (*Key, error) {
	return parse(file, data, "PRIVATE KEY", func(der []byte) (*Key, error) {
		parsed, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return nil, err
		}
		signer, ok := parsed.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("a %T cannot sign", parsed)
		}
		return NewKey(signer.Public(), local(signer))
	})
}

// local signs with a key in memory.
func local(signer crypto.Signer) Signing {
	return func(_ context.Context, data []byte) ([]byte, error) {
		if _, ok := signer.Public().(ed25519.PublicKey); ok {
			return signer.Sign(rand.Reader, data, crypto.Hash(0))
		}
		sum := sha256.Sum256(data)
		return signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	}
}

// ParsePublic reads a public key to verify with from the content of a file: PEM,
// or the base64 of an Ed25519 key's 32 bytes, which is how Vault exports one.
func ParsePublic(file string, data []byte) (*Key, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(data)))
	if err == nil && len(raw) == ed25519.PublicKeySize {
		return newKey(ed25519.PublicKey(raw))
	}
	return parse(file, data, "PUBLIC KEY", func(der []byte) (*Key, error) {
		parsed, err := x509.ParsePKIXPublicKey(der)
		if err != nil {
			return nil, err
		}
		return newKey(parsed)
	})
}

// parse never puts the content of the file into an error.
func parse(file string, data []byte, kind string, keyOf func(der []byte) (*Key, error)) (*Key, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s: there is no PEM block", file)
	}
	if block.Type != kind {
		return nil, fmt.Errorf("%s: the PEM block is %q instead of %q", file, block.Type, kind)
	}
	k, err := keyOf(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return k, nil
}

func newKey(public crypto.PublicKey) (*Key, error) {
	switch p := public.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return nil, fmt.Errorf("the curve is %s instead of P-256", p.Curve.Params().Name)
		}
	default:
		return nil, fmt.Errorf("a %T is neither Ed25519 nor ECDSA", public)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	return &Key{id: evidence.Digest(der), public: public}, nil
}

// KeyID returns the SHA-256 of the SubjectPublicKeyInfo, lower-case hex.
func (k *Key) KeyID() (string, error) { return k.id, nil }

// Public returns the public key.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Sign signs data.
func (k *Key) Sign(ctx context.Context, data []byte) ([]byte, error) {
	if k.sign == nil {
		return nil, errors.New("a public key cannot sign")
	}
	return k.sign(ctx, data)
}

// Verify checks a signature of data.
func (k *Key) Verify(_ context.Context, data, sig []byte) error {
	ok := false
	switch p := k.public.(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(p, data, sig)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(data)
		ok = ecdsa.VerifyASN1(p, sum[:], sig)
	}
	if !ok {
		return errors.New("the signature is wrong")
	}
	return nil
}
