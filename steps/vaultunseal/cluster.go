package vaultunseal

import (
	"context"
	"errors"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
)

// join returns the edit that makes an empty server a member of the others' cluster.
func (s *Spec) join(ctx context.Context, env *engine.Env, states []vaultkit.State, empty vaultkit.State) ([]engine.Edit, error) {
	member := vaultkit.Initialised(states)
	if member == nil {
		_, err := s.Keys.Unsealing(ctx, env, empty.SealStatus)
		return nil, err
	}
	if empty.StorageType != vaultkit.StorageRaft {
		return nil, vaultkit.Refusal("use raft storage (server.ha.raft.enabled in the chart), or one replica",
			"pod %s is empty and pod %s is initialised: with the storage %q they share nothing", empty.Pod, member.Pod, empty.StorageType)
	}
	edit := engine.Edit{Path: empty.At("storage/raft"), Have: "empty", Want: "member of the cluster", Note: "joins by sys/storage/raft/join"}
	if member.Type != vaultkit.Shamir {
		edit.Apply = func(ctx context.Context) error { return s.enter(ctx, states, empty) }
		return []engine.Edit{edit}, nil
	}
	answer, err := s.Keys.Unsealing(ctx, env, member.SealStatus)
	if err != nil {
		return nil, err
	}
	shares := answer.Distinct()
	if len(shares) < member.T {
		// Its custodians unseal it when it has joined: another look has those edits.
		edit.Apply = func(ctx context.Context) error { return s.enter(ctx, states, empty) }
		return []engine.Edit{edit}, nil
	}
	edit.Note += ", and is unsealed " + note(member.SealStatus, s.Keys)
	edit.Apply = func(ctx context.Context) error {
		if err := s.enter(ctx, states, empty); err != nil {
			return err
		}
		// A server that joins takes the data of the others first, and then unseals itself
		// with the shares that it got: until then it is sealed, without progress.
		if err := s.Keys.Unseal(ctx, empty.Client, shares); err != nil && !errors.Is(err, custody.ErrStillSealed) {
			return err
		}
		return empty.Unsealed(ctx)
	}
	return []engine.Edit{edit}, nil
}

// enter has the empty server join the active one, when there is one.
func (s *Spec) enter(ctx context.Context, states []vaultkit.State, empty vaultkit.State) error {
	leader, err := vaultkit.Leader(ctx, states)
	if err != nil {
		return err
	}
	return empty.Join(ctx, s.Vault.Server, leader)
}
