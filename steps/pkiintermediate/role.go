package pkiintermediate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// A Role bounds the certificates that Vault signs for its users. The role
// belongs to the plan: fields that are not given have Vault's defaults, and a
// change made elsewhere is a difference.
type Role struct {
	// Name of the role; cert-manager uses it in spec.vault.path,
	// "MOUNT/sign/NAME".
	Name string `yaml:"name" check:"required"`
	// AllowedDomains are the domains that certificates may be for.
	AllowedDomains []string `yaml:"allowedDomains"`
	// AllowSubdomains allows names below the domains, wildcards included.
	AllowSubdomains bool `yaml:"allowSubdomains"`
	// AllowBareDomains allows the domains themselves.
	AllowBareDomains bool `yaml:"allowBareDomains"`
	// AllowGlobDomains allows patterns with * in allowedDomains.
	AllowGlobDomains bool `yaml:"allowGlobDomains"`
	// AllowWildcardCertificates allows names that begin with "*.". The default
	// is true, as in Vault.
	AllowWildcardCertificates *bool `yaml:"allowWildcardCertificates"`
	// RequireCN refuses requests without a common name. The default is true, as
	// in Vault; cert-manager leaves the common name out unless a Certificate
	// gives one.
	RequireCN *bool `yaml:"requireCN"`
	// MaxTTL is the longest lifetime that can be asked for. Vault cuts longer ones,
	// and cert-manager gets no warning. Without it, the mount's counts.
	MaxTTL engine.Duration `yaml:"maxTTL"`
	// TTL is the lifetime of certificates that are asked for without one.
	// Without it, the mount's counts.
	TTL engine.Duration `yaml:"ttl"`
	// KeyType is the type of the keys that may be certified: rsa, ec, ed25519 or any. The
	// default is rsa, as in Vault: it refuses an ECDSA key then.
	KeyType string `yaml:"keyType" check:"oneof=rsa|ec|ed25519|any"`
	// KeyBits is the size of the keys, and for any or 0 Vault's default.
	KeyBits int `yaml:"keyBits"`
	// NoStore keeps Vault from storing each certificate. With short lifetimes
	// that is a lot of certificates; those that are not stored cannot be revoked
	// by serial number.
	NoStore bool `yaml:"noStore"`
	// ServerFlag adds server authentication to the certificates' uses. The
	// default is true, as in Vault.
	ServerFlag *bool `yaml:"serverFlag"`
	// ClientFlag adds client authentication to the certificates' uses. The
	// default is true, as in Vault.
	ClientFlag *bool `yaml:"clientFlag"`
	// Extra holds further fields under Vault's own names:
	// "not_before_duration: 30s". A text for a field that holds a list is split
	// at its commas, as Vault does: "key_usage: DigitalSignature,KeyAgreement".
	Extra map[string]any `yaml:"extra"`
}

// defaults are those of a role in Vault 1.15 and later
// (hashicorp/vault:builtin/logical/pki/path_roles.go). A server that does not
// report a field is not asked for it.
var defaults = map[string]any{
	"allow_any_name":                     false,
	"allow_bare_domains":                 false,
	"allow_glob_domains":                 false,
	"allow_ip_sans":                      true,
	"allow_localhost":                    true,
	"allow_subdomains":                   false,
	"allow_wildcard_certificates":        true,
	"allowed_domains":                    []string(nil),
	"allowed_domains_template":           false,
	"allowed_other_sans":                 []string(nil),
	"allowed_serial_numbers":             []string(nil),
	"allowed_uri_sans":                   []string(nil),
	"allowed_uri_sans_template":          false,
	"allowed_user_ids":                   []string(nil),
	"basic_constraints_valid_for_non_ca": false,
	"client_flag":                        true,
	"cn_validations":                     []string{"email", "hostname"},
	"code_signing_flag":                  false,
	"country":                            []string(nil),
	"email_protection_flag":              false,
	"enforce_hostnames":                  true,
	"ext_key_usage":                      []string(nil),
	"ext_key_usage_oids":                 []string(nil),
	"generate_lease":                     false,
	"issuer_ref":                         "default",
	"key_bits":                           0,
	"key_type":                           "rsa",
	"key_usage":                          []string{"DigitalSignature", "KeyAgreement", "KeyEncipherment"},
	"locality":                           []string(nil),
	"max_ttl":                            engine.Duration(0),
	"no_store":                           false,
	"not_after":                          "",
	"not_before_duration":                engine.Duration(30 * time.Second),
	"organization":                       []string(nil),
	"ou":                                 []string(nil),
	"policy_identifiers":                 []string(nil),
	"postal_code":                        []string(nil),
	"province":                           []string(nil),
	"require_cn":                         true,
	"serial_number_source":               "json-csr",
	"server_flag":                        true,
	"signature_bits":                     0,
	"street_address":                     []string(nil),
	"ttl":                                engine.Duration(0),
	"use_csr_common_name":                true,
	"use_csr_sans":                       true,
	"use_pss":                            false,
}

