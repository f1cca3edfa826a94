package dataplane

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// serverName is the pattern of APISIX's schema for snis: a wildcard may only be
// in front.
var serverName = regexp.MustCompile(`^\*?[0-9a-zA-Z\-._\[\]:]+$`)

// newSite prepares a certificate object. As APISIX does, it refuses objects that
// cannot be parsed, and accepts a key that does not match and a chain in any order:
// such an object fails at the handshake.
func newSite(ssl adminapi.SSL) (*site, error) {
	if len(ssl.SNIs) == 0 {
		return nil, errors.New("snis: at least one name is needed")
	}
	for i, name := range ssl.SNIs {
		if !serverName.MatchString(name) {
			return nil, fmt.Errorf("property \"snis\" validation failed: failed to validate item %d: failed to match pattern %q with %q", i+1, serverName, name)
		}
	}
	chain, err := cert.ParseCertsPEM([]byte(ssl.Cert))
	if err != nil {
		return nil, fmt.Errorf("failed to parse cert: %w", err)
	}
	parsed, err := keyutil.ParsePrivateKeyPEM([]byte(ssl.Key))
	if err != nil {
		return nil, fmt.Errorf("failed to parse key: %w", err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("failed to parse key: %T is no key that signs", parsed)
	}
	s := &site{names: ssl.SNIs, off: off(ssl.Status), certificate: tls.Certificate{PrivateKey: key, Leaf: chain[0]}}
	for _, c := range chain {
		s.certificate.Certificate = append(s.certificate.Certificate, c.Raw)
	}
	switch i := slices.IndexFunc(chain, func(c *x509.Certificate) bool { return belongs(key, c) }); {
	case i < 0:
		s.mismatch = errors.New("the private key does not match the certificate")
	case i > 0:
		// The chain is reversed. The certificate in front cannot be used for
		// any signature, which crypto/tls answers with handshake_failure.
		s.certificate.SupportedSignatureAlgorithms = []tls.SignatureScheme{}
	}
	if ssl.Client != nil {
		if s.clients, err = newClients(*ssl.Client); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// belongs reports whether a key is that of a certificate.
func belongs(key crypto.Signer, c *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(c.PublicKey)
}

// off reports whether an object's status keeps it from being served.
func off(status *int) bool { return status != nil && *status == 0 }
