package unsealkeys

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A Part is one share, or the root token, that only its reader can decrypt.
type Part struct {
	Name string   `json:"name,omitempty"` // of the custodian; empty for the root token
	Age  []string `json:"age,omitempty"`  // recipients
	PGP  string   `json:"pgp,omitempty"`  // fingerprint of the key, hexadecimal
	Text string   `json:"encrypted"`      // an armored age file, or a PGP message in base64
}

// A sealedDocument is the content of a sink when the plan names custodians. It is
// one document, so that the shares are there all together or not at all.
type sealedDocument struct {
	About           string `json:"about"`
	UnsealShares    int    `json:"unseal_shares"`
	UnsealThreshold int    `json:"unseal_threshold"`
	Recovery        bool   `json:"recovery,omitempty"`
	Custodians      []Part `json:"custodians"`
	RootToken       *Part  `json:"encrypted_root_token,omitempty"`
}

const aboutSealed = "Key shares of Vault, each encrypted to its custodian. To get yours: select .encrypted of your name, then age --decrypt, or base64 --decode and gpg --decrypt."

func (a *Answer) encodeSealed() []byte {
	text, err := json.MarshalIndent(sealedDocument{
		About: aboutSealed, UnsealShares: a.N, UnsealThreshold: a.Threshold, Recovery: a.Recovery,
		Custodians: a.Sealed, RootToken: a.SealedRootToken,
	}, "", "  ")
	if err != nil {
		panic(err) // strings and numbers only
	}
	return append(text, '\n')
}

var errDamagedSealed = errors.New("is a damaged file of encrypted shares")

// decodeSealed returns nil if text is something else.
func decodeSealed(text []byte) (*Answer, error) {
	var d sealedDocument
	var probe struct {
		Custodians json.RawMessage `json:"custodians"`
	}
	if json.Unmarshal(text, &probe) != nil || probe.Custodians == nil {
		return nil, nil
	}
	if json.Unmarshal(text, &d) != nil || len(d.Custodians) == 0 {
		return nil, errDamagedSealed
	}
	for _, p := range d.Custodians {
		if !p.wellFormed() {
			return nil, fmt.Errorf("%w: the share of %s", errDamagedSealed, p.Name)
		}
	}
	if d.RootToken != nil && !d.RootToken.wellFormed() {
		return nil, fmt.Errorf("%w: the root token", errDamagedSealed)
	}
	return &Answer{
		N: d.UnsealShares, Threshold: d.UnsealThreshold, Recovery: d.Recovery,
		Sealed: d.Custodians, SealedRootToken: d.RootToken,
	}, nil
}

func (p Part) wellFormed() bool {
	if p.PGP == "" {
		return wellFormed(p.Text)
	}
	_, err := base64.StdEncoding.DecodeString(p.Text)
	return err == nil && p.Text != ""
}

// readers names the keys that can decrypt p.
func (p Part) readers() string {
	if p.PGP != "" {
		return "PGP key " + p.PGP
	}
	return strings.Join(p.Age, " ")
}

// Custodians names those that the shares are encrypted to; nil if they are in
// the clear.
func (a *Answer) Custodians() []string {
	var names []string
	for _, p := range a.Sealed {
		names = append(names, p.Name)
	}
	return names
}
