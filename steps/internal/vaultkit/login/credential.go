package login

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// credential returns the body of the login request. Its secrets are concealed.
func (l *Spec) credential(ctx context.Context, env *engine.Env) (map[string]any, error) {
	switch l.method() {
	case appRole:
		body := map[string]any{"role_id": l.RoleID}
		secret, err := secretOf(env, l.SecretID, l.SecretIDFile, true)
		if err == nil && !secret.IsZero() {
			body["secret_id"] = secret.Reveal()
		}
		return body, err
	case cert:
		if l.Role == "" {
			return map[string]any{}, nil
		}
		return map[string]any{"name": l.Role}, nil
	}
	token, err := l.jwt(ctx, env)
	if err != nil {
		return nil, err
	}
	return vaultkit.JWT(l.Role, token), nil
}

// jwt returns the token that logs in, which may come from the cluster.
func (l *Spec) jwt(ctx context.Context, env *engine.Env) (engine.Secret, error) {
	a := l.ServiceAccount
	if a == nil {
		return secretOf(env, l.JWT, l.JWTFile, false)
	}
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return engine.Secret{}, err
	}
	token, err := cluster.RequestToken(ctx, a.Namespace, a.Name, slices.Concat([]string{l.For()}, l.Audiences)...)
	switch {
	case apierrors.IsNotFound(err):
		return engine.Secret{}, fmt.Errorf("%w: ServiceAccount %s does not exist", errNotYet, a)
	case apierrors.IsForbidden(err):
		return engine.Secret{}, engine.WithHint(err, fmt.Sprintf("give the user in the kubeconfig the permission to request tokens: create on serviceaccounts/token in namespace %s, for %s; ztplan rbac PLAN prints the roles that the plan needs", a.Namespace, a.Name))
	case err != nil:
		return engine.Secret{}, err
	}
	env.Conceal(token)
	return token, nil
}

// secretOf returns a secret, or the one in a file as it is now: others renew such
// files. With private, others must not be able to read the file.
func secretOf(env *engine.Env, secret engine.Secret, file engine.File, private bool) (engine.Secret, error) {
	if file.IsZero() {
		return secret, nil
	}
	now := file.Uncached()
	text, err := now.Read()
	if err == nil && private {
		err = now.Exposed()
	}
	if err != nil {
		return engine.Secret{}, engine.Permanent(err)
	}
	found := strings.TrimSpace(string(text))
	if found == "" || strings.ContainsAny(found, " \t\n\r") {
		return engine.Secret{}, engine.WithHint(engine.Permanent(fmt.Errorf("%s does not hold one word", file)), "it must hold the secret and nothing else")
	}
	secret = engine.NewSecret(found)
	env.Conceal(secret)
	return secret, nil
}

// claims describes a JSON web token for the hint on a refusal: by its claims,
// without the signature. It returns "" for other texts.
func claims(token string, now time.Time) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	var c struct {
		Issuer   string      `json:"iss"`
		Subject  string      `json:"sub"`
		Audience any         `json:"aud"`
		Expires  json.Number `json:"exp"`
	}
	if err != nil || json.Unmarshal(text, &c) != nil {
		return ""
	}
	said := fmt.Sprintf("the token has iss %q, sub %q, aud %v", c.Issuer, c.Subject, c.Audience)
	if f, err := c.Expires.Float64(); err == nil {
		ends := time.Unix(int64(f), 0).UTC()
		word := "ends"
		if !ends.After(now) {
			word = "ended"
		}
		said += fmt.Sprintf(" and %s at %s", word, ends.Format(time.RFC3339))
	}
	return said
}
