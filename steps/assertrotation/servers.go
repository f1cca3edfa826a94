package assertrotation

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// leastWorkers is the number of workers that is taken for one replica, or for
// what is behind an address, when neither the plan nor the cluster says more.
const leastWorkers = 16

// servers is what is known of the servers behind the addresses.
type servers struct {
	workers int    // of one replica
	from    string // where that number comes from: one of evidence.WorkersFrom…
	count   int    // of the replicas; 0 if there is no Service to ask

	// replicas has a way to each of several pods behind the Service, if there is
	// one; problem says why there is none.
	replicas []tlskit.Endpoint
	problem  string

	sticky bool // the Service sends all connections of one client to one pod
	apart  bool // each address leads to servers of its own
	single bool // the addresses are the replicas
}

// lookServers returns a function that asks what is behind the addresses. What
// this user may not see is not counted: then the number in the plan has to be
// right.
func (s *Spec) lookServers(env *engine.Env, u *url.URL) func(context.Context) (servers, error) {
	return func(ctx context.Context) (servers, error) {
		found := s.assumed()
		if s.Service == nil {
			return found, nil
		}
		cluster, err := kubekit.Connect(ctx, env)
		if err != nil {
			return found, err
		}
		behind, err := s.Target.Replicas(ctx, env, u)
		if err != nil {
			if isPermanent(err) {
				found.problem, err = err.Error(), nil
			}
			return found, err
		}
		found.count, found.sticky = len(behind.Pods), behind.Sticky
		found.single = s.Service.Via == tlskit.ViaTunnel && s.Endpoints == tlskit.EndpointsAll
		found.apart = found.single || behind.LocalOnly
		var nodes []string
		for _, p := range behind.Pods {
			nodes = append(nodes, p.Node)
			found.replicas = append(found.replicas, tlskit.NewEndpoint(fmt.Sprintf("pod %s/%s:%d", s.Service.Namespace, p.Name, p.Port), p.Dial))
		}
		if s.Probe.Workers == 0 {
			if n := cluster.Processors(ctx, nodes); n > leastWorkers {
				found.workers, found.from = n, evidence.WorkersFromNodes
			}
		}
		if found.single || found.count < 2 {
			found.replicas = nil
			return found, nil
		}
		conn, err := found.replicas[0].Dial(ctx)
		if err != nil {
			found.replicas, found.problem = nil, err.Error()
			return found, ctx.Err()
		}
		return found, conn.Close()
	}
}

// assumed is what is taken for true before anything was asked.
func (s *Spec) assumed() servers {
	if s.Probe.Workers > 0 {
		return servers{workers: s.Probe.Workers, from: evidence.WorkersFromPlan, apart: true}
	}
	return servers{workers: leastWorkers, from: evidence.WorkersFromDefault, apart: true}
}

// errSticky says that a doubt cannot be bounded.
func (s servers) check() error {
	if !s.sticky || s.count < 2 || s.single || len(s.replicas) > 0 {
		return nil
	}
	return engine.Permanent(engine.WithHint(
		fmt.Errorf("the Service has sessionAffinity ClientIP: all connections from here go to one of its %d pods, and the others cannot be looked at: %s", s.count, s.problem),
		"allow create on pods/portforward in the gateway's namespace"))
}

// String says how many servers there are and how that is known: "16 workers
// (default) in each of 2 pods".
func (s servers) String() string {
	text := fmt.Sprintf("%d workers (%s)", s.workers, map[string]string{
		evidence.WorkersFromPlan:    "by the plan",
		evidence.WorkersFromNodes:   "one for each processor of the node",
		evidence.WorkersFromDefault: "assumed; set probe.workers if there are more",
	}[s.from])
	if s.count > 1 {
		text += fmt.Sprintf(" in each of %d pods", s.count)
	}
	if s.problem != "" {
		text += "; the pods cannot be looked at one by one: " + s.problem
	}
	return text
}

// regroup takes in what is behind the addresses: which handshakes count together,
// for how many servers, and which pods are looked at by themselves.
func (p *proof) regroup(s servers) {
	p.servers = s
	if len(p.rec.groups) == 0 {
		p.rec.groups = addressGroups(p.rec.series, s.apart)
	}
	for _, g := range p.rec.groups {
		switch {
		case g.look:
			g.gone = true
		case len(s.replicas) > 0:
			g.servers = s.count // their workers are looked at pod by pod
		case s.single:
			g.servers = s.workers
		default:
			g.servers = s.workers * max(s.count, 1)
		}
	}
	for _, e := range s.replicas {
		if g := p.rec.pod(e.String()); g != nil {
			g.gone = false
			continue
		}
		p.endpoints = append(p.endpoints, e)
		p.rec.looks = append(p.rec.looks, newSeries(e.String(), p.spec.Probe.Timeout.Std()))
		g := &group{name: e.String(), members: []int{len(p.endpoints) - 1}, servers: s.workers, look: true}
		g.aim(p.rec, p.rec.target)
		p.rec.groups = append(p.rec.groups, g)
	}
}

// addressGroups are the groups of what clients connect to: one, or one for each
// address.
func addressGroups(list []*series, apart bool) []*group {
	if !apart {
		g := &group{name: list[0].name}
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
		groups[i] = &group{name: one.name, members: []int{i}}
	}
	return groups
}

// pod returns the group of one pod, nil if there is none.
func (r *record) pod(name string) *group {
	for _, g := range r.groups {
		if g.look && g.name == name {
			return g
		}
	}
	return nil
}

// refresh asks again what is behind the addresses; the answer arrives at p.found.
func (p *proof) refresh(ctx context.Context) {
	if p.refreshing {
		return
	}
	p.refreshing = true
	at := p.env.Now()
	p.wg.Go(func() {
		s, err := p.lookServers(ctx)
		select {
		case p.found <- foundServers{s, at, err}:
		case <-ctx.Done():
		}
	})
}

// foundServers is the answer to a refresh that was begun at a moment.
type foundServers struct {
	servers
	at  time.Time
	err error
}

// found takes the answer to a refresh in. One that could not be had is asked for
// again when it is needed.
func (p *proof) foundServers(f foundServers) error {
	p.refreshing = false
	if f.err != nil {
		return nil
	}
	p.listed = f.at
	p.regroup(f.servers)
	return f.servers.check()
}
