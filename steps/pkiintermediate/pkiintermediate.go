// Package pkiintermediate makes an intermediate certificate authority in Vault,
// signed by another mount's authority, and the roles that sign under it.
//
// # Reads
//
// The PKI mount with its tuning and URLs, its issuers, its keys without a
// certificate, the parent, and the roles. The intermediate is the issuer that
// has the plan's issuer name, has its key in the mount, matches the
// plan, is signed by the parent as it is now, and does not expire within
// renewBefore.
//
// # Changes, in this order
//
//   - mounts the engine, with lease times long enough;
//   - sets the URLs, before the first leaf is signed;
//   - makes the intermediate: a key inside Vault, a request for it, the parent's
//     signature, the import of certificate and chain. Every part is found again
//     after an interruption: a key without a certificate is used, not joined by
//     another, and an imported certificate only gets its name;
//   - when the old one no longer serves, lets it keep its certificate and gives
//     its name to the new one; its certificates stay valid to their end;
//   - makes the intermediate the mount's default issuer, which importing a
//     second one does not;
//   - writes the roles. A role belongs to the plan: it is compared and written
//     whole, and fields that the plan does not mention get Vault's default.
//
// The chain is imported with the certificate. Without it Vault would hand out
// the intermediate alone, and cert-manager would take it for the root
// (cert-manager writes the topmost certificate that it gets as ca.crt).
//
// # An external parent
//
// With parent.external the first run makes the key inside Vault, writes the request to
// csrFile, and ends awaiting the signature: exit code 2, no failure. Steps that need this one
// wait; others go on. Have the parent sign the request as an authority (CA:TRUE, keyCertSign
// and cRLSign), put the certificate at certificateFile, the intermediate first and then, if
// there are any, the authorities between it and the root, and run again. That run checks the
// certificate before it writes anything, imports it with its chain and goes on.
//
// A run that was cut off goes on with the same key, and the request file is never
// overwritten while it may still be signed. Before the end of the intermediate's life
// (renewBefore) a run writes a request for a new key. The old intermediate serves until the
// new certificate is there, and the plan goes on with it, awaiting the signature.
// The signer decides about the lifetime: ttl only counts for the mount's maxLeaseTTL.
//
// # Refuses
//
//   - Something other than a PKI engine at the path.
//   - A parent that is missing, that is not the certificate that the plan names, or
//     that cannot sign.
//   - An intermediate whose key alone is not in Vault, until the key is imported or
//     the certificate removed.
//   - A certificate of an external parent that does not fit the request or the plan, with
//     all that is wrong about it, and a request file that is another key's.
//   - Warnings of Vault, such as a lifetime that it shortened, unless allowWarnings
//     lists them.
package pkiintermediate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
)

// The defaults of a parent in the same Vault.
const (
	parentMount  = "pki"
	parentIssuer = "default"
)

// Kind is pkiIntermediate.
var Kind = engine.NewKind("pkiIntermediate", engine.DefaultPolicy(), func() *Spec {
	return &Spec{
		Parent:      Parent{Mount: parentMount, Issuer: parentIssuer},
		Spec:        pki.NewSpec("pki_int", 43800*time.Hour),
		RenewBefore: engine.Duration(720 * time.Hour),
	}
})

// Spec is the intermediate that a plan wants.
type Spec struct {
	// Parent is the authority that signs the intermediate.
	Parent   Parent `yaml:"parent"`
	pki.Spec `yaml:",inline"`
	// RenewBefore is how long before its end the intermediate is replaced by a
	// new one with a new key. It must be longer than the longest certificate
	// that the roles sign.
	RenewBefore engine.Duration `yaml:"renewBefore"`
	// MaxPathLength is how many authorities may follow below the intermediate
	// (RFC 5280, section 4.2.1.9); 0 lets it sign leaf certificates only.
	// Without it, the certificate has no such limit of its own.
	MaxPathLength *int `yaml:"maxPathLength"`
	// Roles sign certificates under the intermediate. Roles in Vault that
	// are not listed are left alone.
	Roles []Role `yaml:"roles"`
}

// A Parent is the authority that signs an intermediate: one in the same Vault, or an
// external one.
type Parent struct {
	// Mount is the path of the parent's PKI engine.
	Mount string `yaml:"mount" check:"required"`
	// Issuer is the name or id of the parent in its mount.
	Issuer string `yaml:"issuer" check:"required"`
	// Certificate, in PEM form, is the expected certificate of the parent: usually
	// "${steps.root.certificate}". Without it, the parent is taken as it is.
	Certificate string `yaml:"certificate"`
	// External is a parent outside of this Vault, such as an offline root, instead of
	// mount and issuer.
	External *External `yaml:"external"`
}

