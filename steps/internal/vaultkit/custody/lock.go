package custody

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

// A Lock turns Vault's answer into what is kept: as it is if the plan names no
// custodians, else a part for each of them that nobody else can read. Whatever
// could go wrong with the keys does so in [Keys.Lock], before Vault is asked.
type Lock struct {
	custodians []reader
	root       *reader
}

// Lock reads the keys of all custodians. Its error is permanent.
func (k Keys) Lock() (*Lock, error) {
	var errs []error
	custodians, root := k.readers(func(p engine.Problem) {
		errs = append(errs, engine.WithHint(fmt.Errorf("keys.%s: %s", p.Field, p.Message), p.Hint))
	})
	if err := errors.Join(errs...); err != nil {
		return nil, engine.Permanent(err)
	}
	return &Lock{custodians, root}, nil
}

// Readers says who gets what, a line each; nothing without custodians.
func (l *Lock) Readers() []string {
	var out []string
	for i, c := range l.custodians {
		out = append(out, fmt.Sprintf("share %d: %s (%s)", i+1, c.Name, c.kind()))
	}
	if l.root != nil {
		out = append(out, "root token: "+l.root.readers())
	}
	return out
}

// PGPKeys returns what sys/init takes as pgp_keys, nil unless Vault is to encrypt
// the shares.
func (l *Lock) PGPKeys() []string {
	var out []string
	for _, c := range l.custodians {
		if c.pgp != nil {
			out = append(out, c.pgp.base64)
		}
	}
	return out
}

// RootTokenPGPKey returns what sys/init takes as root_token_pgp_key, "" unless
// Vault is to encrypt the root token.
func (l *Lock) RootTokenPGPKey() string {
	if l.root == nil || l.root.pgp == nil {
		return ""
	}
	return l.root.pgp.base64
}

// Bound is the most bytes that what is kept of n shares can take.
func (l *Lock) Bound(n, threshold int) (int, error) {
	// Vault's shares have 33 bytes, in hexadecimal, and its tokens up to 95
	// characters (hashicorp/vault:vault/token_store.go), behind a namespace.
	share, token := strings.Repeat("f", 256), strings.Repeat("x", 512)
	a := NewAnswer(&api.InitResponse{Keys: slices.Repeat([]string{share}, n), RootToken: token}, n, threshold)
	for _, c := range l.custodians {
		part, err := c.bound(share)
		if err != nil {
			return 0, err
		}
		a.Sealed = append(a.Sealed, part)
	}
	if l.root != nil {
		part, err := l.root.bound(token)
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

// Close returns what is to be kept of Vault's answer to an initialisation with n
// shares of which threshold are needed. It holds in the clear, besides, what
// Vault said in the clear, for the rest of the run.
func (l *Lock) Close(said *api.InitResponse, n, threshold int) (*Answer, error) {
	a := NewAnswer(said, n, threshold)
	if len(l.custodians) == 0 {
		return a, nil
	}
	if len(a.Shares) != len(l.custodians) {
		return a, fmt.Errorf("vault gave %d shares for %d custodians", len(a.Shares), len(l.custodians))
	}
	var errs []error
	for i, c := range l.custodians {
		part, err := c.close(a.Shares[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("the share of %s: %w", c.Name, err))
		}
		a.Sealed = append(a.Sealed, part)
	}
	root, err := l.root.close(a.RootToken)
	if err != nil {
		errs = append(errs, fmt.Errorf("the root token: %w", err))
	}
	a.SealedRootToken = &root
	a.Opened = a.Custodians()
	if l.PGPKeys() != nil {
		a.Shares, a.Opened = nil, nil
	}
	if l.RootTokenPGPKey() != "" {
		a.RootToken = engine.Secret{}
	}
	return a, errors.Join(errs...)
}

// close encrypts text, or takes it as Vault has encrypted it.
func (r *reader) close(text engine.Secret) (Part, error) {
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
