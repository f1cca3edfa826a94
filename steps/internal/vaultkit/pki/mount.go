package pki

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// URLs are the addresses that Vault writes into the certificates that a mount
// signs, so that others find its certificate and revocation lists (RFC 5280,
// sections 4.2.1.13 and 4.2.2.1). An empty list keeps Vault's.
type URLs struct {
	// IssuingCertificates are where the signer's certificate can be fetched:
	// "http://vault.vault.svc.cluster.local:8200/v1/pki/ca".
	IssuingCertificates []string `yaml:"issuingCertificates"`
	// CRLDistributionPoints are where the revocation list can be fetched:
	// "http://vault.vault.svc.cluster.local:8200/v1/pki/crl".
	CRLDistributionPoints []string `yaml:"crlDistributionPoints"`
	// OCSPServers answer about single certificates (RFC 6960):
	// "http://vault.vault.svc.cluster.local:8200/v1/pki/ocsp".
	OCSPServers []string `yaml:"ocspServers"`
}

// IsZero reports whether no address is given.
func (u URLs) IsZero() bool {
	return len(u.IssuingCertificates)+len(u.CRLDistributionPoints)+len(u.OCSPServers) == 0
}

// Validate reports texts that are no URLs; field is the path of the input.
func (u URLs) Validate(p *engine.Problems, field string) {
	for _, list := range []part{
		{"issuingCertificates", u.IssuingCertificates},
		{"crlDistributionPoints", u.CRLDistributionPoints},
		{"ocspServers", u.OCSPServers},
	} {
		for i, one := range list.values {
			if x, err := url.Parse(one); err != nil || x.Scheme == "" || x.Host == "" {
				p.Add(fmt.Sprintf("%s.%s[%d]", field, list.name, i), "%q is not a URL", one)
			}
		}
	}
}

func (u URLs) fields() []vaultkit.Field {
	var out []vaultkit.Field
	for _, f := range []vaultkit.Field{
		{Name: "issuing_certificates", Want: u.IssuingCertificates},
		{Name: "crl_distribution_points", Want: u.CRLDistributionPoints},
		{Name: "ocsp_servers", Want: u.OCSPServers},
	} {
		if len(f.Want.([]string)) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// Claims are the addresses that a plan gives for a mount.
func (u URLs) Claims(mount string) []engine.Claim {
	var out []engine.Claim
	for _, f := range u.fields() {
		out = append(out, engine.Claim{Path: mount + "/config/urls/" + f.Name, Want: f.Want, Field: "urls"})
	}
	return out
}

// NoAddresses is the warning of generating an authority in a mount without URLs.
// It is expected when a plan gives none.
const NoAddresses vaultkit.Allow = "hasn't configured any authority information access"

// Inspect compares the addresses of a mount; mounted reports whether it exists.
func (u URLs) Inspect(ctx context.Context, c *vaultkit.Client, mount string, mounted bool) ([]engine.Edit, error) {
	if u.IsZero() {
		return nil, nil
	}
	path := mount + "/config/urls"
	have, err := c.ReadIf(ctx, mounted, path)
	if err != nil {
		return nil, err
	}
	fields := u.fields()
	// The write merges: lists that the plan leaves out stay.
	return vaultkit.Object(path, have, fields, func(ctx context.Context) error {
		return c.Put(ctx, path, vaultkit.Data(fields))
	}), nil
}

// SetDefault returns the edit that makes the issuer with the given name the
// default of its mount; have is the present default, nil for none.
func SetDefault(c *vaultkit.Client, mount string, have any, name string) engine.Edit {
	path := mount + "/config/issuers"
	return engine.Edit{
		Path: path + "/default",
		Have: have,
		Want: name,
		Apply: func(ctx context.Context) error {
			return c.Put(ctx, path, map[string]any{"default": name})
		},
	}
}

// Rename returns the edit that gives an issuer a name. The other settings of the
// issuer stay as they are.
func Rename(c *vaultkit.Client, mount string, i *Issuer, to, note string) engine.Edit {
	path := mount + "/issuer/" + i.ID
	return engine.Edit{
		Path: path + "/issuer_name",
		Have: i.Name,
		Want: to,
		Note: note,
		Apply: func(ctx context.Context) error {
			return c.Patch(ctx, path, map[string]any{"issuer_name": to})
		},
	}
}

// RetiredName is the name that an authority called name gets when another one
// takes its own. Retired ones differ by their serial numbers.
func RetiredName(name string, c *x509.Certificate) string {
	serial := strings.ReplaceAll(certs.Serial(c), ":", "")
	serial = strings.Repeat("0", max(0, 8-len(serial))) + serial // one made by hand may be 1
	return name + "-" + serial[:8]
}

var serialPart = regexp.MustCompile(`^-[0-9a-f]{8}$`)

// Retired reports whether issuer is a RetiredName of name.
func Retired(name, issuer string) bool {
	rest, ok := strings.CutPrefix(issuer, name)
	return ok && serialPart.MatchString(rest)
}
