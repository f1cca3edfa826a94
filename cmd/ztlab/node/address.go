package node

import (
	"net/netip"
	"sync"
)

// podNetwork is where pod addresses come from; kubeadm's and kind's default.
var podNetwork = netip.MustParsePrefix("10.244.0.0/16")

// An ipPool hands out pod addresses. An address is not handed out again before
// all the others have been, so that a client with an old address does not meet
// another pod. The zero value is ready.
type ipPool struct {
	mu   sync.Mutex
	used map[netip.Addr]bool
	last netip.Addr
}

// take returns an unused address, which is wanted when that is possible: a pod
// keeps its address when the agent restarts. It returns "" when every address of
// the network is in use.
func (p *ipPool) take(wanted string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used == nil {
		p.used = map[netip.Addr]bool{}
		p.last = podNetwork.Addr().Next() // .1 is the gateway everywhere
	}
	if a, err := netip.ParseAddr(wanted); err == nil && podNetwork.Contains(a) && !p.used[a] {
		p.used[a] = true
		return a.String()
	}
	first := p.last
	for a := first.Next(); a != first; a = a.Next() {
		if !podNetwork.Contains(a.Next()) { // the broadcast address, too
			a = podNetwork.Addr().Next()
			continue
		}
		if !p.used[a] {
			p.used[a], p.last = true, a
			return a.String()
		}
	}
	return ""
}

// release gives an address back.
func (p *ipPool) release(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, err := netip.ParseAddr(addr); err == nil {
		delete(p.used, a)
	}
}
