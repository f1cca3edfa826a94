package login

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// longLife is the lifetime from which a token counts as long-lived: a run needs minutes.
const longLife = 24 * time.Hour

// Checks look at Vault, and at the way in. field is the path of the input.
func (c Connection) Checks(field string, unknown []string) []engine.Check {
	return append(c.Server.Checks(field, unknown), c.checks(field, unknown)...)
}

// Checks look at Vault, and at the way in. field is the path of the input.
func (e Entrance) Checks(field string, unknown []string) []engine.Check {
	return append(e.Server.Checks(field, unknown), Connection{Server: e.Server, Login: e.Login}.checks(field, unknown)...)
}

func (c Connection) checks(field string, unknown []string) []engine.Check {
	for _, part := range []string{".address", ".service", ".caFile", ".caBundle", ".trustFrom", ".token", ".tokenFile", ".login"} {
		if !engine.Known(field+part, unknown) {
			return nil
		}
	}
	switch {
	case c.Login != nil:
		return []engine.Check{{Name: c.Login.String() + " to vault at " + c.Where(), Target: c.NeedsCluster(), Run: c.checkLogin}}
	case c.HasToken():
		return []engine.Check{{Name: "the token for vault at " + c.Where(), Target: c.NeedsCluster(), Run: c.checkToken}}
	}
	return nil
}

// checkLogin logs in, with a session of its own, which revokes the token again.
func (c Connection) checkLogin(ctx context.Context, env *engine.Env) engine.Verdict {
	if !c.serves(ctx, env) {
		return engine.Verdict{}
	}
	who, err := Try(ctx, env, Entrance{Server: c.Server, Login: c.Login})
	switch {
	case errors.Is(err, errNotYet) && c.HasToken():
		return engine.Verdict{Level: engine.LevelOK, Detail: err.Error() + "; the token of the plan bootstraps"}
	case errors.Is(err, errNotYet):
		return engine.Verdict{Level: engine.LevelWarn, Detail: err.Error(), Next: "a k8sAuth step may make it; it needs connections.vault.token"}
	case err != nil:
		return engine.Failed(err)
	}
	return judge(who)
}

func (c Connection) checkToken(ctx context.Context, env *engine.Env) engine.Verdict {
	if !c.serves(ctx, env) {
		return engine.Verdict{}
	}
	client, err := c.withToken(ctx, env)
	if err != nil {
		return engine.Failed(err)
	}
	who, err := client.LookupSelf(ctx)
	switch {
	case err != nil:
		return engine.Failed(err)
	case who == nil:
		return engine.Verdict{Level: engine.LevelFail, Detail: "Vault does not know it: it is wrong, has ended or was revoked", Next: "give another one, or set connections.vault.login"}
	}
	return judge(who)
}

// serves reports whether Vault answers and is unsealed; another check reports the reason
// otherwise.
func (c Connection) serves(ctx context.Context, env *engine.Env) bool {
	client, err := vaultkit.ConnectServer(ctx, env, c.Server)
	if err != nil {
		return false
	}
	status, err := client.SealStatus(ctx)
	return err == nil && status.Initialized && !status.Sealed
}

func judge(who *vaultkit.Self) engine.Verdict {
	life := "lives for " + engine.Duration(who.TTL).String()
	if who.TTL == 0 {
		life = "never ends"
	}
	v := engine.Verdict{Level: engine.LevelOK, Detail: fmt.Sprintf("lets in with a %s token that %s, policies %s", who.Type, life, strings.Join(who.Policies, ", "))}
	switch {
	case slices.Contains(who.Policies, "root"):
		v.Level, v.Next = engine.LevelWarn, "it may do everything: give a role of its own to the plan"
	case who.TTL == 0 || who.TTL > longLife:
		v.Level, v.Next = engine.LevelWarn, "set token_ttl of the role to some minutes: the run logs in again when it needs to"
	}
	return v
}
