// Package vaultinit initialises Vault and stores its keys.
//
// # Reads
//
// Whether Vault is initialised, with how many key shares, and whether the sinks
// of the plan hold its keys. Neither needs a token or an unsealed Vault.
//
// # Changes
//
//   - Initialises Vault. Before that, room for the whole answer is made in every
//     sink, written and synced; after it, the answer is stored in every sink and
//     read back before anything else happens.
//   - Stores the keys in a sink of the plan that lacks them, when another has
//     them.
//   - Removes the files that a killed run left, once the sinks have the same keys:
//     reservations, second names of the key file, emergency files and notes.
//
// # Several pods
//
// Behind a Service each pod is asked by itself, and as many as the StatefulSet wants. One
// that is initialised is enough: the others join it in vaultUnseal, and no other is ever
// initialised, whatever its volume has lost. If none is, the first one is initialised, when
// all answer: a pod that does not may hold the data of an initialised Vault. A StatefulSet
// that makes its pods one after the other makes the others later; none is initialised as
// long as volume claims of theirs exist.
//
// # Auto-unseal
//
// A Vault that unseals itself gives shares of a recovery key, which make a root token and
// unseal nothing. One that initialised itself without shares (OpenBao's stanza initialize, or
// recovery_shares 0) is as it should be: there is nothing to keep, the outputs are empty,
// and the plan logs in with connections.vault.login or connections.vault.token.
//
// # Vault gives its keys once
//
// If a sink fails after the answer, the others keep the keys; if all fail, the keys
// go to an emergency file (mode 0600): beside the key file, else in the state
// directory, else in the directory for temporary files. The error names the file,
// and the next run moves the keys to the sinks. If no file can be written, they go
// to standard error, encrypted if there are custodians.
//
// The room for the keys is a file beside the key file, NAME.tmp-NUMBER, of the size
// that the answer can have at most. The answer is written into it, and a link gives
// it its name: a disk that fills up in between does no harm, unless it is one that
// writes changed blocks to another place (btrfs, ZFS), and a process that is
// killed leaves a file that the next run takes the keys from.
//
// Vault is asked by a process of its own, in a session of its own: when the run is
// killed, with its process group or its terminal, that process goes on, stores the
// keys and ends. The next run waits for it. Of 200 runs that were killed with
// SIGKILL in the request, before, during and after Vault's part of it, none lost
// the keys (make crash); asked by the run itself, each kill before the answer was
// stored lost them. That process gets its input through a pipe. It
// reaches Vault as the run does, through its own tunnel.
//
// The remaining risk is the end of that process itself, from the request until the
// keys are durable: a power failure, the kernel's out-of-memory killer, the end of a
// container or of a PID namespace (all of it ends when the run is PID 1), a service
// manager or a CI runner that kills every process of a job. Measured on two busy
// cores and a virtual disk (go test -bench Window ./steps/vaultinit): half of these
// times were within 55 ms, the longest of 20 took 121 ms, most of it Vault's own
// part. On systems other than Unix, and where no process can be started, the run
// itself asks, so that its end has the same effect; a process that could not be
// started is warned about.
//
// Before Vault is asked, a note is left beside the key file (NAME.pending, no
// secret in it), held by a lock while a process is at it, and removed when the keys
// are stored. So the next run distinguishes a process that is still at it from "a
// run began at this time and ended before the answer was stored", which is the loss,
// and both from keys that are merely elsewhere. Its hint is to start over, by
// deleting the volume and the pod of Vault, only if nothing that looks like keys is
// left: a temporary or emergency file that it cannot read, another key file in the
// same directory.
//
// # Custodians
//
// With keys.custodians each share is encrypted to its custodian, and the root token to
// keys.rootToken, before anything is written: no share is on a disk in the clear. With age,
// ztplan encrypts right after the answer and keeps shares and token in memory, so that the
// same run can unseal Vault and use the root token. With PGP, Vault itself encrypts: ztplan
// never has a share, and the run waits in vaultUnseal for the custodians. The root token may
// be encrypted the other way than the shares.
//
//	keys:
//	  file: vault-keys.json
//	  custodians:                      # as many as shares; all with age, or all with pgp
//	    - {name: alice, age: age1…}    # or: {name: alice, pgp: alice.asc}
//	    - {name: bob, age: age1…}
//	  rootToken: {age: [age1…]}        # or: {pgp: root.asc}
//
// All of it is one JSON document in the same sinks. A file of it may be committed
// to git, and each custodian takes their part out of it:
//
//	jq -r '.custodians[] | select(.name == "alice") | .encrypted' keys.json |
//	  age --decrypt --identity alice.txt             # or: base64 --decode | gpg --decrypt
//
// A later run has the root token if keys.identities can decrypt it; else the
// output is empty. Other custodians than those in the document are refused: the
// shares do not change by themselves.
//
// # The end of the root token
//
// With rootToken: revoke the plan gets one more step, ID.rootToken, which runs
// when every other step is done and none has failed. It asks Vault about the
// root token that a sink holds, or that Vault gave in this run. One that works
// is revoked: first the step logs in as the connection does and checks that the
// policies of the login exist, so that the plan keeps its access; then the token
// revokes itself; then Vault has to answer 403 to it, which the evidence records as
// a denial. Only then the step removes the token from the sinks and leaves
// everything else in them. A run that is cut off in between leaves a revoked token
// in a sink, and the next run removes it.
//
// Revoking a token also revokes the leases and the tokens that it made. The kinds
// of ztplan make neither with it.
//
// A root token is needed again for actions beyond the login, such as a change of
// its own policies. Enough holders of shares make one (vault operator
// generate-root) and put it into the key file as root_token: the next run uses it
// for the step that makes the login, and revokes it at its end.
//
// # Refuses
//
//   - Initialised, and no sink has the keys: they are elsewhere, or the volume
//     of an earlier installation was taken up again (removing the chart keeps
//     the claim data-vault-0). It never initialises anew: that is impossible
//     without destroying the data.
//   - Not initialised, and a sink or a file that a run left has keys: those of
//     another Vault.
//   - A number of shares or a threshold other than the plan's: that is a rekey.
//   - A key file in the clear that others may read or replace, or that git would
//     commit. Others may replace it in a directory that they may write to, unless
//     that is sticky.
//   - Shares that are kept in the clear when the plan names custodians, or for
//     others than it names.
//
// Whether the keys in a sink are those of this Vault shows when they are used:
// see the kind vaultUnseal.
package vaultinit

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
)

