// Package vaultunseal unseals Vault with the shares that vaultInit kept.
//
// # Reads
//
// The status of the seal, and whether Vault answers requests. It reads the keys
// only when Vault is sealed.
//
// # Changes
//
// It submits distinct shares until Vault is unsealed, and waits until the node, or
// the active node of its cluster, answers. A Vault that was sealed again, as after
// each restart of its pod, is an ordinary difference.
//
// # Shares of others
//
// Shares that others have submitted count, and the step completes them. If they
// are wrong, Vault discards all shares, and the step submits its own once more. It
// never resets the progress of others.
//
// # Custodians
//
// Shares that are encrypted to custodians are used as far as this run knows them:
// all of them in the run that initialised Vault, unless Vault encrypted them
// itself (PGP), and those that keys.identities can decrypt. If they are not
// enough, the step submits them and waits for the others until its timeout: give it
// hours where people have to come. Each custodian whose share is missing decrypts
// it and submits it:
//
//	jq -r '.custodians[] | select(.name == "bob") | .encrypted' keys.json |
//	  age --decrypt --identity bob.txt               # or: base64 --decode | gpg --decrypt
//	vault operator unseal
//
// or runs this plan with their identity in keys.identities: a share that was
// submitted counts until Vault restarts. Two runs of one plan exclude each other,
// so custodians who do it this way take turns, with a short timeout.
//
// # Refuses
//
//   - A Vault that is not initialised.
//   - Sinks without keys, or with fewer distinct shares than Vault needs, unless
//     custodians have the others.
//   - Shares that Vault rejects: they are those of another Vault, such as an earlier
//     one of the same name. The step does not try again with wrong shares.
//   - A seal that is being migrated.
//
// For a Vault with auto-unseal the step only waits.
//
// # Clusters
//
// The step unseals the node that the service or address leads to. In a Vault
// cluster (HA) every node is unsealed by itself: give one step to each, with
// the address or the service of each pod.
package vaultunseal

import (
	"context"
	"fmt"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
)

// Kind is vaultUnseal.
var Kind = engine.NewKind("vaultUnseal", engine.DefaultPolicy(), func() *Spec {
	return &Spec{Vault: vaultkit.DefaultServer()}
})

// Spec is the Vault to unseal, and its keys.
type Spec struct {
	// Vault is where Vault is. Usually given once, in the plan's connections.
	Vault vaultkit.Server `yaml:"vault"`
	// Keys names the sinks of the shares: the same as in the vaultInit step.
	Keys custody.Keys `yaml:"keys"`
}

// Outputs describe the unsealed Vault.
type Outputs struct {
	// Version of Vault: "1.20.4".
	Version string `yaml:"version"`
	// ClusterID is made when Vault is initialised and never changes.
	ClusterID string `yaml:"clusterId"`
	// ClusterName is the name of the cluster, generated unless it was configured.
	ClusterName string `yaml:"clusterName"`
}

// Validate checks the inputs beyond their types and tags.
func (s *Spec) Validate(p *engine.Problems) {
	s.Vault.Validate(p, "vault")
	s.Keys.Validate(p, "keys")
}

// Inspect compares Vault with s.
func (s *Spec) Inspect(ctx context.Context, env *engine.Env) (Outputs, []engine.Edit, error) {
	c, err := vaultkit.ConnectServer(ctx, env, s.Vault)
	if err != nil {
		return Outputs{}, nil, err
	}
	status, err := c.SealStatus(ctx)
	if err != nil {
		return Outputs{}, nil, err
	}
	out := Outputs{Version: status.Version, ClusterID: status.ClusterID, ClusterName: status.ClusterName}
	if !status.Sealed {
		ok, why, err := c.Serving(ctx)
		if err != nil || ok {
			return out, nil, err
		}
		return out, []engine.Edit{{Path: "sys/health", Have: why, Want: "active"}}, nil
	}
	edit := engine.Edit{Path: "sys/seal", Have: "sealed", Want: "unsealed"}
	if status.Type != vaultkit.Shamir && status.Initialized {
		edit.Note = "Vault unseals itself with its " + status.Type + " seal"
		return out, []engine.Edit{edit}, nil
	}
	answer, err := s.Keys.Unsealing(ctx, env, status)
	if err != nil {
		return out, nil, err
	}
	shares := answer.Distinct()
	if len(shares) < status.T {
		return out, s.custodians(ctx, env, c, status, answer), nil
	}
	edit.Note = note(status, s.Keys)
	edit.Apply = func(ctx context.Context) error { return s.Keys.Unseal(ctx, c, shares) }
	return out, []engine.Edit{edit}, nil
}

func note(status *vaultkit.SealStatus, keys custody.Keys) string {
	text := fmt.Sprintf("with %d of %d shares from %s", status.T, status.N, keys)
	if status.Progress > 0 {
		text += fmt.Sprintf("; %d of them submitted already", status.Progress)
	}
	return text
}

// ServerInTarget implements engine.ServerUser.
func (s *Spec) ServerInTarget() string { return s.Vault.InCluster() }

// VaultServer implements vaultkit.User.
func (s *Spec) VaultServer() vaultkit.Server { return s.Vault }

// ServerID implements engine.ServerUser.
func (s *Spec) ServerID() string { return s.Vault.ID() }

// WritesToTarget implements engine.TargetWriter.
func (s *Spec) WritesToTarget(unknown []string) bool {
	return s.Vault.ThroughCluster("vault", unknown) || s.Keys.InCluster("keys", unknown)
}
