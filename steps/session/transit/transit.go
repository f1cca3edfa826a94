package transit

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strconv"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// A Key is one version of a key in Vault.
type Key struct {
	ref     Ref
	client  *vaultkit.Client
	version int64
	kind    string
	public  crypto.PublicKey
}

// Open reads the newest version of a key. connect fills the connection, a
// pointer to a struct with the fields of a plan's connections.vault.
func Open(ctx context.Context, env *engine.Env, ref Ref, connect func(connection any) error) (*Key, error) {
	connection := login.DefaultConnection()
	if err := connect(&connection); err != nil {
		return nil, err
	}
	client, err := login.Connect(ctx, env, connection)
	if err != nil {
		return nil, err
	}
	path := ref.Mount + "/keys/" + ref.Key
	data, err := client.Read(ctx, path)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, engine.WithHint(engine.Permanent(fmt.Errorf("%s: there is no such key", path)),
			"make one with: vault write -f "+path+" type=ed25519")
	}
	k := &Key{ref: ref, client: client, version: vaultkit.Whole(data["latest_version"]), kind: vaultkit.Text(data["type"])}
	versions, _ := data["keys"].(map[string]any)
	newest, _ := versions[strconv.FormatInt(k.version, 10)].(map[string]any)
	if k.public, err = publicKey(k.kind, vaultkit.Text(newest["public_key"])); err != nil {
		return nil, engine.Permanent(fmt.Errorf("%s: %w", path, err))
	}
	return k, nil
}

func publicKey(kind, text string) (crypto.PublicKey, error) {
	switch kind {
	case "ed25519":
		raw, err := base64.StdEncoding.DecodeString(text)
		if err == nil && len(raw) != ed25519.PublicKeySize {
			err = fmt.Errorf("it has %d bytes: is the key derived?", len(raw))
		}
		if err != nil {
			return nil, fmt.Errorf("the public key: %w", err)
		}
		return ed25519.PublicKey(raw), nil
	case "ecdsa-p256":
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return nil, fmt.Errorf("the public key is not PEM")
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("the public key: %w", err)
		}
		if public, ok := parsed.(*ecdsa.PublicKey); ok && public.Curve == elliptic.P256() {
			return public, nil
		}
		return nil, fmt.Errorf("the public key is a %T instead of one on P-256", parsed)
	}
	return nil, engine.WithHint(fmt.Errorf("the key is of type %q: evidence is signed with ed25519 or ecdsa-p256", kind),
		"make another key, with type=ed25519")
}

// Public returns the public key: an ed25519.PublicKey, or an *ecdsa.PublicKey
// on P-256.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Sign returns Vault's signature of data: Ed25519's 64 bytes, or ASN.1 of
// ECDSA over SHA-256. ctx must allow writes: it is a POST, although Vault
// changes nothing.
func (k *Key) Sign(ctx context.Context, data []byte) ([]byte, error) {
	body := map[string]any{
		"input":       base64.StdEncoding.EncodeToString(data),
		"key_version": k.version,
	}
	if k.kind == "ecdsa-p256" {
		body["hash_algorithm"], body["marshaling_algorithm"] = "sha2-256", "asn1"
	}
	path := k.ref.Mount + "/sign/" + k.ref.Key
	answer, err := k.client.Write(ctx, path, body)
	if err != nil {
		return nil, err
	}
	text := vaultkit.Text(answer["signature"])
	encoded, ok := strings.CutPrefix(text, fmt.Sprintf("vault:v%d:", k.version))
	if !ok {
		return nil, fmt.Errorf("%s: the signature is not one of version %d", path, k.version)
	}
	signature, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("%s: the signature: %w", path, err)
	}
	if !k.verifies(data, signature) {
		return nil, fmt.Errorf("%s: %w", path, errSignature)
	}
	return signature, nil
}

func (k *Key) verifies(data, signature []byte) bool {
	switch public := k.public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(public, data, signature)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(data)
		return ecdsa.VerifyASN1(public, sum[:], signature)
	}
	return false
}
