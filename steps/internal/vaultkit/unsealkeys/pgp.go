package unsealkeys

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/ztplan/ztplan/engine"
)

// A pgpKey is a public OpenPGP key as Vault takes it. The library that reads it
// is the one that Vault encrypts with (hashicorp/vault:helper/pgpkeys).
type pgpKey struct {
	base64      string // of the binary form
	fingerprint string // hexadecimal, upper case
	ids         []uint64
}

// readPGP reads a file with one public key, armored, base64 or binary, and makes
// sure that it can be encrypted to at the time now.
func readPGP(f engine.File, now time.Time) (*pgpKey, error) {
	text, err := f.Read()
	if err != nil {
		return nil, fmt.Errorf("PGP key %s: %w", f, err)
	}
	export := "export it with gpg --armor --export NAME"
	binary, err := unarmored(text)
	if err != nil {
		return nil, engine.WithHint(fmt.Errorf("PGP key %s: is damaged: %w", f, err), export)
	}
	ring, err := openpgp.ReadKeyRing(bytes.NewReader(binary))
	if err != nil || len(ring) == 0 {
		return nil, engine.WithHint(fmt.Errorf("PGP key %s: is not an OpenPGP key", f), export)
	}
	key := ring[0]
	switch {
	case len(ring) > 1:
		return nil, engine.WithHint(fmt.Errorf("PGP key %s: holds %d keys, and one is needed", f, len(ring)), export)
	case key.PrivateKey != nil:
		return nil, engine.WithHint(fmt.Errorf("PGP key %s: holds a private key, which must not leave its owner", f), export)
	case key.Revoked(now):
		return nil, engine.WithHint(fmt.Errorf("PGP key %s: is revoked", f), "ask its owner for the new one")
	}
	if _, ok := key.EncryptionKey(now); !ok {
		return nil, engine.WithHint(fmt.Errorf("PGP key %s: cannot be encrypted to: %s", f, whyNot(key, now)),
			"ask its owner for one that is not expired and has an encryption subkey")
	}
	out := &pgpKey{
		base64:      base64.StdEncoding.EncodeToString(binary),
		fingerprint: fmt.Sprintf("%X", key.PrimaryKey.Fingerprint),
		ids:         []uint64{key.PrimaryKey.KeyId},
	}
	for _, sub := range key.Subkeys {
		out.ids = append(out.ids, sub.PublicKey.KeyId)
	}
	return out, nil
}

func whyNot(key *openpgp.Entity, now time.Time) string {
	sig, _ := key.PrimarySelfSignature()
	if sig != nil && key.PrimaryKey.KeyExpired(sig, now) {
		return "it is expired"
	}
	for _, sub := range key.Subkeys {
		if sub.Sig != nil && sub.Sig.FlagEncryptCommunications && sub.PublicKey.KeyExpired(sub.Sig, now) {
			return "its encryption subkey is expired"
		}
	}
	return "it is for signing only"
}

// unarmored returns the binary form of a key.
func unarmored(text []byte) ([]byte, error) {
	trimmed := bytes.TrimSpace(text)
	if bytes.HasPrefix(trimmed, []byte("-----BEGIN PGP")) {
		block, err := armor.Decode(bytes.NewReader(trimmed))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(block.Body)
	}
	if binary, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(trimmed)), "")); err == nil {
		return binary, nil
	}
	return text, nil
}

// encryptedTo makes sure that a text of Vault's answer is base64 of a message to
// key: a Vault that ignored the key would have sent it in the clear.
func (k *pgpKey) encryptedTo(text string) error {
	binary, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		var p packet.Packet
		p, err = packet.Read(bytes.NewReader(binary))
		if to, ok := p.(*packet.EncryptedKey); err == nil && ok && slices.Contains(k.ids, to.KeyId) {
			return nil
		}
	}
	return errors.New("vault did not encrypt it to the PGP key " + k.fingerprint)
}