// Outputs describe the intermediate. They are public.
type Outputs struct {
	// Certificate of the intermediate in PEM form.
	Certificate string `yaml:"certificate"`
	// Chain in PEM form: the intermediate first, the root last.
	Chain string `yaml:"chain"`
	// IssuerID is Vault's id of the intermediate.
	IssuerID string `yaml:"issuerId"`
	// IssuerName is the intermediate's name in Vault.
	IssuerName string `yaml:"issuerName"`
	// Serial number in hexadecimal, as Vault writes it: "4a:e7:…".
	Serial string `yaml:"serial"`
	// NotAfter is the end of the intermediate's life (RFC 3339).
	NotAfter string `yaml:"notAfter"`
	// Fingerprint is the SHA-256 of the certificate in hexadecimal.
	Fingerprint string `yaml:"fingerprint"`
	// Mount is the path of the PKI engine.
	Mount string `yaml:"mount"`
	// Roles are the names of the plan's roles.
	Roles []string `yaml:"roles"`
}

// Validate checks the inputs beyond their types and tags.
func (s *Spec) Validate(p *engine.Problems) {
	s.Spec.Validate(p)
	s.validateParent(p)
	if s.MaxPathLength != nil && *s.MaxPathLength < 0 {
		p.Add("maxPathLength", "%d is negative", *s.MaxPathLength)
	}
	if s.RenewBefore >= s.TTL {
		p.Add("renewBefore", "%s is not shorter than the ttl of %s: the intermediate would be replaced in every run", s.RenewBefore, s.TTL)
	}
	seen := make(map[string]int)
	for i, r := range s.Roles {
		field := fmt.Sprintf("roles[%d]", i)
		r.validate(p, field)
		if first, again := seen[r.Name]; again && r.Name != "" {
			p.Add(field+".name", "%q is already the name of roles[%d]", r.Name, first)
		}
		seen[r.Name] = i
		if r.MaxTTL > s.RenewBefore {
			p.AddProblem(engine.Problem{
				Field:   field + ".maxTTL",
				Message: fmt.Sprintf("%s is longer than renewBefore, %s: near its end the intermediate could not sign that", r.MaxTTL, s.RenewBefore),
				Hint:    "raise renewBefore, or lower maxTTL",
			})
		}
	}
}

func (s *Spec) validateParent(p *engine.Problems) {
	if s.Parent.External != nil {
		if other := (Parent{Mount: parentMount, Issuer: parentIssuer, External: s.Parent.External}); s.Parent != other {
			p.AddProblem(engine.Problem{
				Field:   "parent",
				Message: "external excludes mount, issuer and certificate, which are for a parent in this Vault",
				Hint:    "leave these out, or external",
			})
		}
		s.Parent.External.validate(p)
		return
	}
	vaultkit.ValidatePath(p, "parent.mount", s.Parent.Mount)
	vaultkit.ValidateName(p, "parent.issuer", "an issuer", s.Parent.Issuer)
	if s.Parent.Certificate != "" {
		if _, err := certs.ParseOne(s.Parent.Certificate); err != nil {
			p.Add("parent.certificate", "%v", err)
		}
	}
	if s.Mount == s.Parent.Mount {
		p.AddProblem(engine.Problem{
			Field:   "mount",
			Message: "is the parent's mount as well",
			Hint:    "give the intermediate a mount of its own, such as pki_int: access is granted by mount",
		})
	}
}

// issuerName is the intermediate's identity in its mount.
func (s *Spec) issuerName(plan string) string { return cmp.Or(s.IssuerName, "intermediate-"+plan) }

// Foresee implements engine.Foreseer.
func (s *Spec) Foresee(plan string, unknown []string) any { return s.names(plan, unknown) }

// names returns the outputs that are names.
func (s *Spec) names(plan string, unknown []string) Outputs {
	out := Outputs{Mount: s.Mount, Roles: []string{}}
	if engine.Known("issuerName", unknown) {
		out.IssuerName = s.issuerName(plan)
	}
	for _, r := range s.Roles {
		out.Roles = append(out.Roles, r.Name)
	}
	if slices.Contains(out.Roles, "") { // one is not known, so the list is not
		out.Roles = nil
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
	a := &authority{Spec: s, client: c, name: s.issuerName(env.Plan), now: env.Now()}
	if err := a.look(ctx, mounted); err != nil {
		return out, nil, err
	}
	roles, err := s.inspectRoles(ctx, c, mounted)
	if err != nil {
		return out, nil, err
	}
	if now := a.serving(); now != nil {
		out.describe(now)
	}
	return out, slices.Concat(edits, a.edits(), roles), nil
}

func (o *Outputs) describe(i *pki.Issuer) {
	o.Certificate = i.PEM
	o.Chain = certs.Encode(i.Chain...)
	o.IssuerID = i.ID
	o.Serial = certs.Serial(i.Certificate)
	o.NotAfter = i.Certificate.NotAfter.UTC().Format(time.RFC3339)
	o.Fingerprint = certs.Fingerprint(i.Certificate)
}
