package unsealkeys

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"
	"github.com/ztplan/ztplan/engine"
)

// An Encryption turns Vault's answer into the document of the sinks: in the clear
// if the plan names no custodians, else with a part for each of them that they alone
// can decrypt. [NewEncryption] checks the keys, so that an unusable key fails before
// Vault is asked.
type Encryption struct {
	custodians []reader
	root       *reader
}

// NewEncryption reads the keys of all custodians. Its error is permanent.
func NewEncryption(all []Custodian, token *Readers) (*Encryption, error) {
	var errs []error
	custodians, root := readersOf(all, token, func(p engine.Problem) {
		errs = append(errs, engine.WithHint(fmt.Errorf("keys.%s: %s", p.Field, p.Message), p.Hint))
	})
	if err := errors.Join(errs...); err != nil {
		return nil, engine.Permanent(err)
	}
	return &Encryption{custodians, root}, nil
}

// Readers returns a line for each reader: "share 1: alice (age)". It is empty without
// custodians.
func (e *Encryption) Readers() []string {
	var out []string
	for i, c := range e.custodians {
		out = append(out, fmt.Sprintf("share %d: %s (%s)", i+1, c.Name, c.kind()))
	}
	if e.root != nil {
		out = append(out, "root token: "+e.root.readers())
	}
	return out
}

// PGPKeys returns the pgp_keys for sys/init, nil unless Vault is to encrypt
// the shares.
func (e *Encryption) PGPKeys() []string {
	var out []string
	for _, c := range e.custodians {
		if c.pgp != nil {
			out = append(out, c.pgp.base64)
		}
	}
	return out
}

// RootTokenPGPKey returns the root_token_pgp_key for sys/init, "" unless
// Vault is to encrypt the root token.
func (e *Encryption) RootTokenPGPKey() string {
	if e.root == nil || e.root.pgp == nil {
		return ""
	}
	return e.root.pgp.base64
}

// Bound returns the largest size in bytes of the document of n shares.
func (e *Encryption) Bound(n, threshold int) (int, error) {
	// Vault's shares have 33 bytes, in hexadecimal, and its tokens up to 95
	// characters (hashicorp/vault:vault/token_store.go), behind a namespace.
	share, token := strings.Repeat("f", 256), strings.Repeat("x", 512)
	a := NewAnswer(&api.InitResponse{Keys: slices.Repeat([]string{share}, n), RootToken: token}, n, threshold)
	for _, c := range e.custodians {
		part, err := c.bound(share)
		if err != nil {
			return 0, err
		}
		a.Sealed = append(a.Sealed, part)
	}
	if e.root != nil {
		part, err := e.root.bound(token)
		if err != nil {
			return 0, err
		}
		a.SealedRootToken = &part
	}
	return len(a.Encode()), nil
}

// bound returns a part that is at least as long as one of text.
func (r *reader) bound(text string) (out Part, err error) {
	out = r.Part
	if r.pgp == nil {
		out.Text, err = r.age.seal(text)
		return out, err
	}
	// The session key takes no more than the public key, the rest is text and
	// packet headers (RFC 9580, 5.1 and 5.13).
	out.Text = r.pgp.base64 + base64.StdEncoding.EncodeToString([]byte(text+strings.Repeat("x", 512)))
	return out, nil
}

// Encrypt returns the document of Vault's answer to an initialisation with n shares
// of which threshold are needed. For the rest of the run it holds the shares and the
// token in the clear as well, as far as Vault gave them so.
func (e *Encryption) Encrypt(said *api.InitResponse, n, threshold int) (*Answer, error) {
	a := NewAnswer(said, n, threshold)
	if len(e.custodians) == 0 {
		return a, nil
	}
	if len(a.Shares) != len(e.custodians) {
		return a, fmt.Errorf("vault gave %d shares for %d custodians", len(a.Shares), len(e.custodians))
	}
	var errs []error
	for i, c := range e.custodians {
		part, err := c.encrypt(a.Shares[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("the share of %s: %w", c.Name, err))
		}
		a.Sealed = append(a.Sealed, part)
	}
	root, err := e.root.encrypt(a.RootToken)
	if err != nil {
		errs = append(errs, fmt.Errorf("the root token: %w", err))
	}
	a.SealedRootToken = &root
	a.Opened = a.Custodians()
	if e.PGPKeys() != nil {
		a.Shares, a.Opened = nil, nil
	}
	if e.RootTokenPGPKey() != "" {
		a.RootToken = engine.Secret{}
	}
	return a, errors.Join(errs...)
}

// encrypt encrypts text, unless Vault has encrypted it already.
func (r *reader) encrypt(text engine.Secret) (Part, error) {
	out := r.Part
	var err error
	if r.pgp == nil {
		out.Text, err = r.age.seal(text.Reveal())
		return out, err
	}
	out.Text = text.Reveal()
	// Shares come in hexadecimal, the root token in base64.
	if raw, hexErr := hex.DecodeString(out.Text); hexErr == nil {
		out.Text = base64.StdEncoding.EncodeToString(raw)
	}
	return out, r.pgp.encryptedTo(out.Text)
}
