package dataplane

import (
	"crypto/tls"
	"strings"
)

// A snapshot is the configuration that a worker serves by. It never changes; a
// worker that takes an update makes another snapshot.
type snapshot struct {
	exact    map[string]*site // server name -> site
	wildcard map[string]*site // ".example.local" for *.example.local -> site
	routes   []*route         // in order of precedence
}

// A site is the certificate for clients that ask for a name.
type site struct {
	names       []string
	off         bool // not served
	certificate tls.Certificate
	mismatch    error    // the key does not belong to the certificate
	clients     *clients // nil: no client certificate is asked for
}

// add makes a site answer to those of its names that no other site has.
func (s *snapshot) add(added *site) {
	for _, name := range added.names {
		name, sites := normal(name), s.exact
		if suffix, ok := strings.CutPrefix(name, "*"); ok && strings.HasPrefix(suffix, ".") {
			name, sites = suffix, s.wildcard
		}
		if sites[name] == nil {
			sites[name] = added
		}
	}
}

// site finds the site for a server name: one of that very name, else a
// wildcard that stands for its first label and no more (facts of APISIX's
// radixtree_sni with one-label wildcards). nil when there is none.
func (s *snapshot) site(serverName string) *site {
	name := normal(serverName)
	if found := s.exact[name]; found != nil {
		return found
	}
	if label, _, ok := strings.Cut(name, "."); ok && label != "" {
		return s.wildcard[name[len(label):]]
	}
	return nil
}

// normal is a DNS name as it is compared.
func normal(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }
