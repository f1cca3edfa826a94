package vaultkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
)

// Nodes are the servers of one Vault: the pods behind its Service, or the one at its
// address. Each is initialised, sealed and unsealed by itself.
type Nodes struct {
	List []Node
	// Missing are pods that do not run or do not exist, with the reason.
	Missing []Missing

	want   int
	claims []string // volume claims of the pods that do not exist
}

// A Missing pod has no server to ask.
type Missing struct {
	Pod, Why string
	// Later means that the pod is made when those before it are ready.
	Later bool
}

// A Node is one server.
type Node struct {
	*Client
	// Pod is its name, "" for the only server.
	Pod string
	// UID of the pod.
	UID string
	// Active means that the labels of the pod call it the active server.
	Active bool
	// Outdated means that an upgrade of the StatefulSet has not reached the pod.
	Outdated bool

	address string // for the other pods
}

// Several reports whether Vault has or wants more than one server.
func (n Nodes) Several() bool { return n.want > 1 }

// NodesPermissions are needed for [Server.Nodes], besides those to reach Vault.
func (s Server) NodesPermissions() []engine.Permission {
	if s.InCluster() == "" {
		return nil
	}
	return []engine.Permission{kubeaccess.Members(s.Service.Namespace, s.Service.Name)}
}

// Nodes lists the servers. A Service that selects the active pod only leads to all of
// them, as a sealed pod is never active. An address, a Service without a selector and a
// single pod are one server.
func (s Server) Nodes(ctx context.Context, env *engine.Env) (Nodes, error) {
	if s.Address == "" {
		cluster, err := kubekit.Connect(ctx, env)
		if err != nil {
			return Nodes{}, fmt.Errorf("vault (%s): %w", s.Where(), err)
		}
		members, err := cluster.Members(ctx, s.Service.Namespace, s.Service.Name, s.Service.Port)
		if err != nil {
			return Nodes{}, s.explainMembers(ctx, env, err)
		}
		if members.Want > 1 || len(members.Pods) > 1 {
			return s.pods(ctx, env, members)
		}
	}
	c, err := ConnectServer(ctx, env, s)
	if err != nil {
		return Nodes{}, err
	}
	return Nodes{List: []Node{{Client: c}}, want: 1}, nil
}

// explainMembers explains an error as that of a request to Vault.
func (s Server) explainMembers(ctx context.Context, env *engine.Env, err error) error {
	c, connect := ConnectServer(ctx, env, s)
	if connect != nil {
		return connect
	}
	return c.explain(ctx, "read", "sys/seal-status", err)
}

func (s Server) pods(ctx context.Context, env *engine.Env, members kubekit.Members) (Nodes, error) {
	out := Nodes{want: max(members.Want, len(members.Pods)), claims: members.Claims}
	for _, m := range members.Pods {
		if !m.Runs() {
			out.Missing = append(out.Missing, Missing{Pod: m.Name, Why: m.Why})
			continue
		}
		c, err := s.clientOf(ctx, env, m)
		if err != nil {
			return Nodes{}, err
		}
		host := m.IP
		if members.Subdomain != "" {
			host = m.Name + "." + members.Subdomain
		}
		scheme := "http"
		if s.Service.TLS {
			scheme = "https"
		}
		out.List = append(out.List, Node{
			Client: c, Pod: m.Name, UID: m.UID, Active: m.Active, Outdated: m.Outdated,
			address: scheme + "://" + net.JoinHostPort(host, strconv.Itoa(m.Port)),
		})
	}
	for i := len(members.Pods); i < out.want; i++ {
		out.Missing = append(out.Missing, Missing{Pod: fmt.Sprintf("%d of %d", i+1, out.want), Why: "does not exist yet", Later: members.Ordered})
	}
	return out, nil
}

