package probe

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// leastWorkers is the assumed number of workers of one replica, or of the servers
// behind an address, when neither the plan nor the cluster has a number.
const leastWorkers = 16

// Servers describes the servers behind the addresses.
type Servers struct {
	Workers int    // of one replica
	From    string // source of that number: one of evidence.WorkersFrom…
	Count   int    // of the replicas; 0 if there is no Service to ask

	// Replicas has a way to each of several pods behind the Service, if there is
	// one; Problem is why there is none.
	Replicas []tlskit.Endpoint
	Problem  string

	Sticky bool // the Service sends all connections of one client to one pod
	Apart  bool // each address leads to servers of its own
	Single bool // the addresses are the replicas
}

// Assumed returns the servers that are assumed without a look: of the given number
// of workers, or the default if that is 0.
func Assumed(workers int) Servers {
	if workers > 0 {
		return Servers{Workers: workers, From: evidence.WorkersFromPlan, Apart: true}
	}
	return Servers{Workers: leastWorkers, From: evidence.WorkersFromDefault, Apart: true}
}

// LookUp finds the servers behind a target. Pods that this user may not see are not
// counted: then the number of workers in the plan has to be right.
func LookUp(ctx context.Context, env *engine.Env, u *url.URL, to tlskit.Target, workers int) (Servers, error) {
	found := Assumed(workers)
	if to.Service == nil {
		return found, nil
	}
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return found, err
	}
	behind, err := to.Replicas(ctx, env, u)
	if errors.Is(err, engine.ErrPermanent) {
		found.Problem = err.Error()
		return found, nil
	} else if err != nil {
		return found, err
	}
	found.Count, found.Sticky = len(behind.Pods), behind.Sticky
	found.Single = to.Service.Via == tlskit.ViaTunnel && to.Endpoints == tlskit.EndpointsAll
	found.Apart = found.Single || behind.LocalOnly
	var nodes []string
	for _, p := range behind.Pods {
		nodes = append(nodes, p.Node)
		found.Replicas = append(found.Replicas, tlskit.NewEndpoint(fmt.Sprintf("pod %s/%s:%d", to.Service.Namespace, p.Name, p.Port), p.Dial))
	}
	if workers == 0 {
		if n := cluster.Processors(ctx, nodes); n > leastWorkers {
			found.Workers, found.From = n, evidence.WorkersFromNodes
		}
	}
	if found.Single || found.Count < 2 {
		found.Replicas = nil
		return found, nil
	}
	conn, err := found.Replicas[0].Dial(ctx)
	if err != nil {
		found.Replicas, found.Problem = nil, err.Error()
		return found, ctx.Err()
	}
	return found, conn.Close()
}

// Check returns a permanent error if no doubt can be bounded: when all connections
// go to one of several pods.
func (s Servers) Check() error {
	if !s.Sticky || s.Count < 2 || s.Single || len(s.Replicas) > 0 {
		return nil
	}
	return engine.Permanent(engine.WithHint(
		fmt.Errorf("the Service has sessionAffinity ClientIP: all connections from here go to one of its %d pods, and the others cannot be looked at: %s", s.Count, s.Problem),
		"allow create on pods/portforward in the gateway's namespace"))
}

// String renders the number of servers and its source: "16 workers (assumed; …) in
// each of 2 pods".
func (s Servers) String() string {
	text := fmt.Sprintf("%d workers (%s)", s.Workers, map[string]string{
		evidence.WorkersFromPlan:    "by the plan",
		evidence.WorkersFromNodes:   "one for each processor of the node",
		evidence.WorkersFromDefault: "assumed; set probe.workers if there are more",
	}[s.From])
	if s.Count > 1 {
		text += fmt.Sprintf(" in each of %d pods", s.Count)
	}
	if s.Problem != "" {
		text += "; the pods cannot be looked at one by one: " + s.Problem
	}
	return text
}

// Regroup adapts the record to the servers behind the addresses: how many servers
// the doubt of a group counts for, and the pods that are probed one by one.
func (r *Record) Regroup(s Servers) {
	r.servers = s
	for _, g := range r.groups {
		switch {
		case g.pod:
			g.gone = true
		case len(s.Replicas) > 0:
			g.servers = s.Count // their workers are counted pod by pod
		case s.Single:
			g.servers = s.Workers
		default:
			g.servers = s.Workers * max(s.Count, 1)
		}
	}
	for _, e := range s.Replicas {
		if g := r.pod(e.String()); g != nil {
			g.gone = false
			continue
		}
		r.endpoints = append(r.endpoints, e)
		r.pods = append(r.pods, newSeries(e.String(), r.limits.Timeout))
		g := &group{name: e.String(), members: []int{len(r.endpoints) - 1}, servers: s.Workers, pod: true}
		g.aim(r, r.target)
		r.groups = append(r.groups, g)
	}
}

// addressGroups are the groups of the addresses of clients: one, or one for each
// address.
func addressGroups(list []*Series, apart bool) []*group {
	if !apart {
		g := &group{name: list[0].Name}
		if n := len(list); n > 1 {
			g.name = fmt.Sprintf("%s and %d more addresses", g.name, n-1)
		}
		for i := range list {
			g.members = append(g.members, i)
		}
		return []*group{g}
	}
	groups := make([]*group, len(list))
	for i, one := range list {
		groups[i] = &group{name: one.Name, members: []int{i}}
	}
	return groups
}

// pod returns the group of one pod, nil if there is none.
func (r *Record) pod(name string) *group {
	for _, g := range r.groups {
		if g.pod && g.name == name {
			return g
		}
	}
	return nil
}