const name = "vaultInit"

// Kind is vaultInit.
var Kind = engine.NewKind(name, engine.DefaultPolicy(), newSpec)

func newSpec() *Spec {
	return &Spec{Vault: login.Entrance{Server: vaultkit.DefaultServer()}, Shares: 5, Threshold: 3, RootToken: keep}
}

// Spec is the initialisation of Vault that a plan asks for.
type Spec struct {
	// Vault is where Vault is. Usually given once, in the plan's connections.
	Vault login.Entrance `yaml:"vault"`
	// Shares is the number of shares that the unseal key is split into. When
	// Vault unseals itself (auto-unseal), it counts the shares of the recovery
	// key.
	Shares int `yaml:"shares" check:"min=1,max=255"`
	// Threshold is how many shares are needed together.
	Threshold int `yaml:"threshold" check:"min=1,max=255"`
	// Keys names the sinks of the shares and the root token.
	Keys custody.Keys `yaml:"keys"`
	// RootToken decides about the root token: keep leaves it in the sinks;
	// revoke revokes it when every other step of the plan is done, proves that
	// Vault refuses it, and takes it out of the sinks. That needs vault.login:
	// later runs log in with it.
	RootToken string `yaml:"rootToken" check:"oneof=keep|revoke"`
}

// Outputs are for later steps.
type Outputs struct {
	// RootToken may do everything. It is empty when it was revoked or removed from
	// the sink, or if it is encrypted and this run cannot decrypt it.
	RootToken engine.Secret `yaml:"rootToken"`
	// Keys names the sinks that hold the shares, for a reader.
	Keys string `yaml:"keys"`
	// Shares is the number of shares that Vault has.
	Shares int `yaml:"shares"`
	// Threshold is how many shares Vault needs.
	Threshold int `yaml:"threshold"`
}

// Validate checks the inputs beyond their types and tags.
func (s *Spec) Validate(p *engine.Problems) {
	s.Vault.Validate(p, "vault")
	s.Keys.Validate(p, "keys")
	if n := len(s.Keys.Custodians); n > 0 && n != s.Shares {
		p.AddProblem(engine.Problem{
			Field:   "keys.custodians",
			Message: fmt.Sprintf("%d custodians for %d shares", n, s.Shares),
			Hint:    fmt.Sprintf("set shares: %d, or name one custodian for each share", n),
		})
	}
	if s.RootToken == revoke {
		s.validateRevoke(p)
	}
	switch {
	case s.Threshold > s.Shares:
		p.Add("threshold", "%d shares cannot be had of %d", s.Threshold, s.Shares)
	case s.Shares > 1 && s.Threshold == 1:
		p.AddProblem(engine.Problem{
			Field:   "threshold",
			Message: "1 of several shares would unseal: Vault refuses that",
			Hint:    "use 1 share, or a threshold of at least 2",
		})
	}
}

