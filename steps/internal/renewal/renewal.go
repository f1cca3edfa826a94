// Package renewal judges the certificate that cert-manager issued in place of another: by
// the Certificate, by the plan and by the old one, whatever any server shows.
package renewal

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// skew is how much longer or shorter a certificate may live than planned: issuers date
// notBefore back (Vault by not_before_duration, 30 s by default) so that clocks may differ.
const skew = 30 * time.Second

// An Issued is the Certificate and its Secret before or after a renewal.
type Issued struct {
	Certificate *certwatch.Certificate
	Secret      *certwatch.Bundle
}

// A Renewal is a new certificate beside the old one.
type Renewal struct {
	Before, After Issued
	Leaf          *x509.Certificate // the new one
	Trust         *tlskit.Trust     // that its chain must lead to
	Server        string            // the host name that clients verify
	NewKey        *bool             // whether the plan wants another key; nil leaves it to the Certificate
	At            time.Time         // of the judgement
}

// Findings returns the finding of each rule.
func (r Renewal) Findings() []engine.Finding {
	return []engine.Finding{
		r.serial(), r.notBefore(), r.CheckKey(), r.revision(), r.keyMatches(), r.trust(), r.names(), r.issuer(), r.lifetime(),
	}
}

// serial: no certificate is served under the number of the old one.
func (r Renewal) serial() engine.Finding {
	before, after := certs.Serial(r.Before.Secret.Leaf()), certs.Serial(r.Leaf)
	return engine.Finding{Rule: "the serial number is new", Holds: before != after, Have: after, Want: "another than " + before}
}

// notBefore: the certificate was made later than the old one.
func (r Renewal) notBefore() engine.Finding {
	before, after := r.Before.Secret.Leaf().NotBefore, r.Leaf.NotBefore
	return engine.Finding{Rule: "notBefore is later", Holds: after.After(before), Have: certs.Stamp(after), Want: "later than " + certs.Stamp(before)}
}

// CheckKey finds whether the private key changed, or stayed, as the plan or the
// Certificate's rotation policy demands.
func (r Renewal) CheckKey() engine.Finding {
	before, after := certs.KeyDigest(r.Before.Secret.Leaf()), certs.KeyDigest(r.Leaf)
	policy := r.After.Certificate.Spec.PrivateKey.RotationPolicy
	want, why := r.WantsNewKey(), "rotationPolicy is "+policy
	if policy == "" {
		why = "rotationPolicy is not set: Always is the default since cert-manager v1.18, Never before; set it"
	}
	if r.NewKey != nil {
		why = "the plan says so (newKey)"
	}
	f := engine.Finding{Rule: "the private key is new", Holds: before != after, Have: "public key " + after, Want: "another than " + before, Detail: why}
	if !want {
		f.Rule, f.Holds, f.Want = "the private key is kept", before == after, before
	}
	return f
}

// WantsNewKey reports whether the private key must change.
func (r Renewal) WantsNewKey() bool {
	if r.NewKey != nil {
		return *r.NewKey
	}
	return r.After.Certificate.Spec.PrivateKey.RotationPolicy != "Never"
}

// revision: the Certificate counts the issuance.
func (r Renewal) revision() engine.Finding {
	before, after := r.Before.Certificate.Status.Revision, r.After.Certificate.Status.Revision
	return engine.Finding{Rule: "the revision is higher", Holds: after > before, Have: after, Want: fmt.Sprintf("more than %d", before)}
}

// keyMatches: the Secret holds the private key of its certificate.
func (r Renewal) keyMatches() engine.Finding {
	f := engine.Finding{Rule: "the private key in the Secret belongs to the certificate", Holds: true}
	if p := r.After.Secret.KeyProblem; p != "" {
		f.Holds, f.Detail = false, p
	}
	return f
}

// trust: the chain in the Secret leads to the plan's root.
func (r Renewal) trust() engine.Finding {
	f := engine.Finding{Rule: "the certificate in the Secret leads to " + r.Trust.String(), Want: r.Trust.String()}
	chain, err := r.Trust.Verify(r.After.Secret.Chain, r.Server, func() time.Time { return r.At })
	if err != nil {
		f.Detail = err.Error()
		return f
	}
	f.Holds, f.Have = true, certs.Subject(chain[len(chain)-1])
	f.Detail = fmt.Sprintf("%d certificates in the chain", len(chain))
	return f
}

// names: the certificate has the names of the Certificate, no fewer and no more.
func (r Renewal) names() engine.Finding {
	spec := r.After.Certificate.Spec
	want := sorted(slices.Concat(spec.DNSNames, spec.IPAddresses, spec.EmailAddresses, spec.URIs))
	have := sorted(certs.Names(r.Leaf))
	f := engine.Finding{Rule: "the names are those of the Certificate", Have: strings.Join(have, ", "), Want: strings.Join(want, ", ")}
	f.Holds = slices.Equal(have, want)
	if cn := r.Leaf.Subject.CommonName; spec.CommonName != "" && cn != spec.CommonName {
		f.Holds, f.Detail = false, fmt.Sprintf("the common name is %q instead of %q", cn, spec.CommonName)
	}
	return f
}

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// issuer: the issuer that the Certificate names signed it.
func (r Renewal) issuer() engine.Finding {
	ref, by := r.After.Certificate.Spec.IssuerRef, r.After.Secret.Metadata.Annotations
	want := cmp.Or(ref.Kind, "Issuer") + " " + ref.Name
	have := cmp.Or(by[certwatch.AnnotationIssuerKind], "Issuer") + " " + by[certwatch.AnnotationIssuerName]
	return engine.Finding{Rule: "the issuer is the one of the Certificate", Holds: have == want, Have: have, Want: want,
		Detail: "signed by " + r.Leaf.Issuer.String()}
}

// lifetime: the certificate does not live longer than planned.
func (r Renewal) lifetime() engine.Finding {
	planned, have := r.After.Certificate.Lifetime(), r.Leaf.NotAfter.Sub(r.Leaf.NotBefore)
	f := engine.Finding{
		Rule: "the lifetime is at most the planned one", Holds: have <= planned+skew,
		Have: engine.Duration(have).String(), Want: engine.Duration(planned).String(),
	}
	if have < planned-skew {
		f.Detail = "shorter than planned: the issuer's role or mount limits it, and renewBefore counts from its end"
	}
	return f
}
