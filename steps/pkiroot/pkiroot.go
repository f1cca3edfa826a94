// Package pkiroot makes a root certificate authority in Vault.
//
// # What it looks at
//
// The PKI mount with its tuning and URLs, and the issuers in it. The root's
// identity is its issuer name: without one, Vault makes another root, with
// another key, each time it is asked, and says nothing about it.
//
// # What it changes, in this order
//
//   - mounts the engine, with lease times long enough for the root (a root in a
//     mount with the system's limits lives 32 days);
//   - sets the URLs, before the root, since they are written into what it signs;
//   - generates the root inside Vault; its key never leaves it. A key of that
//     name without a certificate, as an interrupted run leaves it, is used;
//   - or gives its issuer name to the root with the plan's common name that a
//     person made by hand;
//   - makes the root the mount's default issuer.
//
// # What it refuses
//
// A root is what everything else trusts, so it is never replaced and never gets
// a second one beside it. These end the step with the reason: another root in
// a mount that lacks the plan's; a root with the wanted name that has another
// common name, key, subject or lifetime than the plan says; one that has
// expired; a certificate with the plan's common name whose key is not in Vault,
// until the key is imported; something other than a PKI engine at the path. A foreign root beside the plan's is left alone, with a warning.
//
// Warnings of Vault are errors, because they tell that it did something else
// than it was asked to. allowWarnings lists exceptions.
package pkiroot

import (
	"context"
	"fmt"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
)

// Kind is pkiRoot.
var Kind = engine.NewKind("pkiRoot", engine.DefaultPolicy(), func() *Spec {
	return &Spec{
		Vault:   vaultkit.DefaultConnection(),
		Mount:   "pki",
		TTL:     engine.Duration(87600 * time.Hour),
		KeyType: "rsa",
	}
})

// Spec is the root that a plan wants.
type Spec struct {
	// Vault is where Vault is, and the token to use. Usually given once, in the
	// plan's connections.
	Vault vaultkit.Connection `yaml:"vault"`
	// Mount is the path of the PKI engine, without slashes around it.
	Mount string `yaml:"mount" check:"required"`
	// Description of the mount. Without it, any will do.
	Description string `yaml:"description"`
	// MaxLeaseTTL is the longest lifetime that the mount gives to certificates.
	// The default is the root's ttl; a mount that allows more is left alone then.
	MaxLeaseTTL engine.Duration `yaml:"maxLeaseTTL"`
	// DefaultLeaseTTL is the lifetime of certificates that are asked for
	// without one. Without it, the mount keeps what it has (768h in a new one).
	DefaultLeaseTTL engine.Duration `yaml:"defaultLeaseTTL"`
	// URLs where the root's certificate and revocation list can be fetched.
	// They are written into what the root signs from then on.
	URLs pki.URLs `yaml:"urls"`
	// CommonName (CN) of the root: "Root CA Lab".
	CommonName string `yaml:"commonName" check:"required"`
	// Subject holds further parts of the root's name.
	Subject pki.Subject `yaml:"subject"`
	// TTL is the lifetime of the root.
	TTL engine.Duration `yaml:"ttl"`
	// KeyType is the algorithm of the root's key.
	KeyType string `yaml:"keyType" check:"oneof=rsa|ec|ed25519"`
	// KeyBits is the size of the key: 2048, 3072, 4096 or 8192 for rsa, 224,
	// 256, 384 or 521 for ec. The default is Vault's: 2048 for rsa, 256 for ec.
	KeyBits int `yaml:"keyBits"`
	// IssuerName is the name of the root in Vault and of its key. It identifies
	// the root, so it must not change afterwards. The default is root-PLAN, with
	// the plan's name.
	IssuerName string `yaml:"issuerName"`
	// AllowWarnings lists parts of warnings of Vault that are expected. Any
	// other warning fails the step.
	AllowWarnings []string `yaml:"allowWarnings"`
}

// Outputs describe the root. They are public.
type Outputs struct {
	// Certificate of the root in PEM form: what everything else trusts.
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

// Validate checks what types and tags cannot say.
func (s *Spec) Validate(p *engine.Problems) {
	s.Vault.Validate(p, "vault")
	vaultkit.ValidatePath(p, "mount", s.Mount)
	vaultkit.ValidateName(p, "issuerName", "an issuer", s.IssuerName)
	s.URLs.Validate(p, "urls")
	s.authority().Validate(p, "keyBits")
	if s.TTL < engine.Duration(time.Hour) {
		p.Add("ttl", "%s is too short for a root", s.TTL)
	}
	if s.MaxLeaseTTL != 0 && s.MaxLeaseTTL < s.TTL {
		p.AddProblem(engine.Problem{
			Field:   "maxLeaseTTL",
			Message: fmt.Sprintf("%s is shorter than the root's ttl of %s: Vault would cut the root's life", s.MaxLeaseTTL, s.TTL),
			Hint:    "leave it out, or raise it to at least the ttl",
		})
	}
}

func (s *Spec) authority() pki.Authority {
	return pki.Authority{CommonName: s.CommonName, Subject: s.Subject, TTL: s.TTL, KeyType: s.KeyType, KeyBits: s.KeyBits}
}

// issuerName is the root's identity in its mount.
func (s *Spec) issuerName(env *engine.Env) string {
	if s.IssuerName != "" {
		return s.IssuerName
	}
	return "root-" + env.Plan
}

// Inspect compares Vault with s.
func (s *Spec) Inspect(ctx context.Context, env *engine.Env) (Outputs, []engine.Edit, error) {
	out := Outputs{Mount: s.Mount, IssuerName: s.issuerName(env)}
	c, err := vaultkit.Connect(ctx, env, s.Vault)
	if err != nil {
		return out, nil, err
	}
	mounted, edits, err := s.mount().Inspect(ctx, c)
	if err != nil {
		return out, nil, err
	}
	urls, err := s.URLs.Inspect(ctx, c, s.Mount, mounted)
	if err != nil {
		return out, nil, err
	}
	edits = append(edits, urls...)

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

func (s *Spec) mount() vaultkit.Mount {
	m := vaultkit.Mount{
		Table: vaultkit.Secrets, Path: s.Mount, Type: "pki", Description: s.Description,
		MaxLeaseTTL: s.MaxLeaseTTL, DefaultLeaseTTL: s.DefaultLeaseTTL,
	}
	if m.MaxLeaseTTL == 0 {
		m.MaxLeaseTTL, m.AtLeast = s.TTL, true
	}
	return m
}

func (o *Outputs) describe(root *pki.Issuer) {
	o.Certificate = root.PEM
	o.IssuerID = root.ID
	o.Serial = certs.Serial(root.Certificate)
	o.NotAfter = root.Certificate.NotAfter.UTC().Format(time.RFC3339)
	o.Fingerprint = certs.Fingerprint(root.Certificate)
}
