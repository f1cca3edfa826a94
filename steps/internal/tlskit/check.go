package tlskit

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Checks look at the object of trustFrom; another trust has been read with the plan.
// prefix comes before the names of the inputs: "dial." or nothing.
func (t TrustInput) Checks(prefix string, unknown []string) []engine.Check {
	if t.TrustFrom == nil {
		return nil
	}
	return t.TrustFrom.Checks(prefix+"trustFrom", unknown, func(ctx context.Context, env *engine.Env) (string, error) {
		trust, err := t.TrustFrom.load(ctx, env)
		if err != nil {
			return "", err
		}
		return "trusts " + trust.String(), nil
	})
}

// Checks look at the object: read reads it for its user, and describes it. field is the
// path of the input. nil has none.
func (t *TrustSource) Checks(field string, unknown []string, read func(context.Context, *engine.Env) (string, error)) []engine.Check {
	if t == nil || !engine.Known(field, unknown) {
		return nil
	}
	k, kind := t.object()
	return []engine.Check{{
		Name:   fmt.Sprintf("CA certificates in %s of %s %s/%s", k.key(), kind, k.Namespace, k.Name),
		Target: true,
		Run:    func(ctx context.Context, env *engine.Env) engine.Verdict { return look(ctx, env, read) },
	}}
}

// Checks look at the certificate of the client, and at the object that holds it. field
// is the path of the input. nil has none.
func (c *ClientCertificate) Checks(field string, unknown []string) []engine.Check {
	return c.checks(field, unknown, func(ctx context.Context, env *engine.Env) (string, error) {
		credential, err := c.Load(ctx, env)
		if err != nil {
			return "", err
		}
		return credential.presentable(env.Now())
	})
}

// ChecksOfRefused are those of a certificate that servers must refuse: it may have ended.
func (c *ClientCertificate) ChecksOfRefused(field string, unknown []string) []engine.Check {
	return c.checks(field, unknown, func(ctx context.Context, env *engine.Env) (string, error) {
		credential, err := c.Load(ctx, env)
		if err != nil {
			return "", err
		}
		return credential.String(), nil
	})
}

func (c *ClientCertificate) checks(field string, unknown []string, read func(context.Context, *engine.Env) (string, error)) []engine.Check {
	if c == nil || !engine.Known(field, unknown) {
		return nil
	}
	return []engine.Check{{
		Name:   strings.TrimPrefix(c.String(), "the "),
		Target: c.Secret != nil,
		Run:    func(ctx context.Context, env *engine.Env) engine.Verdict { return look(ctx, env, read) },
	}}
}

// presentable describes the credential. One that no server accepts is an error.
func (c *Credential) presentable(now time.Time) (string, error) {
	leaf := c.Leaf()
	switch {
	case now.After(leaf.NotAfter), now.Before(leaf.NotBefore):
		return "", engine.WithHint(fmt.Errorf("client: %s is valid from %s to %s", c, certs.Stamp(leaf.NotBefore), certs.Stamp(leaf.NotAfter)),
			"look why it is not renewed, and at this machine's clock")
	case !forClients(leaf):
		return "", engine.WithHint(fmt.Errorf("client: %s is not for clients: its extended key usage is for something else", c),
			"add the usage client auth to its Certificate")
	}
	return fmt.Sprintf("%s, valid until %s", c, certs.Stamp(leaf.NotAfter)), nil
}

// forClients reports whether the extended key usage lets a client present the certificate
// (RFC 5280 4.2.1.12): a certificate without the extension is for all.
func forClients(c *x509.Certificate) bool {
	for _, usage := range c.ExtKeyUsage {
		if usage == x509.ExtKeyUsageClientAuth || usage == x509.ExtKeyUsageAny {
			return true
		}
	}
	return len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0
}

// look judges an object before a run. One that is not there is no failure: a step of the
// plan makes it, or something that the plan does not name.
func look(ctx context.Context, env *engine.Env, read func(context.Context, *engine.Env) (string, error)) engine.Verdict {
	detail, err := read(ctx, env)
	var absent *kubekit.NoObjectError
	switch {
	case err == nil:
		return engine.Verdict{Level: engine.LevelOK, Detail: detail}
	case errors.As(err, &absent) && absent.Made(env):
		return engine.Verdict{Level: engine.LevelOK, Detail: absent.Error() + " yet: a step of the plan may make it"}
	case errors.As(err, &absent):
		return engine.Verdict{Level: engine.LevelWarn, Detail: absent.Error() + ", and no step of the plan names it", Next: engine.HintOf(err)}
	case apierrors.IsForbidden(err):
		return engine.NotChecked(err)
	}
	return engine.Failed(err)
}
