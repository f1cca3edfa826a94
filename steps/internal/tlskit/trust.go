package tlskit

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
)

// SystemRoots is the value of [TrustInput.Trust] that stands for the operating
// system's roots.
const SystemRoots = "system"

// A TrustInput is the part of a spec that gives the trust of a proof.
type TrustInput struct {
	// Trust holds the only certificate authorities that are trusted: one or
	// more CA certificates in PEM, usually "${steps.root.certificate}".
	// "system" stands for the roots of the operating system.
	// One of trust, trustFile and trustFrom is required.
	Trust string `yaml:"trust"`

	// TrustFile is a PEM file with the trusted CA certificates, instead of trust.
	TrustFile engine.File `yaml:"trustFile" check:"exists"`

	// TrustFrom reads the trusted CA certificates from the cluster when the step
	// begins, instead of trust.
	TrustFrom *TrustSource `yaml:"trustFrom"`
}

// Validate reports the problems of the input.
func (t TrustInput) Validate(p *engine.Problems) {
	given := 0
	for _, is := range []bool{t.Trust != "", !t.TrustFile.IsZero(), t.TrustFrom != nil} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		p.AddProblem(engine.Problem{
			Field:   "trust",
			After:   []string{"trustFile", "trustFrom"},
			Message: "trust is missing: nothing is trusted unless the plan says so",
			Hint:    "give the root's certificate, such as ${steps.root.certificate}, a trustFile, or trustFrom with a Secret or a ConfigMap",
		})
	case given > 1 && t.TrustFrom != nil:
		p.Add("trustFrom", "trust, trustFile and trustFrom exclude each other")
	case given > 1:
		p.Add("trustFile", "trust and trustFile exclude each other")
	case t.TrustFrom != nil:
		t.TrustFrom.Validate(p, "trustFrom")
	case t.Trust != "":
		if _, err := ParseTrust(t.Trust); err != nil {
			p.Add("trust", "trust: %v", err)
		}
	default:
		if _, err := readTrust(t.TrustFile); err != nil {
			p.Add("trustFile", "%v", err)
		}
	}
}

// Described names the trust before it is read.
func (t TrustInput) Described() string {
	if t.TrustFrom != nil {
		return t.TrustFrom.String()
	}
	if trust, err := t.load(); err == nil {
		return trust.String()
	}
	return "the given trust"
}

// Load returns the trust that the input describes. Its errors are permanent, but for an
// object of trustFrom that is not there or not filled yet.
func (t TrustInput) Load(ctx context.Context, env *engine.Env) (*Trust, error) {
	if t.TrustFrom != nil {
		return t.TrustFrom.load(ctx, env)
	}
	trust, err := t.load()
	return trust, engine.Permanent(err)
}

func (t TrustInput) load() (*Trust, error) {
	if !t.TrustFile.IsZero() {
		return readTrust(t.TrustFile)
	}
	trust, err := ParseTrust(t.Trust)
	if err != nil {
		return nil, fmt.Errorf("trust: %w", err)
	}
	return trust, nil
}

func readTrust(f engine.File) (*Trust, error) {
	text, err := f.Read()
	if err != nil {
		return nil, err
	}
	trust, err := parseAnchors(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	return trust, nil
}

// A Trust is the set of certificate authorities that a connection is verified
// against. There is no Trust that trusts everything.
type Trust struct {
	anchors []*x509.Certificate
	pool    *x509.CertPool // nil for the system's roots
}

// ParseTrust reads CA certificates in PEM, or "system".
func ParseTrust(text string) (*Trust, error) {
	if strings.TrimSpace(text) == SystemRoots {
		return &Trust{}, nil
	}
	return parseAnchors([]byte(text))
}

func parseAnchors(text []byte) (*Trust, error) {
	anchors, err := certs.Parse(string(text))
	if err != nil {
		return nil, err
	}
	return NewTrust(anchors...)
}

// NewTrust trusts the given certificate authorities alone.
func NewTrust(anchors ...*x509.Certificate) (*Trust, error) {
	if len(anchors) == 0 {
		return nil, errors.New("no certificate to trust")
	}
	t := &Trust{anchors: anchors, pool: x509.NewCertPool()}
	for _, c := range anchors {
		if !c.IsCA {
			return nil, fmt.Errorf("%s is not a CA certificate: trust the root that issued it instead", certs.Subject(c))
		}
		t.pool.AddCert(c)
	}
	return t, nil
}

// String names the trusted subjects.
func (t *Trust) String() string {
	if t.pool == nil {
		return "the system's roots"
	}
	names := make([]string, len(t.anchors))
	for i, c := range t.anchors {
		names[i] = certs.Subject(c)
	}
	return strings.Join(names, ", ")
}

// Verify checks that a chain, leaf first, leads to the trust at the given time
// for a server called name, and returns the verified chain up to its anchor.
func (t *Trust) Verify(chain []*x509.Certificate, name string, at Clock) ([]*x509.Certificate, error) {
	if len(chain) == 0 {
		return nil, errors.New("no certificate to verify")
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	now := at.now()
	verified, err := chain[0].Verify(x509.VerifyOptions{
		Roots:         t.pool,
		Intermediates: intermediates,
		DNSName:       name,
		CurrentTime:   now,
	})
	if err != nil {
		return nil, newVerifyFailure(err, chain, name, t, now)
	}
	return verified[0], nil
}
