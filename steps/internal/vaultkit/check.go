package vaultkit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Checks look at Vault: whether it answers, whether it is sealed, and its clock. field
// is the path of the input that names it.
func (s Server) Checks(field string, unknown []string) []engine.Check {
	for _, part := range []string{".address", ".service", ".caFile", ".trustFrom"} {
		if !engine.Known(field+part, unknown) {
			return nil
		}
	}
	name := "vault at " + s.Where()
	if s.Address == "" {
		name = "vault, " + s.Where()
	}
	inCluster := s.NeedsCluster()
	checks := []engine.Check{
		{Name: name, Target: inCluster, Run: s.checkSeal},
		{Name: "clock of " + name, Target: inCluster, Run: s.checkClock},
	}
	return append(checks, s.TrustFrom.Checks(field+".trustFrom", unknown, func(ctx context.Context, env *engine.Env) (string, error) {
		if _, err := s.authorities(ctx, env); err != nil {
			return "", err
		}
		return "are there, for Vault", nil
	})...)
}

// NeedsCluster reports whether the way to Vault needs the cluster: for the connection, or
// for the authority of its certificate.
func (s Server) NeedsCluster() bool { return s.Address == "" || s.TrustFrom != nil }

// isAbsent reports whether the object of trustFrom does not exist: its own check reports
// that.
func isAbsent(err error) bool { return errors.As(err, new(*kubekit.NoObjectError)) }

func (s Server) checkSeal(ctx context.Context, env *engine.Env) engine.Verdict {
	c, err := ConnectServer(ctx, env, s)
	switch {
	case isAbsent(err):
		return engine.Verdict{}
	case err != nil:
		return engine.Failed(err)
	}
	status, err := c.SealStatus(ctx)
	switch {
	case kubekit.IsNoService(err) && !errors.Is(err, engine.ErrPermanent):
		return engine.Verdict{Level: engine.LevelOK, Detail: "the Service is not there yet: a step of the plan may make it"}
	case err != nil:
		return engine.Failed(err)
	case !status.Initialized:
		return engine.Verdict{Level: engine.LevelWarn, Detail: fmt.Sprintf("Vault %s answers and is not initialised", status.Version), Next: "a vaultInit step initialises it"}
	case status.Sealed:
		return engine.Verdict{Level: engine.LevelWarn, Detail: fmt.Sprintf("Vault %s answers and is sealed", status.Version), Next: "a vaultUnseal step unseals it: run the plan, or vault operator unseal"}
	}
	return engine.Verdict{Level: engine.LevelOK, Detail: fmt.Sprintf("Vault %s answers and is unsealed", status.Version)}
}

func (s Server) checkClock(ctx context.Context, env *engine.Env) engine.Verdict {
	c, err := ConnectServer(ctx, env, s)
	switch {
	case isAbsent(err):
		return engine.Verdict{}
	case err != nil:
		return engine.NotChecked(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.String()+"/v1/sys/seal-status", nil)
	if err != nil {
		return engine.NotChecked(err)
	}
	began := time.Now()
	resp, err := c.http.Do(req)
	switch {
	case kubekit.IsNoService(err):
		return engine.Verdict{} // the other check reports it
	case err != nil:
		return engine.NotChecked(unwrapURL(err))
	}
	_ = resp.Body.Close()
	return engine.Skew("Vault", resp.Header.Get("Date"), began, time.Now())
}
