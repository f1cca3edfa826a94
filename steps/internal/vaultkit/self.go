package vaultkit

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/ztplan/ztplan/steps/internal/vaultkit/guard"
)

const (
	lookupSelf       = "auth/token/lookup-self"
	revokeSelf       = "auth/token/revoke-self"
	capabilitiesSelf = "sys/capabilities-self"
)

// A Self is Vault's description of a token to its bearer.
type Self struct {
	Policies []string
	Type     string        // service or batch
	TTL      time.Duration // 0 for a token that does not expire
}

// LookupSelf returns Vault's description of the client's token, nil for a token
// that Vault does not know: wrong, expired or revoked.
func (c *Client) LookupSelf(ctx context.Context) (*Self, error) {
	data, err := c.Read(ctx, lookupSelf)
	if StatusOf(err) == http.StatusForbidden {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &Self{
		Policies: Strings(data["policies"]), Type: Text(data["type"]),
		TTL: time.Duration(Whole(data["ttl"])) * time.Second,
	}, nil
}

// RevokeSelf revokes the client's token, with everything that was made with it
// and has a lease, and with the tokens that it made.
func (c *Client) RevokeSelf(ctx context.Context) error {
	return c.Put(ctx, revokeSelf, nil)
}

// LogOut revokes the client's token, which [Client.Authenticate] gave, and is
// allowed in Inspect as well.
func (c *Client) LogOut(ctx context.Context) error {
	return c.RevokeSelf(guard.AllowWrite(ctx, revokeSelf))
}

// Capabilities returns the capabilities of the client's token at a path. Vault wants a
// POST for that and changes nothing, so Inspect may ask.
func (c *Client) Capabilities(ctx context.Context, path string) ([]string, error) {
	data, err := c.Write(guard.AllowWrite(ctx, capabilitiesSelf), capabilitiesSelf, map[string]any{"paths": []string{path}})
	if err != nil {
		return nil, err
	}
	return Strings(data[path]), nil
}

// Dead returns nil once Vault refuses the client's token, with 403, and an error
// as long as it works or Vault cannot be asked.
func (c *Client) Dead(ctx context.Context) error {
	who, err := c.LookupSelf(ctx)
	if err == nil && who != nil {
		err = errors.New("the token still works")
	}
	return err
}