// Inspect compares Vault and the sinks with s.
func (s *Spec) Inspect(ctx context.Context, env *engine.Env) (Outputs, []engine.Edit, error) {
	out := Outputs{Keys: s.Keys.String(), Shares: s.Shares, Threshold: s.Threshold}
	pending := s.Keys.Pending(env)
	note, noted, busy := pending.Read()
	if busy {
		return out, []engine.Edit{s.busy(env, note)}, nil
	}
	nodes, err := s.Vault.Nodes(ctx, env)
	if err != nil {
		return out, nil, err
	}
	states, err := nodes.States(ctx)
	if err != nil {
		return out, nil, err
	}
	answer, sinks, err := s.Keys.Look(ctx, env)
	if err != nil {
		return out, nil, err
	}
	status := vaultkit.Initialised(states)
	if status == nil {
		edits, err := s.first(ctx, env, nodes, states, answer)
		return out, edits, err
	}
	strays := s.Keys.Strays(ctx, env, note)
	if answer == nil {
		if answer, err = custody.Adopt(strays); err != nil {
			return out, nil, err
		}
		if answer == nil {
			switch itself, known := status.ByItself(); {
			case !known:
				return out, []engine.Edit{sealed(status)}, nil
			case itself:
				s.withoutKeys(env, status)
				return Outputs{}, nil, nil
			}
			return out, nil, s.lost(env, status, strays, note)
		}
		if err := s.Keys.Open(ctx, env, answer); err != nil {
			return out, nil, err
		}
	}
	if err := s.Keys.Fits(answer); err != nil {
		return out, nil, err
	}
	if err := s.sameNumbers(status, answer); err != nil {
		return out, nil, err
	}
	out.RootToken = answer.RootToken
	if edits := s.spread(env, answer, sinks, strays); len(edits) > 0 {
		return out, edits, nil
	}
	return out, s.tidy(ctx, env, answer, strays, noted), nil
}

// first returns the edit that initialises the first of the pods; the others join it. A
// pod that does not answer may hold the data of an initialised Vault, so all have to
// answer before. One that is made later cannot be asked: its volume must not exist yet.
func (s *Spec) first(ctx context.Context, env *engine.Env, nodes vaultkit.Nodes, states []vaultkit.State, held *unsealkeys.Answer) ([]engine.Edit, error) {
	// A pod that is made later, when this one is unsealed, joins then.
	nodes.Missing = slices.DeleteFunc(nodes.Missing, func(m vaultkit.Missing) bool { return m.Later })
	if waits := nodes.MissingEdits(); len(waits) > 0 {
		for i := range waits {
			waits[i].Note = "before Vault is initialised: the pod may hold the data of one that is"
		}
		return waits, nil
	}
	old, err := s.Vault.OldClaims(ctx, env, nodes)
	if err != nil {
		return nil, err
	}
	if len(old) > 0 {
		return nil, vaultkit.Refusal("if that Vault counts, let all pods be made at once, so that each is asked (podManagementPolicy: Parallel, which Vault's chart sets); "+
			"if its data may go: kubectl delete pvc -n "+s.Vault.Service.Namespace+" "+strings.Join(old, " ")+", and run again",
			"pod %s is not initialised, and pods that are made after it would take up the volume claims %s: they may hold the data of an initialised Vault", states[0].Pod, strings.Join(old, ", "))
	}
	edit, err := s.initialise(ctx, env, states[0], held)
	if err != nil {
		return nil, err
	}
	return []engine.Edit{edit}, nil
}

// sameNumbers refuses a plan that asks for other numbers than Vault has.
func (s *Spec) sameNumbers(status *vaultkit.State, answer *unsealkeys.Answer) error {
	n, t := status.N, status.T
	if status.Type != vaultkit.Shamir {
		n, t = answer.N, answer.Threshold
	}
	if n == s.Shares && t == s.Threshold || n == 0 {
		return nil
	}
	return vaultkit.Refusal(fmt.Sprintf("set shares: %d and threshold: %d, or rekey Vault (vault operator rekey) and store the new shares", n, t),
		"vault has %d shares with a threshold of %d, and the plan asks for %d and %d", n, t, s.Shares, s.Threshold)
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
