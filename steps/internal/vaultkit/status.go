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

// A SealStatus is Vault's status, which needs no token, sealed or not.
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

// An InitRequest is the request to initialise Vault.
type InitRequest = api.InitRequest

// Init initialises Vault. With a seal that is not [Shamir], the secret shares,
// their threshold and their PGP keys are those of the recovery key.
//
// The answer cannot be asked for again. When it is lost on its way, the error
// wraps [ErrAnswerLost] and is permanent.
func (c *Client) Init(ctx context.Context, sealType string, req InitRequest) (*api.InitResponse, error) {
	if sealType != Shamir {
		req = InitRequest{
			RecoveryShares: req.SecretShares, RecoveryThreshold: req.SecretThreshold,
			RecoveryPGPKeys: req.PGPKeys, RootTokenPGPKey: req.RootTokenPGPKey,
		}
	}
	answer := new(api.InitResponse)
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

// ErrAnswerLost is an initialisation that happened and whose answer was lost.
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

// anyState are the parameters with which sys/health answers every state without an error.
func anyState() url.Values {
	states := url.Values{}
	for _, state := range []string{"uninitcode", "sealedcode", "standbycode", "drsecondarycode", "performancestandbycode", "removedcode", "haunhealthycode"} {
		states.Set(state, "299")
	}
	return states
}

// Serving reports whether requests are answered: the server is active, or it is
// a standby of a cluster that has an active one. why is the reason if not.
func (c *Client) Serving(ctx context.Context) (ok bool, why string, err error) {
	var h api.HealthResponse
	if err := c.send(ctx, query{method: http.MethodGet, path: "sys/health", params: anyState()}, &h); err != nil {
		return false, "", c.explain(ctx, "read", "sys/health", err)
	}
	switch {
	case !h.Initialized:
		return false, "not initialised", nil
	case h.Sealed:
		return false, "sealed", nil
	case h.ReplicationDRMode == "secondary":
		return false, "a secondary for disaster recovery, which serves no requests until it is promoted", nil
	case !h.Standby || h.PerformanceStandby:
		return true, "", nil
	}
	leader, err := c.Leadership(ctx)
	if err != nil {
		return false, "", err
	}
	if leader.HAEnabled && leader.LeaderAddress == "" {
		return false, "standby, and no node is active yet", nil
	}
	return true, "", nil
}
