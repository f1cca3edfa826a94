// Package pkiroot makes a root certificate authority in Vault.
//
// # Reads
//
// The PKI mount with its tuning and URLs, and the issuers in it. The root's
// identity is its issuer name: without one, Vault makes another root, with
// another key, at each request, and gives no warning.
//
// # Changes, in this order
//
//   - mounts the engine, with lease times long enough for the root (a root in a
//     mount with the system's limits lives 32 days);
//   - sets the URLs, before the root, since they are written into its certificates;
//   - generates the root inside Vault; its key never leaves it. A key of that
//     name without a certificate, as an interrupted run leaves it, is used;
//   - or gives its issuer name to a root with the plan's common name that was made
//     by hand;
//   - makes the root the mount's default issuer.
//
// # Refuses
//
// Everything else trusts the root, so the step never replaces it and never makes a
// second one beside it. It fails on:
//
//   - another root in a mount that lacks the plan's;
//   - a root of the plan's name that has another common name, key, subject or
//     lifetime than in the plan, or that has expired;
//   - a certificate with the plan's common name whose key is not in Vault, until the
//     key is imported;
//   - something other than a PKI engine at the path.
//
// A foreign root beside the plan's stays, with a warning.
//
// A warning of Vault is an error, because Vault then did something else than it was
// asked to. allowWarnings lists exceptions.
package pkiroot

import (
	"cmp"
	"context"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
)

// Kind is pkiRoot.
var Kind = engine.NewKind("pkiRoot", engine.DefaultPolicy(), func() *Spec {
	return &Spec{pki.NewSpec("pki", 87600*time.Hour)}
})

// Spec is the root that a plan wants.
type Spec struct {
	pki.Spec `yaml:",inline"`
}

// Outputs describe the root. They are public.
type Outputs struct {
	// Certificate of the root in PEM form: the trust of everything else.
	Certificate string `yaml:"certificate"`
	// IssuerID is Vault's id of the root.
	IssuerID string `yaml:"issuerId"`
	// IssuerName is the root's name in Vault.
	IssuerName string `yaml:"issuerName"`
	// Serial number in hexadecimal, as Vault writes it: "4a:e7:…".
	Serial string `yaml:"serial"`
	// NotAfter is the end of the root's life (RFC 3339).
	NotAfter string `yaml:"notAfter"`
	// Fingerprint is the SHA-256 of the certificate in hexadecimal.
	Fingerprint string `yaml:"fingerprint"`
	// Mount is the path of the PKI engine.
	Mount string `yaml:"mount"`
}

// Validate checks the inputs beyond their types and tags.
func (s *Spec) Validate(p *engine.Problems) {
	s.Spec.Validate(p)
	if s.TTL < engine.Duration(time.Hour) {
		p.Add("ttl", "%s is too short for a root", s.TTL)
	}
}

// Claims implements engine.Claimer.
func (s *Spec) Claims(plan string, unknown []string) []engine.Claim {
	return s.ClaimsOf(s.issuerName(plan), unknown)
}

// Owns implements engine.Owner: all that is in the mount.
func (s *Spec) Owns([]string) func(path string) bool {
	if s.Mount == "" {
		return nil
	}
	return func(path string) bool { return vaultkit.Secrets.Holds(s.Mount, path) }
}

// issuerName is the root's identity in its mount.
func (s *Spec) issuerName(plan string) string { return cmp.Or(s.IssuerName, "root-"+plan) }

// Foresee implements engine.Foreseer.
func (s *Spec) Foresee(plan string, unknown []string) any { return s.names(plan, unknown) }

// names returns the outputs that are names.
func (s *Spec) names(plan string, unknown []string) Outputs {
	out := Outputs{Mount: s.Mount}
	if engine.Known("issuerName", unknown) {
		out.IssuerName = s.issuerName(plan)
	}
	return out
}

// Inspect compares Vault with s.
func (s *Spec) Inspect(ctx context.Context, env *engine.Env) (Outputs, []engine.Edit, error) {
	out := s.names(env.Plan, nil)
	c, err := login.Connect(ctx, env, s.Vault)
	if err != nil {
		return out, nil, err
	}
	mounted, edits, err := s.InspectMount(ctx, c)
	if err != nil {
		return out, nil, err
	}
	var issuers []*pki.Issuer
	if mounted {
		if issuers, err = pki.Issuers(ctx, c, s.Mount); err != nil {
			return out, nil, err
		}
	}
	root, more, err := s.inspectRoot(ctx, env, c, mounted, issuers)
	if err != nil {
		return out, nil, err
	}
	if root != nil {
		out.describe(root)
	}
	return out, append(edits, more...), nil
}

func (o *Outputs) describe(root *pki.Issuer) {
	o.Certificate = root.PEM
	o.IssuerID = root.ID
	o.Serial = certs.Serial(root.Certificate)
	o.NotAfter = root.Certificate.NotAfter.UTC().Format(time.RFC3339)
	o.Fingerprint = certs.Fingerprint(root.Certificate)
}
