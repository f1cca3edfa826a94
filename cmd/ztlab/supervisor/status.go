package supervisor

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztlab/controlplane"
	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
)

// Status asks every part of the lab how it is.
func (l *Lab) Status(ctx context.Context) labstate.Status {
	l.mu.Lock()
	node, ports, charts, ready := l.node, l.ports, l.chart, l.ready
	l.mu.Unlock()

	s := labstate.Status{
		Ready: ready, Dir: string(l.dir), PID: self(), Kubeconfig: l.dir.Kubeconfig(), Address: l.address,
		Mirrors: map[string]string{}, Charts: l.options.ChartsDir, Ephemeral: l.options.Ephemeral,
		ServiceAccountIssuer: l.options.Issuer, AuthenticationConfig: l.options.AuthenticationConfig, Components: []labstate.Component{}, Simulated: []string{},
		Versions: controlplane.Versions(),
	}
	if l.options.Audit {
		s.Audit = l.dir.Audit()
	}
	if !ready {
		s.Starting, s.Message = true, "the lab is starting"
	}
	if l.plane != nil {
		s.Components = l.plane.Status(ctx)
	}
	for _, c := range s.Components {
		if c.State != labstate.StateReady {
			s.Ready, s.Message = false, cmp.Or(s.Message, c.Name+" is "+c.State)
		}
	}
	if l.proxy != nil {
		s.Components = append(s.Components, part("proxy", "http://"+l.proxy.Addr().String()))
	}
	if charts != nil {
		maps.Copy(s.Mirrors, charts.Mirrors())
		s.Components = append(s.Components, part("charts", ""))
	}
	if node != nil {
		s.Components = append(s.Components, part("node", "https://"+node.KubeletAddress()))
		l.addContainers(&s, node.Containers())
	}
	if ports != nil {
		if s.Problems = ports.Problems(); len(s.Problems) > 0 {
			s.Ready, s.Message = false, cmp.Or(s.Message, s.Problems[0])
		}
	}
	return s
}

// part is a component that lives in the supervisor.
func part(name, address string) labstate.Component {
	return labstate.Component{Name: name, PID: self(), Address: address, State: labstate.StateReady}
}

// addContainers adds the containers with a built-in part as components, and
// the images of the others as simulated.
func (l *Lab) addContainers(s *labstate.Status, containers []Container) {
	for _, c := range containers {
		if c.Simulated {
			s.Simulated = append(s.Simulated, c.Image)
		}
		if c.Simulated || c.Completed {
			continue
		}
		about := l.options.Parts[c.Component]
		s.Components = append(s.Components, labstate.Component{
			Name: c.Component, PID: c.PID, Version: about.Version, StandIn: about.StandIn,
			Address: addresses(c.Addresses), State: containerState(c), Message: c.Message,
			Pod: c.Namespace + "/" + c.Pod + "/" + c.Name,
		})
	}
	slices.Sort(s.Simulated)
	s.Simulated = slices.Compact(s.Simulated)
}

func containerState(c Container) string {
	switch {
	case c.PID == 0:
		return labstate.StateStopped
	case c.Ready:
		return labstate.StateReady
	}
	return labstate.StateNotReady
}

// addresses lists loopback addresses in the order of their container ports.
func addresses(ports map[int]string) string {
	var list []string
	for _, p := range slices.Sorted(maps.Keys(ports)) {
		list = append(list, ports[p])
	}
	return strings.Join(list, ",")
}