// given returns the fields that the plan gives, by Vault's names.
func (r Role) given() (map[string]any, error) {
	out := make(map[string]any)
	set := func(name string, v any, isSet bool) {
		if isSet {
			out[name] = v
		}
	}
	flag := func(name string, v *bool) {
		if v != nil {
			out[name] = *v
		}
	}
	set("allowed_domains", r.AllowedDomains, len(r.AllowedDomains) > 0)
	set("allow_subdomains", r.AllowSubdomains, r.AllowSubdomains)
	set("allow_bare_domains", r.AllowBareDomains, r.AllowBareDomains)
	set("allow_glob_domains", r.AllowGlobDomains, r.AllowGlobDomains)
	flag("allow_wildcard_certificates", r.AllowWildcardCertificates)
	flag("require_cn", r.RequireCN)
	set("max_ttl", r.MaxTTL, r.MaxTTL != 0)
	set("ttl", r.TTL, r.TTL != 0)
	set("key_type", r.KeyType, r.KeyType != "")
	set("key_bits", r.KeyBits, r.KeyBits != 0)
	set("no_store", r.NoStore, r.NoStore)
	flag("server_flag", r.ServerFlag)
	flag("client_flag", r.ClientFlag)

	extra, err := vaultkit.Extra(r.Extra, defaults)
	if err != nil {
		return nil, err
	}
	for _, f := range extra {
		if _, twice := out[f.Name]; twice {
			return nil, fmt.Errorf("%s: is given by a field of the role as well", f.Name)
		}
		out[f.Name] = f.Want
	}
	return out, checkUsages(out)
}

func (r Role) validate(p *engine.Problems, field string) {
	vaultkit.ValidateName(p, field+".name", "a role", r.Name)
	if _, err := r.given(); err != nil {
		p.Add(field+".extra", "%v", err)
	}
	vaultkit.ValidateItems(p, field+".allowedDomains", r.AllowedDomains)
	if r.MaxTTL != 0 && r.TTL > r.MaxTTL {
		p.Add(field+".ttl", "%s is longer than maxTTL, %s", r.TTL, r.MaxTTL)
	}
	_, anyName := r.Extra["allow_any_name"]
	if len(r.AllowedDomains) == 0 && !anyName {
		p.AddProblem(engine.Problem{
			Field:   field + ".allowedDomains",
			Message: "is empty: the role would sign for localhost only",
			Hint:    "name the domains, and set allowSubdomains or allowBareDomains",
		})
	}
	if len(r.AllowedDomains) > 0 && !r.AllowSubdomains && !r.AllowBareDomains && !r.AllowGlobDomains && !anyName {
		p.AddProblem(engine.Problem{
			Field:   field,
			Message: "allows neither the domains themselves nor names below them",
			Hint:    "set allowBareDomains, allowSubdomains or allowGlobDomains",
		})
	}
}

// fields are those by which the role is compared. Fields that the plan leaves out have
// Vault's defaults; have has the names that the server knows.
func (r Role) fields(have map[string]any) ([]vaultkit.Field, error) {
	want, err := r.given()
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("role %s: extra: %w", r.Name, err))
	}
	fields := make([]vaultkit.Field, 0, len(defaults))
	for _, name := range slices.Sorted(maps.Keys(want)) {
		fields = append(fields, vaultkit.Field{Name: name, Want: want[name]})
	}
	keyType, _ := want["key_type"].(string)
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		if _, given := want[name]; given {
			continue
		}
		if _, reported := have[name]; have != nil && !reported {
			continue
		}
		fields = append(fields, vaultkit.Field{Name: name, Want: defaultOf(name, keyType), OmitIfAbsent: true})
	}
	slices.SortFunc(fields, func(a, b vaultkit.Field) int { return strings.Compare(a.Name, b.Name) })
	return fields, nil
}

// defaultOf returns the default of a field. Vault fills in the sizes of key and
// signature by the type of the key
// (sdk/helper/certutil.ValidateDefaultOrValueKeyTypeSignatureLength).
func defaultOf(name, keyType string) any {
	switch {
	case name == "key_bits" && (keyType == "rsa" || keyType == ""):
		return 2048
	case name == "key_bits" && keyType == "ec":
		return 256
	case name == "signature_bits" && (keyType == "rsa" || keyType == ""):
		return 256
	}
	return defaults[name]
}

// roleWarnings are the warnings that are expected when a role is written. Roles are
// there before the certificate of an external parent is.
func (s *Spec) roleWarnings() []vaultkit.Allow {
	allow := vaultkit.AllowAll(s.AllowWarnings)
	if s.Parent.External != nil {
		allow = append(allow, "no default issuing certificate")
	}
	return allow
}

func (s *Spec) inspectRoles(ctx context.Context, c *vaultkit.Client, mounted bool) ([]engine.Edit, error) {
	var edits []engine.Edit
	for _, r := range s.Roles {
		path := s.Mount + "/roles/" + r.Name
		have, err := c.ReadIf(ctx, mounted, path)
		if err != nil {
			return nil, err
		}
		fields, err := r.fields(have)
		if err != nil {
			return nil, err
		}
		edits = append(edits, vaultkit.Object(path, have, fields, func(ctx context.Context) error {
			// A write replaces the whole role.
			given := slices.DeleteFunc(slices.Clone(fields), func(f vaultkit.Field) bool { return f.OmitIfAbsent })
			return c.Put(ctx, path, vaultkit.Data(given), s.roleWarnings()...)
		})...)
	}
	return edits, nil
}
