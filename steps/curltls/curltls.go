// Package curltls requests one URL over a new, verified TLS connection and checks
// certificate and answer.
//
// It opens a TCP connection to an address, to a node port of a Kubernetes
// Service or to the address in the DNS, asks for the server name in the URL
// (SNI), verifies the certificate for that name, sends one request and reads
// the answer. Every rule under expect gives one finding; the connection itself
// and the verification are always asserted. The log (-v) has the details of
// `curl -v`.
//
// Unlike `curl -vk` it proves something: only the given trust counts, there is
// no way to skip verification, no session is resumed, no connection is reused,
// no redirection is followed, and neither /etc/hosts nor DNS has to know the
// name.
//
// With client it presents a certificate (mTLS), and asserts that the server asks for one
// at every address. With TLS 1.3 a server refuses a client after the handshake, so the
// answer to the request decides.
//
// It changes nothing. A route or a certificate reaches a gateway some seconds
// after its resource was accepted, so the proof is repeated until it holds or
// the step's timeout (by default one minute) is over.
package curltls

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// Kind is the kind curlTLS.
var Kind = engine.NewProof("curlTLS", engine.Policy{
	Timeout:  time.Minute,
	Delay:    250 * time.Millisecond,
	Backoff:  1.5,
	MaxDelay: 2 * time.Second,
	Jitter:   0.1,
}, func() *Spec {
	return &Spec{
		Method: http.MethodGet,
		HTTP:   "auto",
		Target: tlskit.Target{Endpoints: tlskit.EndpointsFirst},
	}
})

// attemptLimit bounds one connection with its request, so that an attempt that
// hangs leaves time for another.
const attemptLimit = 10 * time.Second

// Spec holds the inputs.
type Spec struct {
	// URL is requested, such as https://hello.example.local/. Its host
	// is the server name (SNI), the Host header and the name that the
	// certificate must have; its port is the port of the Service or of the DNS
	// name, by default 443.
	URL string `yaml:"url" check:"required"`

	tlskit.Target      `yaml:",inline"`
	tlskit.TrustInput  `yaml:",inline"`
	tlskit.ClientInput `yaml:",inline"`

	// HTTP is the version to speak: "1.1", "2", or auto, which offers both and
	// uses the server's preference.
	HTTP string `yaml:"http" check:"oneof=1.1|2|auto"`

	// Method is the request's method.
	Method string `yaml:"method" check:"nonempty"`

	// Headers are sent with the request. The Host header is always the URL's
	// host.
	Headers map[string]string `yaml:"headers"`

	// Body is sent with the request.
	Body string `yaml:"body"`

	// Expect has the rules for connection and answer.
	Expect Expect `yaml:"expect"`
}

// Expect holds the rules about connection and answer. A rule that is left out
// is not checked, except for the status.
type Expect struct {
	// Status is the status code. Without it any status below 400 is right.
	Status int `yaml:"status" check:"min=0,max=599"`

	// Headers maps names of headers to their values; a value between slashes
	// is a regular expression, such as /^APISIX/.
	Headers map[string]string `yaml:"headers"`

	// Body is a text that the first MiB of the body must contain, or a regular
	// expression between slashes.
	Body string `yaml:"body"`

	// Protocol is the negotiated version: h2 or http/1.1.
	Protocol string `yaml:"protocol" check:"oneof=h2|http/1.1"`

	// TLS is the lowest accepted version: "1.2" or "1.3".
	TLS string `yaml:"tls" check:"oneof=1.2|1.3"`

	// Certificate holds the rules about the server's certificate.
	Certificate Certificate `yaml:"certificate"`
}

// Certificate holds the rules about the server's certificate.
type Certificate struct {
	// CommonName is the common name in the subject.
	CommonName string `yaml:"commonName"`

	// Subject is the whole distinguished name, or a regular expression between
	// slashes.
	Subject string `yaml:"subject"`

	// DNSNames are names that must be in the certificate, which may have more.
	DNSNames []string `yaml:"dnsNames"`

	// Issuer is the issuer's common name or whole distinguished name, or a
	// regular expression between slashes.
	Issuer string `yaml:"issuer"`

	// ChainLength is how many certificates the server sends: 2 for a
	// certificate and its intermediate.
	ChainLength int `yaml:"chainLength" check:"min=0"`

	// MinRemaining is how long the certificate must be valid from now on.
	MinRemaining engine.Duration `yaml:"minRemaining" check:"min=0s"`

	// MaxLifetime is the longest validity, from notBefore to notAfter, that is
	// right.
	MaxLifetime engine.Duration `yaml:"maxLifetime" check:"min=0s"`

	// Serial is the serial number in hexadecimal, with or without colons.
	Serial string `yaml:"serial"`

	// NotSerial is a serial number that the certificate must not have any
	// more.
	NotSerial string `yaml:"notSerial"`

	// EqualsSecret names a Secret whose tls.crt must begin with the very
	// certificate that the server shows.
	EqualsSecret *tlskit.SecretRef `yaml:"equalsSecret"`
}

