package login

import (
	"fmt"
	"net/http"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// refused returns errNotYet if a part of the login is missing, and a hint for the other
// refusals. body is that of the request.
func (l *Spec) refused(err error, body map[string]any, now time.Time) error {
	missing := []string{"no handler for route", "unsupported path"}
	if l.method() == kubernetes {
		missing = append(missing, "invalid role name", "could not load backend configuration")
	}
	for _, text := range missing {
		if vaultkit.Refused(err, text) {
			return fmt.Errorf("%s %w: %w", l, errNotYet, err)
		}
	}
	status := vaultkit.StatusOf(err)
	if hint := l.hint(body, now); status == http.StatusForbidden || status == http.StatusBadRequest && l.method() != kubernetes {
		err = engine.WithHint(err, hint)
	}
	return fmt.Errorf("%s: %w", l, err)
}

// hint returns likely causes of a refused login. Vault itself gives few details, so
// that nobody learns from a guess.
func (l *Spec) hint(body map[string]any, now time.Time) string {
	at := "auth/" + l.At()
	switch l.method() {
	case jwt:
		token, _ := body["jwt"].(string)
		if said := claims(token, now); said != "" {
			return said + ": compare that with bound_audiences, bound_subject, bound_claims and token_bound_cidrs of vault read " + at + "/role/" + l.Role +
				", and with the issuer and the keys of vault read " + at + "/config"
		}
		return "the token that is given is no JSON web token: check jwt or jwtFile of the login"
	case appRole:
		return "the method is not there, roleID is wrong, or the secret ID is wrong, expired, used up, or bound to other addresses: " +
			"see secret_id_ttl, secret_id_num_uses, secret_id_bound_cidrs and token_bound_cidrs of the role (vault read " + at + "/role/NAME), " +
			"and make a new one with vault write -f " + at + "/role/NAME/secret-id"
	case cert:
		return "the method is not there, or no role of it admits the certificate of certFile: see the authority, the allowed names and token_bound_cidrs of vault read " + at +
			"/certs/NAME, and that the certificate has not ended; something between ztplan and Vault that ends TLS takes the certificate away"
	}
	return "the auth method is not there, or the API server refuses the token that Vault asks it about: " +
		"see vault read " + at + "/config, and the role's audience and ServiceAccount; without a login, a root token is needed: " + vaultkit.Regenerate
}
