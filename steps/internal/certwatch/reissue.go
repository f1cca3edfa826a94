package certwatch

import (
	"context"
	"crypto/x509"
	"fmt"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/hints"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// Reissue has a Certificate issued anew, unless it is signed by ca already, and
// returns the chain in its Secret when ca signed it.
func (c *Client) Reissue(ctx context.Context, ref Ref, ca *x509.Certificate) ([]*x509.Certificate, error) {
	secretName, err := c.Secret(ctx, ref)
	if err != nil {
		return nil, err
	}
	var wg engine.Group
	defer wg.Wait()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := c.Watch(inner, &wg, ref, secretName).Changes()
	var (
		before *Certificate
		state  = NewState(c.Env.Now())
	)
	for {
		select {
		case change := <-changes:
			if change.Err != nil {
				return nil, change.Err
			}
			state.Handle(change)
		case <-ctx.Done():
			if text := state.Troubles.String(); text != "" {
				return nil, fmt.Errorf("certificate %s: is not issued anew: %w (%s)", ref, context.Cause(ctx), text)
			}
			return nil, fmt.Errorf("certificate %s: is not issued anew: %w", ref, context.Cause(ctx))
		}
		now := state.Certificate
		switch {
		case now == nil || state.Secret == nil:
		case before == nil && signedBy(state.Secret, ca):
			return state.Secret.Chain, nil
		case before == nil:
			before = now
			renewed, _, err := c.Renew(ctx, ref)
			if err != nil {
				return nil, err
			}
			state.Handle(Change{Certificate: renewed})
		case now.FailedSince(before):
			text := state.failure()
			return nil, engine.WithHint(engine.Permanent(fmt.Errorf("certificate %s: the issuance failed: %s", ref, kubestatus.OneLine(text))), hints.For(text))
		case now.Status.Revision > before.Status.Revision && !now.Issuing() && signedBy(state.Secret, ca):
			return state.Secret.Chain, nil
		}
	}
}

// failure returns the message of the newest request, or that of the Certificate.
func (s *State) failure() string {
	var newest *Request
	for _, r := range s.Requests {
		if newest == nil || r.Metadata.CreationTimestamp.After(newest.Metadata.CreationTimestamp.Time) {
			newest = r
		}
	}
	if newest != nil && newest.Message() != "" {
		return fmt.Sprintf("certificaterequest %s: %s", newest.Metadata.Name, newest.Message())
	}
	return s.Certificate.Status.Conditions.Get("Issuing").Message
}

func signedBy(b *Bundle, ca *x509.Certificate) bool { return b.Leaf().CheckSignatureFrom(ca) == nil }
