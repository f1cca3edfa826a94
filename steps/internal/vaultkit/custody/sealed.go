package custody

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"

	"github.com/ztplan/ztplan/engine"
)

// A Part is one share, or the root token, that only its reader can decrypt.
type Part struct {
	Name string   `json:"name,omitempty"` // of the custodian; empty for the root token
	Age  []string `json:"age,omitempty"`  // recipients
	PGP  string   `json:"pgp,omitempty"`  // fingerprint of the key, hexadecimal
	Text string   `json:"encrypted"`      // an armored age file, or a PGP message in base64
}

// A sealedDocument is what a sink holds when the plan names custodians. It is
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

// Fits returns a permanent error unless a is kept the way k says: in the clear,
// or encrypted to the custodians of the plan.
func (k Keys) Fits(a *Answer) error {
	lock, err := k.Lock()
	if err != nil {
		return err
	}
	switch {
	case len(a.Sealed) == 0 && len(lock.custodians) == 0:
		return nil
	case len(a.Sealed) == 0:
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("%s holds the shares in the clear, and the plan names custodians", k)),
			"whoever has read them knows them: rekey Vault (vault operator rekey) and hand the new shares out, or take custodians out of the plan")
	case len(lock.custodians) == 0:
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("%s holds shares encrypted to %s, and the plan names no custodians", k, strings.Join(a.Custodians(), ", "))),
			"write the custodians into the plan as they are in there")
	}
	want := make(map[string]string)
	for _, c := range lock.custodians {
		want[c.Name] = c.readers()
	}
	for _, p := range a.Sealed {
		switch have, ok := want[p.Name]; {
		case !ok:
			return misfit("%s holds a share of %s, who is no custodian in the plan", k, p.Name)
		case have != p.readers():
			return misfit("%s holds the share of %s encrypted to %s, and the plan says %s", k, p.Name, p.readers(), have)
		}
		delete(want, p.Name)
	}
	for name := range want {
		return misfit("%s holds no share of %s", k, name)
	}
	if have := a.SealedRootToken; have != nil && have.readers() != lock.root.readers() {
		return misfit("%s holds the root token encrypted to %s, and the plan says %s", k, have.readers(), lock.root.readers())
	}
	return nil
}

func misfit(format string, args ...any) error {
	return engine.WithHint(engine.Permanent(fmt.Errorf(format, args...)),
		"set the plan back: what is encrypted already stays as it is; other custodians need new shares (vault operator rekey)")
}

// Open decrypts what it can of a and conceals it: everything in the run that
// initialised Vault, unless Vault encrypted it, else what the identities of the
// plan are for.
func (k Keys) Open(ctx context.Context, env *engine.Env, a *Answer) error {
	if len(a.Sealed) > 0 {
		if err := k.decrypt(ctx, env, a); err != nil {
			return err
		}
	}
	env.Conceal(a.Secrets()...)
	return nil
}

func (k Keys) decrypt(ctx context.Context, env *engine.Env, a *Answer) error {
	m, err := k.memories(ctx, env)
	if err != nil || m.recall(a) || len(k.Identities) == 0 {
		return err
	}
	var ids []age.Identity
	for _, f := range k.Identities {
		more, err := readIdentities(f, env.Conceal)
		if err != nil {
			return err
		}
		ids = append(ids, more...)
	}
	read := func(p Part, what string) (text engine.Secret, ok bool) {
		if len(p.Age) == 0 {
			return engine.Secret{}, false
		}
		plain, ok, err := openAge(p.Text, ids)
		if fact := what + " is damaged"; err != nil && !k.Marked(ctx, env, fact) {
			k.Mark(ctx, env, fact)
			env.Warnf("%s: %s: it cannot be decrypted: %v", k, fact, err)
		}
		return engine.NewSecret(plain), ok
	}
	for _, p := range a.Sealed {
		if share, ok := read(p, "the share of "+p.Name); ok {
			a.Shares = append(a.Shares, share)
			a.Opened = append(a.Opened, p.Name)
		}
	}
	if p := a.SealedRootToken; p != nil {
		if token, ok := read(*p, "the root token"); ok {
			a.RootToken = token
		}
	}
	return nil
}
