package assertrotation

import (
	"context"
	"crypto/x509"
	"fmt"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/hints"
)

// reissue has a Certificate issued anew, unless it is signed by next already,
// and returns when its Secret holds what next signed.
func (p *proof) reissue(ctx context.Context, ref Ref, next *x509.Certificate) (reissued, error) {
	secretName, err := p.look(ctx, ref)
	if err != nil {
		return reissued{}, err
	}
	var wg engine.Group
	defer wg.Wait()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := watch(inner, &wg, p.client, ref, secretName)
	var (
		before, cert *certificate
		secret       *bundle
		said         *request
		broken       = make(troubles)
	)
	for {
		select {
		case c := <-changes:
			switch {
			case c.err != nil:
				return reissued{}, c.err
			case broken.take(c):
			case c.certificate != nil && (cert == nil || !c.certificate.olderThan(cert)):
				cert = c.certificate
			case c.secret != nil:
				secret = c.secret
			case c.request != nil && (said == nil || c.request.Metadata.CreationTimestamp.After(said.Metadata.CreationTimestamp.Time)):
				said = c.request
			}
		case <-ctx.Done():
			if text := broken.String(); text != "" {
				return reissued{}, fmt.Errorf("certificate %s: is not issued anew: %w (%s)", ref, context.Cause(ctx), text)
			}
			return reissued{}, fmt.Errorf("certificate %s: is not issued anew: %w", ref, context.Cause(ctx))
		}
		switch {
		case cert == nil || secret == nil:
		case before == nil && signedBy(secret, next):
			return reissued{ref, secret.chain, p.env.Now()}, nil
		case before == nil:
			before = cert
			if cert, _, err = p.renew(ctx, ref); err != nil {
				return reissued{}, err
			}
		case cert.failed() && failedAnew(before, cert):
			text := cert.Status.Conditions.get("Issuing").Message
			if said != nil && said.message() != "" {
				text = fmt.Sprintf("certificaterequest %s: %s", said.Metadata.Name, said.message())
			}
			return reissued{}, engine.WithHint(engine.Permanent(fmt.Errorf("certificate %s: the issuance failed: %s", ref, oneLine(text))), hints.For(text))
		case cert.Status.Revision <= before.Status.Revision || cert.issuing():
		case signedBy(secret, next):
			return reissued{ref, secret.chain, p.env.Now()}, nil
		}
	}
}

func signedBy(b *bundle, ca *x509.Certificate) bool { return b.leaf().CheckSignatureFrom(ca) == nil }

// failedAnew reports whether the failure in a status was not there before.
func failedAnew(before, now *certificate) bool {
	then := before.Status
	return then.LastFailureTime == nil ||
		now.Status.FailedAttempts != then.FailedAttempts ||
		!now.Status.LastFailureTime.Equal(then.LastFailureTime)
}
