package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/session/transit"
)

// signTimeout bounds how long a key that is elsewhere may take to sign.
const signTimeout = 30 * time.Second

// signingKey returns a reader of the key that --sign-key names. Its faults are
// found before anything is contacted, as far as possible: a file is read, a key in
// Vault is not asked for before the run is over, since the run may install that
// Vault.
func (a *app) signingKey(p *plan.Plan, mode run.Mode) (signingKey, error) {
	if !transit.IsRef(a.signKey) {
		data, err := a.Inputs.ReadGiven(a.signKey)
		var key *attest.Key
		if err == nil {
			key, err = attest.ParsePrivate(a.signKey, data)
		}
		if err == nil {
			if err := a.Inputs.Exposed(a.signKey); err != nil {
				return nil, err
			}
		}
		if err != nil {
			return nil, engine.WithHint(err, "make one with: openssl genpkey -algorithm ed25519 -out key.pem")
		}
		return func(context.Context, *engine.Env, *run.Result) (*attest.Key, error) { return key, nil }, nil
	}
	ref, err := transit.Parse(a.signKey)
	switch {
	case err != nil:
		return nil, err
	case !p.Connects("vault", "token"):
		return nil, engine.WithHint(fmt.Errorf("%s: the plan does not say how to reach Vault", ref),
			"give it connections.vault with a token, such as ${steps.init.rootToken}")
	case mode == run.DryRun:
		return nil, engine.WithHint(errors.New("a dry run sends nothing that could change Vault, and asking for a signature is such a request"),
			"sign the evidence of a dry run with a key in a file")
	}
	return func(ctx context.Context, env *engine.Env, res *run.Result) (*attest.Key, error) {
		key, err := transit.Open(ctx, env, ref, func(connection any) error { return p.Connect("vault", connection, outputsOf(res)) })
		if err != nil {
			return nil, err
		}
		return attest.NewKey(key.Public(), key.Sign)
	}, nil
}

// sign returns the statement about evidence. Neither the end of the run's
// context nor that of the run keeps it from signing; a second interrupt does.
func (r *reporting) sign(ctx context.Context, res *run.Result, d *evidence.Document, data []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(engine.AllowWrites(context.WithoutCancel(ctx)), signTimeout)
	defer cancel()
	defer context.AfterFunc(r.kill, cancel)()
	key, err := r.key(ctx, &r.env, res)
	if err != nil {
		return nil, err
	}
	return attest.Sign(ctx, d, data, key)
}

// outputsOf returns the outputs of the steps of a run.
func outputsOf(res *run.Result) func(id string) (any, bool) {
	return func(id string) (any, bool) {
		for _, s := range res.Steps {
			if s.ID == id {
				return s.Outputs, s.Outputs != nil
			}
		}
		return nil, false
	}
}
