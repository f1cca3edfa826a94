// Package rivals finds the objects that give a host another Secret than the one of a
// proof: an ApisixTls, an Ingress, or a listener of a Gateway. The gateway serves one of
// several, and a restart may change which.
package rivals

import (
	"fmt"
	"strings"

	"github.com/ztplan/ztplan/steps/hosting"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
)

const (
	kindApisixTLS = "ApisixTls"
	kindIngress   = "Ingress"
	kindGateway   = "Gateway"
)

// An object gives hosts of a gateway the certificate of a Secret. Of an Ingress it is one
// entry of spec.tls, of a Gateway one certificate of a listener.
type object struct {
	Kind      string
	Namespace string
	Name      string
	Listener  string   // of a Gateway
	Hosts     []string // none: the names in the certificate
	Secret    certwatch.Ref

	Gateway hosting.Gateway // that serves it; the zero value may be any
	// Restless is set for APISIX: of several objects for one host a restart may choose
	// another one.
	Restless bool
}

// String names the object with its Secret.
func (o *object) String() string {
	return fmt.Sprintf("%s %s/%s (secret %s)", o.Kind, o.Namespace, o.Name, o.Secret)
}

func (o *object) plural() string {
	switch o.Kind {
	case kindIngress:
		return "ingresses"
	case kindGateway:
		return "gateways"
	}
	return "apisixtlses"
}

// is reports whether both are of one object, and for a Gateway of one listener, which may
// have certificates of several kinds of keys.
func (o *object) is(other *object) bool {
	return o.Kind == other.Kind && o.Namespace == other.Namespace && o.Name == other.Name && o.Listener == other.Listener
}

// sharesGateway reports whether both can be served by one gateway.
func (o *object) sharesGateway(other *object) bool {
	anyGateway := hosting.Gateway{}
	return o.Gateway == other.Gateway || o.Gateway == anyGateway || other.Gateway == anyGateway
}

// rank is how closely the object names a host: -1 if it does not. Gateways serve the
// closest one: an exact name before wildcards, the longest wildcard before others. For
// APISIX a wildcard stands for one label or a part of one, and * for any name; for an
// Ingress it stands for one label, and for a Gateway of another implementation for several.
func (o *object) rank(host string) int {
	several := o.Kind == kindGateway && !o.Restless
	best := -1
	for _, name := range o.Hosts {
		name = strings.TrimSuffix(strings.ToLower(name), ".")
		tail, wild := strings.CutPrefix(name, "*")
		switch {
		case name == host:
			best = max(best, len(host)+1)
		case wild && strings.HasSuffix(host, tail) && (tail == "" || several || !strings.Contains(strings.TrimSuffix(host, tail), ".")):
			best = max(best, len(tail))
		}
	}
	return best
}
