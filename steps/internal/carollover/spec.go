package carollover

import (
	"context"
	"fmt"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/rollover"
)

// The defaults of Spec.
const (
	defaultParentMount = "pki"
	defaultParent      = "default"
	defaultWave        = 5
	defaultMaxWave     = 5 * time.Minute
)

// Spec is the intermediate that is replaced with trigger: intermediate.
//
// The login in vault, or token, needs list on MOUNT/issuers and MOUNT/keys; read
// and patch on MOUNT/issuer/+; update on MOUNT/intermediate/*, on
// MOUNT/config/issuers and on MOUNT/issuer/+/sign/ROLE; read on MOUNT/roles/ROLE;
// in the parent's mount read on PARENT/issuer/+ and update on
// PARENT/issuer/+/sign-intermediate. The login of a pkiIntermediate step covers most
// of it.
type Spec struct {
	// Mount is the path of the intermediate's PKI engine, such as pki_int.
	Mount string `yaml:"mount" check:"required"`

	// IssuerName is the intermediate's name there: the same as in the
	// pkiIntermediate step. The new intermediate takes it over, and the old one
	// is called after it and its serial number.
	IssuerName string `yaml:"issuerName" check:"required"`

	// Parent is the authority that signed the intermediate and signs the new one.
	Parent Parent `yaml:"parent"`

	// Token is used if vault has no login. It is not taken from the plan's
	// connections: most proofs need none.
	Token engine.Secret `yaml:"token"`

	// Role of the mount under which the certificates are signed. Its issuer must be
	// the mount's default (issuer_ref default).
	Role string `yaml:"role" check:"required"`

	// Certificates are other cert-manager Certificates that are issued anew
	// under the new intermediate, after the one that is measured has arrived.
	// Those that are not listed change when they are renewed: their certificates
	// stay valid.
	Certificates []certwatch.Ref `yaml:"certificates"`

	// Wave is how many of them are issued at a time. Default: 5.
	Wave int `yaml:"wave" check:"min=0,max=1000"`

	// MaxWave is how long all of them together may take. Default: 5m.
	MaxWave engine.Duration `yaml:"maxWave" check:"min=0s"`
}

// A Parent is an authority in the same Vault.
type Parent struct {
	// Mount is the path of the parent's PKI engine. Default: pki.
	Mount string `yaml:"mount"`

	// Issuer is its name or id there. Default: default.
	Issuer string `yaml:"issuer"`
}

func (i *Spec) place() rollover.Place {
	p := rollover.Place{Mount: i.Mount, Issuer: i.IssuerName, ParentMount: i.Parent.Mount, Parent: i.Parent.Issuer, Role: i.Role}
	if p.ParentMount == "" {
		p.ParentMount = defaultParentMount
	}
	if p.Parent == "" {
		p.Parent = defaultParent
	}
	return p
}

func (i *Spec) wave() int {
	if i.Wave > 0 {
		return i.Wave
	}
	return defaultWave
}

func (i *Spec) maxWave() time.Duration {
	if i.MaxWave > 0 {
		return i.MaxWave.Std()
	}
	return defaultMaxWave
}

// Changes declares the edits of the replacement; those of the other Certificates come
// later.
func (i *Spec) Changes() []engine.Edit { return i.place().Changes() }

// Validate adds the problems of the spec in the plan's field intermediate. measured
// is the Certificate whose renewal is measured, and login whether vault has one.
func (i *Spec) Validate(p *engine.Problems, measured certwatch.Ref, login bool) {
	place := i.place()
	vaultkit.ValidatePath(p, "intermediate.mount", place.Mount)
	vaultkit.ValidatePath(p, "intermediate.parent.mount", place.ParentMount)
	vaultkit.ValidateName(p, "intermediate.parent.issuer", "an issuer", place.Parent)
	vaultkit.ValidateName(p, "intermediate.issuerName", "an issuer", place.Issuer)
	vaultkit.ValidateName(p, "intermediate.role", "a role", place.Role)
	if !login && i.Token.IsZero() {
		p.AddProblem(engine.Problem{
			Field:   "intermediate",
			Message: "nothing lets this step in to Vault",
			Hint:    "set connections.vault.login, or intermediate.token",
		})
	}
	if place.Mount == place.ParentMount {
		p.Add("intermediate.mount", "is the parent's mount as well")
	}
	seen := map[certwatch.Ref]string{measured: "the certificate that is measured"}
	for n, ref := range i.Certificates {
		field := fmt.Sprintf("intermediate.certificates[%d]", n)
		if already, ok := seen[ref]; ok && ref != (certwatch.Ref{}) {
			p.Add(field, "%s is %s", ref, already)
		}
		seen[ref] = "there already, as " + field
	}
}

// Intent describes the replacement and its rules.
func (i *Spec) Intent() []string {
	p := i.place()
	lines := []string{
		fmt.Sprintf("make a new intermediate beside %s in %s, signed by %s/issuer/%s, and assert that either signs (role %s) and leads to the trusted root",
			p.Issuer, p.Mount, p.ParentMount, p.Parent, p.Role),
		fmt.Sprintf("make it the default issuer of %s; back to the old one if what follows fails", p.Mount),
	}
	if n := len(i.Certificates); n > 0 {
		lines = append(lines, fmt.Sprintf("have %s issued anew, %d at a time, within %s", others(n), i.wave(), engine.Duration(i.maxWave())))
	}
	return append(lines,
		fmt.Sprintf("let the new intermediate take the name %s, forbid the old one to sign certificates, and assert that it refuses", p.Issuer))
}

// others renders a number of certificates.
func others(n int) string {
	if n == 1 {
		return "one more certificate"
	}
	return fmt.Sprintf("%d more certificates", n)
}

// Look returns a function that reads the authorities of Vault.
func Look(env *engine.Env, vault login.Entrance, s *Spec) func(context.Context) (Authorities, error) {
	return func(ctx context.Context) (Authorities, error) {
		client, err := login.Connect(ctx, env, login.Connection{Server: vault.Server, Token: s.Token, Login: vault.Login})
		if err != nil {
			return nil, err
		}
		found, err := rollover.Look(ctx, client, s.place(), env.Now(), env.Apply)
		if err != nil {
			return nil, err
		}
		return vaultAuthorities{found}, nil
	}
}
