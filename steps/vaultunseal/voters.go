package vaultunseal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// A quorum is the members of the raft cluster, as far as Vault lists them.
type quorum struct {
	voters   int
	learning []string // members that are no voters yet
	unknown  string   // why nobody was asked; "" if the others are known
}

// voters returns the edit for servers that answer and are no voters of the raft cluster
// yet. If no token can ask that, there is none, and a warning says so.
func (s *Spec) voters(ctx context.Context, env *engine.Env, states []vaultkit.State) ([]engine.Edit, error) {
	q, err := s.quorum(ctx, env, states)
	switch {
	case err != nil:
		return nil, err
	case q.unknown != "":
		_, err := engine.Share(ctx, env.Session, "voters not checked "+env.Step, func(context.Context) (bool, error) {
			env.Warnf("not checked whether all pods are voters of the raft cluster: %s", q.unknown)
			return true, nil
		})
		return nil, err
	case q.all(states):
		return nil, nil
	}
	return []engine.Edit{{
		Path: "sys/storage/raft/configuration", Have: q.String(), Want: fmt.Sprintf("%d voters", len(states)),
		Note: "Vault makes a new member a voter when it was stable for a while (autopilot)",
	}}, nil
}

// all reports whether each server is a voter, or its storage knows none.
func (q quorum) all(states []vaultkit.State) bool {
	return states[0].StorageType != vaultkit.StorageRaft || q.voters >= len(states)
}

func (q quorum) String() string {
	text := fmt.Sprintf("%d voters", q.voters)
	if len(q.learning) > 0 {
		text += ", and not yet: " + strings.Join(q.learning, ", ")
	}
	return text
}

// quorum asks with the plan's login, or else with the root token in the sinks.
func (s *Spec) quorum(ctx context.Context, env *engine.Env, states []vaultkit.State) (quorum, error) {
	if states[0].StorageType != vaultkit.StorageRaft {
		return quorum{}, nil
	}
	var why []string
	for _, way := range []func(context.Context, *engine.Env, []vaultkit.State) (*vaultkit.Client, string, error){s.byLogin, s.byRootToken} {
		c, no, err := way(ctx, env, states)
		if err != nil {
			return quorum{}, err
		}
		if c != nil {
			peers, err := c.Peers(ctx)
			if err == nil {
				return quorumOf(peers), nil
			}
			if !errors.Is(err, engine.ErrPermanent) {
				return quorum{}, err
			}
			no = err.Error()
		}
		why = append(why, no)
	}
	return quorum{unknown: strings.Join(why, "; ") + ": give the policy of connections.vault.login read on sys/storage/raft/configuration, or on sys/storage/raft/autopilot/state"}, nil
}

func quorumOf(peers []vaultkit.Peer) quorum {
	var q quorum
	for _, p := range peers {
		if p.Voter {
			q.voters++
		} else {
			q.learning = append(q.learning, p.ID)
		}
	}
	return q
}

// byLogin returns a client with the plan's login, or why there is none. A login that is
// not possible is no fault here: a later step may make it.
func (s *Spec) byLogin(ctx context.Context, env *engine.Env, _ []vaultkit.State) (*vaultkit.Client, string, error) {
	if s.Vault.Login == nil {
		return nil, "the plan has no login", nil
	}
	c, err := login.Connect(ctx, env, login.Connection{Server: s.Vault.Server, Login: s.Vault.Login})
	if err != nil && errors.Is(err, engine.ErrPermanent) {
		return nil, err.Error(), nil
	}
	return c, "", err
}

// byRootToken returns a client with the root token that the sinks hold, or why there is
// none. An unsealed Vault needs no keys.
func (s *Spec) byRootToken(ctx context.Context, env *engine.Env, states []vaultkit.State) (*vaultkit.Client, string, error) {
	answer, _, err := s.Keys.Look(ctx, env)
	switch {
	case err != nil:
		return nil, "", err
	case answer == nil || answer.RootToken.IsZero():
		return nil, "this run has no root token", nil
	}
	env.Conceal(answer.RootToken)
	c := activeOf(states).WithToken(answer.RootToken)
	alive, err := c.LookupSelf(ctx)
	if err == nil && alive == nil {
		return nil, "the root token in " + s.Keys.String() + " is revoked", nil
	}
	return c, "", err
}

// activeOf returns the active server, as far as the labels of the pods name it: a standby
// that has just been unsealed cannot pass requests on yet, and answers with a redirect.
func activeOf(states []vaultkit.State) vaultkit.State {
	return states[max(0, slices.IndexFunc(states, func(st vaultkit.State) bool { return st.Active }))]
}
