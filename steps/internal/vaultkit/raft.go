package vaultkit

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
)

// StorageRaft is the storage of a Vault whose servers hold the data themselves: a new
// one joins the others.
const StorageRaft = "raft"

// Join has an empty server join the cluster of leader. With key shares it is sealed
// afterwards, and a member as soon as it is unsealed; a server that unseals itself is
// one at once.
func (n Node) Join(ctx context.Context, s Server, leader Node) error {
	body := map[string]any{"leader_api_addr": leader.address, "retry": false}
	ca, err := s.authorities(ctx, n.env)
	if err != nil {
		return err
	}
	if ca != "" {
		body["leader_ca_cert"] = ca
	}
	var answer struct {
		Joined bool `json:"joined"`
	}
	const path = "sys/storage/raft/join"
	if err := n.send(ctx, query{method: http.MethodPut, path: path, body: body}, &answer); err != nil {
		// The refusal of another pod comes with a status of its own, which another try
		// can change: the leader was elected just now.
		return engine.WithHint(fmt.Errorf("%s cannot join %s: %w", n.where, leader.address, unwrapURL(err)),
			"the pod itself connects to that address: its log says more; with TLS, the certificate of each pod needs this name, and the pod the CA (connections.vault.caFile or trustFrom)")
	}
	if !answer.Joined {
		return fmt.Errorf("%s has not joined %s", n.where, leader.address)
	}
	return nil
}

// A Leadership is a server's knowledge of the active one; reading it needs no token.
type Leadership = api.LeaderResponse

// Leadership asks who is active.
func (c *Client) Leadership(ctx context.Context) (*Leadership, error) {
	l := new(Leadership)
	if err := c.send(ctx, query{method: http.MethodGet, path: "sys/leader"}, l); err != nil {
		return nil, c.explain(ctx, "read", "sys/leader", err)
	}
	return l, nil
}

// Leader waits until one of the servers is active, and returns it.
func Leader(ctx context.Context, states []State) (Node, error) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, s := range states {
			if !s.Initialized {
				continue
			}
			if l, err := s.Leadership(ctx); err == nil && l.IsSelf {
				return s.Node, nil
			}
		}
		select {
		case <-ctx.Done():
			return Node{}, fmt.Errorf("no pod of Vault is active: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Unsealed waits until the server is unsealed: one that joins with key shares first
// takes the data of the others.
func (c *Client) Unsealed(ctx context.Context) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		status, err := c.SealStatus(ctx)
		if err != nil || !status.Sealed {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is still sealed: %w", c.where, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// A Peer is a member of the raft cluster, as the active server has it.
type Peer struct {
	ID    string // VAULT_RAFT_NODE_ID, else generated
	Voter bool
}

// Paths that list the members of the raft cluster, for which Vault wants a token.
// sys/ha-status wants one as well and does not mark voters; sys/leader and sys/health
// show of one server whether it follows the active one.
const (
	raftConfiguration = "sys/storage/raft/configuration"
	raftAutopilot     = "sys/storage/raft/autopilot/state"
)

// Peers lists the members of the raft cluster, sorted by ID. The token needs read on
// sys/storage/raft/configuration or on sys/storage/raft/autopilot/state.
func (c *Client) Peers(ctx context.Context) ([]Peer, error) {
	data, err := c.Read(ctx, raftConfiguration)
	if StatusOf(err) == http.StatusForbidden {
		if state, other := c.Read(ctx, raftAutopilot); other == nil {
			return autopilotPeers(state), nil
		}
	}
	if err != nil {
		return nil, err
	}
	config, _ := data["config"].(map[string]any)
	servers, _ := config["servers"].([]any)
	var peers []Peer
	for _, one := range servers {
		m, _ := one.(map[string]any)
		peers = append(peers, Peer{ID: Text(m["node_id"]), Voter: Truth(m["voter"])})
	}
	return sorted(peers), nil
}

func autopilotPeers(state map[string]any) []Peer {
	servers, _ := state["servers"].(map[string]any)
	var peers []Peer
	for id, one := range servers {
		m, _ := one.(map[string]any)
		peers = append(peers, Peer{ID: id, Voter: slices.Contains([]string{"leader", "voter"}, Text(m["status"]))})
	}
	return sorted(peers)
}

func sorted(peers []Peer) []Peer {
	slices.SortFunc(peers, func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
	return peers
}

// StepDown has the active server hand over to a standby. The token needs update on
// sys/step-down.
func (c *Client) StepDown(ctx context.Context) error { return c.Put(ctx, "sys/step-down", nil) }
