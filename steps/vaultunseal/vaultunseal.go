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
// # Upgrades
//
// The chart's StatefulSet leaves its pods as they are when it changes, and a pod that is
// deleted comes back sealed. With onDelete: restart this step deletes the pods that an
// upgrade has not reached, one after another: the standbys first, the active one last, and
// the next one only when the one before is unsealed and answers. So a quorum is always
// there. helmInstall has an input of the same name, which fits a Vault of one pod, and one
// that unseals itself.
//
// # Refuses
//
//   - A Vault that is not initialised.
//   - Sinks that do not exist, or that hold fewer distinct shares than Vault needs, unless
//     custodians have the others.
//   - Shares that Vault rejects: they are those of another Vault, such as an earlier
//     one of the same name. The step does not try again with wrong shares.
//   - A seal that is being migrated.
//   - Pods of two Vaults behind one Service: their cluster ids differ.
//   - An empty pod beside an initialised one whose storage is not raft.
//
// For a Vault with auto-unseal the step only waits.
//
// # Clusters
//
// Behind a Service each pod is looked at by itself, ready or not, and as many as the
// StatefulSet wants: it does not matter whether the Service selects all of them or the active
// one only. A pod that is empty, of a Vault with raft storage, joins the others
// (sys/storage/raft/join) and is unsealed; one whose configuration has retry_join joins
// either way. It never happens to one that has data. Each pod gets the shares itself. Then
// the step waits until a pod is active, the others follow it, and all are voters. Vault tells
// the voters to a token only: that of connections.vault.login, whose policy needs read on
// sys/storage/raft/configuration or sys/storage/raft/autopilot/state, else the root token in
// the sinks. Without one of them the step warns that it has not checked the voters.
//
// A pod that is sealed, does not run or has not joined is a difference: status shows it
// and the next run removes it.
//
// An address leads to one server. Outside the cluster give one step to each
// (forEach), with the address of each.
package vaultunseal

import (
	"context"
	"fmt"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// Kind is vaultUnseal.
var Kind = engine.NewKind("vaultUnseal", engine.DefaultPolicy(), func() *Spec {
	return &Spec{Vault: login.Entrance{Server: vaultkit.DefaultServer()}, OnDelete: keepOutdated}
})

// Spec is the Vault to unseal, and its keys.
type Spec struct {
	// Vault is where Vault is. Usually given once, in the plan's connections. Its login
	// asks a Vault in several pods for the voters of their raft cluster.
	Vault login.Entrance `yaml:"vault"`
	// Keys names the sinks of the shares: the same as in the vaultInit step.
	Keys custody.Keys `yaml:"keys"`
	// OnDelete is for pods whose StatefulSet has the update strategy OnDelete, as that of
	// Vault's chart, and that an upgrade has not reached. keep leaves them; restart
	// deletes them one after another, the standbys first and the active one last, and
	// unseals each before the next.
	OnDelete string `yaml:"onDelete" check:"oneof=keep|restart"`
}

// Values of Spec.OnDelete.
const (
	keepOutdated    = "keep"
	restartOutdated = "restart"
)

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
	if s.OnDelete == restartOutdated && s.Vault.Address != "" {
		p.AddProblem(engine.Problem{
			Field: "onDelete", Message: "a Vault at an address has no pods that could be deleted",
			Hint: "leave it away, or give vault.service",
		})
	}
}

// Inspect compares Vault with s: each of its servers.
func (s *Spec) Inspect(ctx context.Context, env *engine.Env) (Outputs, []engine.Edit, error) {
	nodes, err := s.Vault.Nodes(ctx, env)
	if err != nil {
		return Outputs{}, nil, err
	}
	states, err := nodes.States(ctx)
	if err != nil {
		return Outputs{}, nil, err
	}
	best := vaultkit.Initialised(states)
	if best == nil {
		return Outputs{}, nodes.MissingEdits(), s.notInitialised(ctx, env, nodes, states)
	}
	out := Outputs{Version: best.Version, ClusterID: best.ClusterID, ClusterName: best.ClusterName}
	edits := nodes.MissingEdits()
	for _, state := range states {
		more, err := s.open(ctx, env, states, state)
		if err != nil {
			return out, nil, err
		}
		edits = append(edits, more...)
	}
	if len(edits) == 0 && nodes.Several() {
		edits, err = s.voters(ctx, env, states)
	}
	if len(edits) == 0 && err == nil && s.OnDelete == restartOutdated {
		edits = s.outdated(env, states)
	}
	return out, edits, err
}

// notInitialised is the error of a Vault that no server has initialised, nil as long as
// some do not answer.
func (s *Spec) notInitialised(ctx context.Context, env *engine.Env, nodes vaultkit.Nodes, states []vaultkit.State) error {
	if len(nodes.Missing) > 0 {
		return nil
	}
	_, err := s.Keys.Unsealing(ctx, env, states[0].SealStatus)
	return err
}

// open returns the edits that make one server answer requests.
func (s *Spec) open(ctx context.Context, env *engine.Env, states []vaultkit.State, state vaultkit.State) ([]engine.Edit, error) {
	if !state.Initialized {
		return s.join(ctx, env, states, state)
	}
	if !state.Sealed {
		ok, why, err := state.Serving(ctx)
		if err != nil || ok {
			return nil, err
		}
		return []engine.Edit{{Path: state.At("sys/health"), Have: why, Want: "active"}}, nil
	}
	edit := engine.Edit{Path: state.At("sys/seal"), Have: "sealed", Want: "unsealed"}
	if state.Type != vaultkit.Shamir {
		edit.Note = "Vault unseals itself with its " + state.Type + " seal"
		return []engine.Edit{edit}, nil
	}
	answer, err := s.Keys.Unsealing(ctx, env, state.SealStatus)
	if err != nil {
		return nil, err
	}
	shares := answer.Distinct()
	if len(shares) < state.T {
		return s.custodians(ctx, env, state, answer), nil
	}
	edit.Note, edit.Confirmed = note(state.SealStatus, s.Keys), true
	edit.Apply = func(ctx context.Context) error { return s.Keys.Unseal(ctx, state.Client, shares) }
	return []engine.Edit{edit}, nil
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
func (s *Spec) VaultServer() vaultkit.Server { return s.Vault.Server }

// ServerID implements engine.ServerUser.
func (s *Spec) ServerID() string { return s.Vault.ID() }

// WritesToTarget implements engine.TargetWriter.
func (s *Spec) WritesToTarget(unknown []string) bool {
	return s.Vault.ThroughCluster("vault", unknown) || s.Keys.InCluster("keys", unknown)
}
