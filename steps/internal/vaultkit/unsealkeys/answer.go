package unsealkeys

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"

	"github.com/hashicorp/vault/api"
	"github.com/ztplan/ztplan/engine"
)

// An Answer is Vault's answer to its initialisation, which it gives once. One with
// custodians is kept as its Sealed parts; shares and token in the clear beside them
// are for this run and never encoded.
type Answer struct {
	// Shares are the shares of the unseal key, or of the recovery key when
	// Vault unseals itself (Recovery). Hexadecimal if Vault gave both forms.
	Shares    []engine.Secret
	Recovery  bool
	N         int // number of shares, 0 if not in the sink
	Threshold int // number of shares needed, 0 if not in the sink
	RootToken engine.Secret

	Sealed          []Part   // one for each custodian; nil if the answer is kept in the clear
	SealedRootToken *Part    // nil if the token is not kept
	Opened          []string // custodians whose share is in Shares
}

// NewAnswer returns Vault's answer to an initialisation with n shares of which
// threshold are needed.
func NewAnswer(a *api.InitResponse, n, threshold int) *Answer {
	out := &Answer{N: n, Threshold: threshold, RootToken: engine.NewSecret(a.RootToken)}
	shares := a.Keys
	if len(shares) == 0 {
		shares, out.Recovery = a.RecoveryKeys, true
	}
	for _, s := range shares {
		out.Shares = append(out.Shares, engine.NewSecret(s))
	}
	return out
}

// A document has the names of both shapes: those of the command line's output
// (hashicorp/vault:command/operator_init.go) and those of the API's answer.
type document struct {
	UnsealKeysB64        []string `json:"unseal_keys_b64"`
	UnsealKeysHex        []string `json:"unseal_keys_hex"`
	UnsealShares         int      `json:"unseal_shares"`
	UnsealThreshold      int      `json:"unseal_threshold"`
	RecoveryKeysB64      []string `json:"recovery_keys_b64"`
	RecoveryKeysHex      []string `json:"recovery_keys_hex"`
	RecoveryKeysShares   int      `json:"recovery_keys_shares"`
	RecoveryKeysThresold int      `json:"recovery_keys_threshold"`
	RootToken            string   `json:"root_token"`
	*apiDocument
}

type apiDocument struct {
	Keys               []string `json:"keys,omitempty"`
	KeysBase64         []string `json:"keys_base64,omitempty"`
	RecoveryKeys       []string `json:"recovery_keys,omitempty"`
	RecoveryKeysBase64 []string `json:"recovery_keys_base64,omitempty"`
}

// Encode returns a in the shape of "vault operator init -format=json", or as the
// parts of its custodians.
func (a *Answer) Encode() []byte {
	if len(a.Sealed) > 0 {
		return a.encodeSealed()
	}
	d := document{
		UnsealKeysB64: []string{}, UnsealKeysHex: []string{}, RecoveryKeysB64: []string{}, RecoveryKeysHex: []string{},
		RootToken: a.RootToken.Reveal(),
	}
	for _, s := range a.Shares {
		h, b := bothForms(s.Reveal())
		if a.Recovery {
			d.RecoveryKeysHex, d.RecoveryKeysB64 = append(d.RecoveryKeysHex, h), append(d.RecoveryKeysB64, b)
		} else {
			d.UnsealKeysHex, d.UnsealKeysB64 = append(d.UnsealKeysHex, h), append(d.UnsealKeysB64, b)
		}
	}
	if a.Recovery {
		d.RecoveryKeysShares, d.RecoveryKeysThresold = a.N, a.Threshold
		d.UnsealShares, d.UnsealThreshold = 1, 1 // as the command prints
	} else {
		d.UnsealShares, d.UnsealThreshold = a.N, a.Threshold
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		panic(err) // strings and numbers only
	}
	return append(text, '\n')
}

// errDamaged does not quote the text: it may hold a key.
var errDamaged = errors.New(`is not the JSON of "vault operator init -format=json"`)

// Decode reads either shape, and the parts of custodians.
func Decode(text []byte) (*Answer, error) {
	if a, err := decodeSealed(text); a != nil || err != nil {
		return a, err
	}
	d := document{apiDocument: &apiDocument{}}
	if json.Unmarshal(text, &d) != nil {
		return nil, errDamaged
	}
	a := &Answer{N: d.UnsealShares, Threshold: d.UnsealThreshold, RootToken: engine.NewSecret(d.RootToken)}
	shares := firstOf(d.UnsealKeysHex, d.Keys, d.UnsealKeysB64, d.KeysBase64)
	if len(shares) == 0 {
		shares = firstOf(d.RecoveryKeysHex, d.RecoveryKeys, d.RecoveryKeysB64, d.RecoveryKeysBase64)
		a.Recovery, a.N, a.Threshold = true, d.RecoveryKeysShares, d.RecoveryKeysThresold
	}
	if len(shares) == 0 {
		return nil, errDamaged
	}
	for _, s := range shares {
		a.Shares = append(a.Shares, engine.NewSecret(s))
	}
	return a, nil
}

func firstOf(lists ...[]string) []string {
	for _, l := range lists {
		if len(l) > 0 {
			return l
		}
	}
	return nil
}

// bothForms returns a share in hexadecimal and in base64. A share that is
// neither is returned as it is.
func bothForms(share string) (hexadecimal, b64 string) {
	raw, ok := bytesOf(share)
	if !ok {
		return share, share
	}
	return hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw)
}

// bytesOf decodes a share as Vault does: hexadecimal first, then base64.
func bytesOf(share string) ([]byte, bool) {
	if raw, err := hex.DecodeString(share); err == nil {
		return raw, true
	}
	raw, err := base64.StdEncoding.DecodeString(share)
	return raw, err == nil
}

// Distinct returns the shares without repetitions: Vault counts each once.
func (a *Answer) Distinct() []engine.Secret {
	seen := make(map[string]bool)
	return slices.DeleteFunc(slices.Clone(a.Shares), func(s engine.Secret) bool {
		h, _ := bothForms(s.Reveal())
		again := seen[h]
		seen[h] = true
		return again
	})
}

// SameKeys reports whether a and b are of the same Vault, with the same root token
// or not.
func (a *Answer) SameKeys(b *Answer) bool {
	forms := func(a *Answer) []string {
		var out []string
		for _, p := range a.Sealed {
			out = append(out, p.Text)
		}
		if len(out) > 0 {
			return out
		}
		for _, s := range a.Distinct() {
			h, _ := bothForms(s.Reveal())
			out = append(out, h)
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(forms(a), forms(b))
}

// Secrets returns everything in a that must not be shown, in every form that
// Vault takes.
func (a *Answer) Secrets() []engine.Secret {
	var out []engine.Secret
	if !a.RootToken.IsZero() {
		out = append(out, a.RootToken)
	}
	for _, s := range a.Shares {
		h, b := bothForms(s.Reveal())
		out = append(out, engine.NewSecret(h), engine.NewSecret(b))
	}
	return out
}
