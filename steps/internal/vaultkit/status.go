package vaultkit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/hashicorp/vault/api"
	"github.com/ztplan/ztplan/engine"
)

// A SealStatus is what Vault tells anybody about itself, sealed or not.
type SealStatus = api.SealStatusResponse

// Shamir is the type of a seal that is opened with key shares. Any other seal
// opens itself, and its keys only serve recovery.
const Shamir = "shamir"

// SealStatus asks for the seal's status. Vault answers it in every state, so an
// error means that Vault could not be reached.
func (c *Client) SealStatus(ctx context.Context) (*SealStatus, error) {
	s := new(SealStatus)
	if err := c.send(ctx, query{method: http.MethodGet, path: "sys/seal-status"}, s); err != nil {
		return nil, c.explain(ctx, "read", "sys/seal-status", err)
	}
	return s, nil
}

// An InitAnswer is what Vault says once and never again.
type InitAnswer = api.InitResponse

// An InitOrder is how Vault is to initialise itself.
type InitOrder struct {
	Shares, Threshold int

	// Public keys in base64 that Vault encrypts its answer to: one for each share,
	// or none, and one for the root token.
	PGPKeys         []string
	RootTokenPGPKey string
}

// Init initialises Vault. With a seal that is not [Shamir], shares and threshold
// are those of the recovery key.
//
// The answer cannot be asked for again. When it is lost on its way, the error
// wraps [ErrAnswerLost] and is permanent.
func (c *Client) Init(ctx context.Context, sealType string, order InitOrder) (*InitAnswer, error) {
	req := &api.InitRequest{
		SecretShares: order.Shares, SecretThreshold: order.Threshold,
		PGPKeys: order.PGPKeys, RootTokenPGPKey: order.RootTokenPGPKey,
	}
	if sealType != Shamir {
		req = &api.InitRequest{
			RecoveryShares: order.Shares, RecoveryThreshold: order.Threshold,
			RecoveryPGPKeys: order.PGPKeys, RootTokenPGPKey: order.RootTokenPGPKey,
		}
	}
	answer := new(InitAnswer)
	err := c.send(ctx, query{method: http.MethodPut, path: "sys/init", body: req}, answer)
	if err == nil {
		return answer, nil
	}
	err = c.explain(ctx, "write", "sys/init", err)
	if s, statusErr := c.SealStatus(context.WithoutCancel(ctx)); statusErr == nil && s.Initialized && !Refused(err, "already initialized") {
		return nil, engine.Permanent(fmt.Errorf("%w: %w", ErrAnswerLost, err))
	}
	return nil, err
}

// ErrAnswerLost is an initialisation that happened and whose answer nobody has.
var ErrAnswerLost = errors.New("vault initialised itself, but its answer with the keys was lost")

// Unseal submits one key share, hexadecimal or base64.
func (c *Client) Unseal(ctx context.Context, share engine.Secret) (*SealStatus, error) {
	s := new(SealStatus)
	q := query{method: http.MethodPut, path: "sys/unseal", body: map[string]string{"key": share.Reveal()}}
	if err := c.send(ctx, q, s); err != nil {
		return nil, c.explain(ctx, "write", "sys/unseal", err)
	}
	return s, nil
}

// Serving reports whether requests are answered: the server is active, or it is
// a standby of a cluster that has an active one. why says what is missing.
func (c *Client) Serving(ctx context.Context) (ok bool, why string, err error) {
	// Without these, the answers for these states would be errors.
	states := url.Values{}
	for _, state := range []string{"uninitcode", "sealedcode", "standbycode", "drsecondarycode", "performancestandbycode", "removedcode", "haunhealthycode"} {
		states.Set(state, "299")
	}
	var h api.HealthResponse
	if err := c.send(ctx, query{method: http.MethodGet, path: "sys/health", params: states}, &h); err != nil {
		return false, "", c.explain(ctx, "read", "sys/health", err)
	}
	switch {
	case !h.Initialized:
		return false, "not initialised", nil
	case h.Sealed:
		return false, "sealed", nil
	case !h.Standby:
		return true, "", nil
	}
	var leader api.LeaderResponse
	if err := c.send(ctx, query{method: http.MethodGet, path: "sys/leader"}, &leader); err != nil {
		return false, "", c.explain(ctx, "read", "sys/leader", err)
	}
	if leader.HAEnabled && leader.LeaderAddress == "" {
		return false, "standby, and no node is active yet", nil
	}
	return true, "", nil
}
