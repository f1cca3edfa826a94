package vaulttest

import (
	"bytes"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/ProtonMail/go-crypto/openpgp"
	pgparmor "github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/ztplan/ztplan/engine"
)

// NewAge makes an age identity and returns its recipient and a file of it.
func NewAge(t testing.TB, name string) (recipient string, identity engine.File) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	ok(t, err)
	return id.Recipient().String(), WriteFile(t, name+".txt", "# "+name+"\n"+id.String()+"\n")
}

// OpenAge decrypts an armored age file with the identity, as "age --decrypt" does.
func OpenAge(t testing.TB, text string, identity engine.File) string {
	t.Helper()
	f, err := os.Open(identity.Path)
	ok(t, err)
	defer f.Close()
	ids, err := age.ParseIdentities(f)
	ok(t, err)
	r, err := age.Decrypt(armor.NewReader(strings.NewReader(text)), ids...)
	ok(t, err)
	plain, err := io.ReadAll(r)
	ok(t, err)
	return string(plain)
}

// NewPGP makes an OpenPGP key and returns it and a file of its public part.
func NewPGP(t testing.TB, name string, config *packet.Config) (*openpgp.Entity, engine.File) {
	t.Helper()
	if config == nil {
		config = &packet.Config{}
	}
	config.Algorithm = packet.PubKeyAlgoEdDSA
	key, err := openpgp.NewEntity(name, "", name+"@example.com", config)
	ok(t, err)
	return key, WriteFile(t, name+".asc", Armored(t, key.Serialize))
}

// Armored returns a key in the form of "gpg --armor --export".
func Armored(t testing.TB, serialize func(io.Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	w, err := pgparmor.Encode(&out, openpgp.PublicKeyType, nil)
	ok(t, err)
	ok(t, serialize(w))
	ok(t, w.Close())
	return out.String()
}

// OpenPGP decrypts a message, as "base64 --decode | gpg --decrypt" does.
func OpenPGP(t testing.TB, text string, key *openpgp.Entity) string {
	t.Helper()
	m, err := openpgp.ReadMessage(base64.NewDecoder(base64.StdEncoding, strings.NewReader(text)), openpgp.EntityList{key}, nil, nil)
	ok(t, err)
	plain, err := io.ReadAll(m.UnverifiedBody)
	ok(t, err)
	return string(plain)
}

// SealPGP encrypts text, as Vault does to a key of sys/init.
func SealPGP(t testing.TB, key *openpgp.Entity, text string) string {
	t.Helper()
	var out bytes.Buffer
	w, err := openpgp.Encrypt(&out, []*openpgp.Entity{key}, nil, nil, nil)
	ok(t, err)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	ok(t, w.Close())
	return base64.StdEncoding.EncodeToString(out.Bytes())
}

// WriteFile writes a file for the test that only its owner can read.
func WriteFile(t testing.TB, name, text string) engine.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	ok(t, os.WriteFile(path, []byte(text), 0o600))
	return engine.File{Name: name, Path: path}
}