// Outputs are the results, at the first address if there are several.
type Outputs struct {
	// Status is the status code of the answer.
	Status int `yaml:"status"`

	// Protocol is the negotiated protocol: h2 or http/1.1.
	Protocol string `yaml:"protocol"`

	// TLSVersion is the negotiated version, such as TLS 1.3.
	TLSVersion string `yaml:"tlsVersion"`

	// RemoteAddress is the address that the connection went to.
	RemoteAddress string `yaml:"remoteAddress"`

	// PeerSerial is the serial number of the server's certificate as Vault
	// writes it: lower-case hexadecimal with colons.
	PeerSerial string `yaml:"peerSerial"`

	// PeerFingerprint is the SHA-256 of the server's certificate in lower-case
	// hexadecimal.
	PeerFingerprint string `yaml:"peerFingerprint"`

	// PeerKey is the SHA-256 of the server's public key
	// (SubjectPublicKeyInfo) in lower-case hexadecimal.
	PeerKey string `yaml:"peerKey"`

	// PeerCertificate is the server's certificate in PEM.
	PeerCertificate string `yaml:"peerCertificate"`

	// Issuer is the distinguished name of the certificate's issuer.
	Issuer string `yaml:"issuer"`

	// NotAfter is when the certificate expires, as 2026-01-18T18:00:10Z.
	NotAfter string `yaml:"notAfter"`
}

// Validate checks the inputs against each other.
func (s *Spec) Validate(p *engine.Problems) {
	if s.URL != "" {
		if _, err := tlskit.ParseURL(s.URL); err != nil {
			p.Add("url", "url %q: %v", s.URL, err)
		}
	}
	s.Target.Validate(p)
	s.TrustInput.Validate(p)
	s.ClientInput.Validate(p)
	for name := range s.Headers {
		if strings.EqualFold(name, "host") {
			p.AddProblem(engine.Problem{Field: "headers." + name, Message: "the Host header is the URL's host",
				Hint: "write the host into url; address or service decide where the connection goes"})
		}
	}
	s.Expect.validate(p)
	if s.HTTP == "1.1" && s.Expect.Protocol == tlskit.HTTP2 {
		p.Add("expect.protocol", "http 1.1 never negotiates h2")
	}
	if s.HTTP == "2" && s.Expect.Protocol == tlskit.HTTP1 {
		p.Add("expect.protocol", "http 2 never negotiates http/1.1")
	}
}

// Intent describes the connection and the rules of Prove.
func (s *Spec) Intent() []string {
	u, err := tlskit.ParseURL(s.URL)
	if err != nil {
		return []string{"ask for the URL, known after other steps"}
	}
	lines := []string{
		fmt.Sprintf("%s %s over a new TLS connection to %s, with the server name %s", s.Method, u, s.Where(), u.Hostname()),
		"verify the certificate against " + s.Described() + " and nothing else",
	}
	if s.Client != nil {
		lines = append(lines, "present "+s.Client.String())
	}
	for _, r := range s.rules() {
		lines = append(lines, "assert that "+r.name)
	}
	return lines
}

// Prove opens the connections and checks the rules.
func (s *Spec) Prove(ctx context.Context, env *engine.Env) (Outputs, []engine.Finding, error) {
	u, err := tlskit.ParseURL(s.URL)
	if err != nil {
		return Outputs{}, nil, engine.Permanent(fmt.Errorf("url %q: %w", s.URL, err))
	}
	trust, err := s.TrustInput.Load(ctx, env)
	if err != nil {
		return Outputs{}, nil, err
	}
	client, err := s.Client.Load(ctx, env)
	if err != nil {
		return Outputs{}, nil, err
	}
	endpoints, err := s.Target.Resolve(ctx, env, u)
	if err != nil {
		return Outputs{}, nil, err
	}
	return s.proveAt(ctx, env, u, trust, client, endpoints)
}

// proveAt is Prove once it is known where the connections go.
func (s *Spec) proveAt(ctx context.Context, env *engine.Env, u *url.URL, trust *tlskit.Trust, client *tlskit.Credential, endpoints []tlskit.Endpoint) (Outputs, []engine.Finding, error) {
	v := &caller{spec: s, url: u, env: env, client: tlskit.NewClient(u.Hostname(), trust, env.Now, tlskit.Protocols(s.HTTP)...)}
	if client != nil {
		v.client.Presenting(tlskit.NewIdentity(client))
	}
	env.Statusf("asking for %s", u)
	calls := v.callAll(ctx, endpoints)
	if ctx.Err() != nil {
		return Outputs{}, nil, fmt.Errorf("asking for %s was cut off: %w", u, ctx.Err())
	}
	for _, call := range calls {
		for _, line := range call.transcript {
			env.Logf("%s", line)
		}
	}
	if s.Expect.Certificate.EqualsSecret != nil {
		if err := v.readSecret(ctx, calls); err != nil {
			return Outputs{}, nil, err
		}
	}
	s.record(env, calls, trust)
	findings, err := judge(s, calls, trust)
	return calls[0].outputs(), findings, err
}
