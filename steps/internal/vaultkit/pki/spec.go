package pki

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// A Spec is the part that the kinds of authorities share: a mount of the PKI
// engine, the authority in it, and how Vault is reached.
type Spec struct {
	// Vault is where Vault is, and the token to use. Usually given once, in the
	// plan's connections.
	Vault login.Connection `yaml:"vault"`
	// Mount is the path of the PKI engine, without slashes around it.
	Mount string `yaml:"mount" check:"required"`
	// Description of the mount. Without it, any will do.
	Description string `yaml:"description"`
	// MaxLeaseTTL is the longest lifetime that the mount gives to certificates.
	// The default is the authority's ttl; a mount that allows more is left alone
	// then.
	MaxLeaseTTL engine.Duration `yaml:"maxLeaseTTL"`
	// DefaultLeaseTTL is the lifetime of certificates that are asked for
	// without one. Without it, the mount keeps its own (768h in a new one).
	DefaultLeaseTTL engine.Duration `yaml:"defaultLeaseTTL"`
	// URLs where the authority's certificate and revocation list can be fetched.
	// They are written into certificates that it signs from then on.
	URLs      URLs `yaml:"urls"`
	Authority `yaml:",inline"`
	// IssuerName is the name of the authority in Vault and of its key. It
	// identifies the authority from one run to the next, so it must not change.
	// The default is root-PLAN or intermediate-PLAN, with the plan's name.
	IssuerName string `yaml:"issuerName"`
	// AllowWarnings lists parts of warnings of Vault that are expected. Any
	// other warning fails the step.
	AllowWarnings []string `yaml:"allowWarnings"`
}

// NewSpec returns the defaults for an authority of a lifetime in a mount.
func NewSpec(mount string, ttl time.Duration) Spec {
	return Spec{
		Vault: login.DefaultConnection(), Mount: mount,
		Authority: Authority{TTL: engine.Duration(ttl), KeyType: "rsa"},
	}
}

// Validate reports the problems of the shared inputs.
func (s *Spec) Validate(p *engine.Problems) {
	s.Vault.Validate(p, "vault")
	vaultkit.ValidatePath(p, "mount", s.Mount)
	vaultkit.ValidateName(p, "issuerName", "an issuer", s.IssuerName)
	s.URLs.Validate(p, "urls")
	s.Authority.Validate(p, "keyBits")
	if s.MaxLeaseTTL != 0 && s.MaxLeaseTTL < s.TTL {
		p.AddProblem(engine.Problem{
			Field:   "maxLeaseTTL",
			Message: fmt.Sprintf("%s is shorter than the ttl of %s: Vault would shorten the authority's life", s.MaxLeaseTTL, s.TTL),
			Hint:    "leave it out, or raise it to at least the ttl",
		})
	}
}

// ClaimsOf returns the claims on the mount and on the authority with a name,
// and more. A mount has one default issuer, so two steps with authorities of
// different names in one mount claim it differently.
func (s *Spec) ClaimsOf(name string, unknown []string, more ...engine.Claim) []engine.Claim {
	own := []engine.Claim{{Path: s.Mount + "/config/issuers/default", Want: name, Field: "issuerName"}}
	if engine.Known("subject", unknown) && engine.Known("ttl", unknown) {
		own = append(own, engine.Claim{Path: s.Mount + "/issuer/" + name, Want: s.Authority, Field: "commonName"})
	}
	return s.Vault.Claims("vault", unknown, slices.Concat(s.mount().Claims(), s.URLs.Claims(s.Mount), own, more))
}

// InspectMount compares the mount and its URLs with s. mounted reports whether
// the mount exists.
func (s *Spec) InspectMount(ctx context.Context, c *vaultkit.Client) (mounted bool, edits []engine.Edit, err error) {
	mounted, edits, err = s.mount().Inspect(ctx, c)
	if err != nil {
		return false, nil, err
	}
	urls, err := s.URLs.Inspect(ctx, c, s.Mount, mounted)
	return mounted, append(edits, urls...), err
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

// Allowed returns the warnings of Vault that are expected when it makes or signs
// the authority.
func (s *Spec) Allowed() []vaultkit.Allow {
	allow := vaultkit.AllowAll(s.AllowWarnings)
	if s.URLs.IsZero() {
		allow = append(allow, NoAddresses)
	}
	return allow
}

// ServerInTarget implements engine.ServerUser.
func (s *Spec) ServerInTarget() string { return s.Vault.InCluster() }

// VaultServer implements vaultkit.User.
func (s *Spec) VaultServer() vaultkit.Server { return s.Vault.Server }

// ServerID implements engine.ServerUser.
func (s *Spec) ServerID() string { return s.Vault.ID() }

// WritesToTarget implements engine.TargetWriter.
func (s *Spec) WritesToTarget(unknown []string) bool {
	return s.Vault.ThroughCluster("vault", unknown)
}

// Checks implements engine.Checker.
func (s *Spec) Checks(unknown []string) []engine.Check { return s.Vault.Checks("vault", unknown) }

// Permissions implements engine.PermissionNeeder.
func (s *Spec) Permissions(context.Context, *engine.Env, []string) (needed []engine.Permission, notKnown []string) {
	return s.Vault.Permissions(), nil
}
