package dataplane

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// A snapshot is the configuration at one revision, ready for use. It never
// changes; a worker that takes an update takes another snapshot.
type snapshot struct {
	revision int64
	exact    map[string]*site // server name -> site
	wildcard map[string]*site // ".example.local" for *.example.local -> site
	routes   []*route         // in order of precedence
}

// A site is what is presented to clients that ask for a name.
type site struct {
	certificate *tls.Certificate
	clientCAs   *x509.CertPool // nil: no client certificate is asked for
}

// newSite checks and prepares a certificate object.
func newSite(ssl adminapi.SSL) (*site, error) {
	if len(ssl.SNIs) == 0 {
		return nil, errors.New("snis: at least one name is needed")
	}
	certificate, err := tls.X509KeyPair([]byte(ssl.Cert), []byte(ssl.Key))
	if err != nil {
		return nil, fmt.Errorf("cert and key: %w", err)
	}
	s := &site{certificate: &certificate}
	if ssl.Client != nil {
		s.clientCAs = x509.NewCertPool()
		if !s.clientCAs.AppendCertsFromPEM([]byte(ssl.Client.CA)) {
			return nil, errors.New("client.ca: no certificate in it")
		}
	}
	return s, nil
}

// add makes a site answer to names; what answered to them before is replaced.
func (s *snapshot) add(names []string, site *site) {
	for _, name := range names {
		name = normal(name)
		if suffix, ok := strings.CutPrefix(name, "*"); ok && strings.HasPrefix(suffix, ".") {
			s.wildcard[suffix] = site
			continue
		}
		s.exact[name] = site
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