// clientOf returns a client without a token for one pod.
func (s Server) clientOf(ctx context.Context, env *engine.Env, m kubekit.Member) (*Client, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return m.Dial(ctx) }
	w, err := s.wireBy(ctx, env, s.Key()+"|"+m.UID, func(context.Context, *engine.Env) (dialFunc, error) { return dial, nil })
	if err != nil {
		return nil, fmt.Errorf("vault (pod %s/%s): %w", s.Service.Namespace, m.Name, err)
	}
	c, err := s.client(env, s.guarded(w))
	if err != nil {
		return nil, err
	}
	c.where = fmt.Sprintf("pod %s/%s", s.Service.Namespace, m.Name)
	return c, nil
}

// Node returns the server in the pod, or the only one for "".
func (s Server) Node(ctx context.Context, env *engine.Env, pod string) (*Client, error) {
	if pod == "" {
		return ConnectServer(ctx, env, s)
	}
	nodes, err := s.Nodes(ctx, env)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes.List {
		if n.Pod == pod {
			return n.Client, nil
		}
	}
	return nil, fmt.Errorf("vault (%s): pod %s does not run", s.Where(), pod)
}

// A State is a server and the status of its seal.
type State struct {
	Node
	*SealStatus
}

// ByItself reports whether Vault initialised itself, without shares for anyone: that of
// OpenBao's stanza initialize. Its seal opens itself. known is false while Vault is
// sealed: then it may not tell the number of its shares.
func (s State) ByItself() (yes, known bool) {
	none := s.Initialized && s.Type != Shamir && s.N == 0
	return none && !s.Sealed, !none || !s.Sealed
}

// States asks every server. Those that do not answer are added to Missing: only the
// others are in the answer. The error of a single server is returned.
func (n *Nodes) States(ctx context.Context) ([]State, error) {
	var states []State
	for _, node := range n.List {
		status, err := node.SealStatus(ctx)
		switch {
		case err == nil:
			states = append(states, State{node, status})
		case !n.Several() || errors.Is(err, engine.ErrPermanent) || ctx.Err() != nil:
			return nil, err
		default:
			n.Missing = append(n.Missing, Missing{Pod: node.Pod, Why: err.Error()})
		}
	}
	return states, oneVault(states)
}

// oneVault refuses servers of several Vaults behind one Service: a pod that was restored
// from another one's data, or was initialised by itself. Only an unsealed server tells
// its cluster.
func oneVault(states []State) error {
	var first *State
	for i := range states {
		s := &states[i]
		if s.Sealed || s.ClusterID == "" {
			continue
		}
		if first != nil && first.ClusterID != s.ClusterID {
			return Refusal("find out which one holds the data that counts; remove the volume and the pod of the other, so that it joins: ztplan changes neither",
				"pods %s and %s are two Vaults: their cluster ids are %s and %s", first.Pod, s.Pod, first.ClusterID, s.ClusterID)
		}
		first = s
	}
	return nil
}

// OldClaims returns the existing volume claims of pods that do not exist: a pod that is
// made later takes over their content.
func (s Server) OldClaims(ctx context.Context, env *engine.Env, n Nodes) ([]string, error) {
	if len(n.claims) == 0 {
		return nil, nil
	}
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return nil, err
	}
	return cluster.VolumeClaims(ctx, s.Service.Namespace, n.claims)
}

// MissingEdits are edits that can only be waited for: the pods that do not answer.
func (n Nodes) MissingEdits() []engine.Edit {
	edits := make([]engine.Edit, len(n.Missing))
	for i, m := range n.Missing {
		edits[i] = engine.Edit{Path: "pods/" + m.Pod, Have: m.Why, Want: "answers"}
	}
	return edits
}

// Initialised returns the server that knows most of an initialised Vault, nil if none
// is initialised.
func Initialised(states []State) *State {
	var best *State
	for i := range states {
		s := &states[i]
		if s.Initialized && (best == nil || best.Sealed && !s.Sealed) {
			best = s
		}
	}
	return best
}

// At names the server in the path of an edit: "sys/seal" of the only one,
// "pods/vault-1/sys/seal" of one of several.
func (n Node) At(path string) string {
	if n.Pod == "" {
		return path
	}
	return strings.Join([]string{"pods", n.Pod, path}, "/")
}
