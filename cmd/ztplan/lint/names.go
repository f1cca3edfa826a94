package lint

import (
	"regexp"
	"strings"

	"github.com/ztplan/ztplan/steps/pkiintermediate"
)

// allowedNames: Vault refuses a certificate with a name that the role does not
// allow, and cert-manager tries again only after its back-off.
func allowedNames(f *facts) []Finding {
	var out []Finding
	for _, o := range f.objects {
		if o.kind != "Certificate" {
			continue
		}
		role, ok := f.roleOf(o)
		if !ok {
			continue
		}
		check := func(field, name string) {
			if name != "" && !allows(role, name) {
				out = append(out, o.finding(Error, "name-not-allowed",
					"add its domain to the role's allowedDomains, or set what allows names below, bare, with * or as a pattern",
					"Vault answers 400, not allowed by this role, and cert-manager waits an hour before it tries again", field,
					"Certificate %s: role %s does not allow the name %s", o.name, role.Name, name))
			}
		}
		names, _ := dig(o.fields, "spec", "dnsNames").([]any)
		for _, n := range names {
			name, _ := n.(string)
			check("spec.dnsNames", name)
		}
		if cn := o.text("spec", "commonName"); role.Extra["cn_validations"] == nil && role.Extra["use_csr_common_name"] != false {
			check("spec.commonName", cn)
		}
	}
	return out
}

// allows reports whether a role signs for a name
// (hashicorp/vault:builtin/logical/pki/issuing/issue_common.go, ValidateNames).
// Where fields of Extra decide, it does not judge.
func allows(r pkiintermediate.Role, name string) bool {
	for _, field := range []string{"allow_any_name", "allowed_domains", "allowed_domains_template", "allow_subdomains", "allow_bare_domains", "allow_glob_domains"} {
		if v, given := r.Extra[field]; given && v != false {
			return true
		}
	}
	name = strings.ToLower(name)
	if strings.Contains(name, "*") && r.AllowWildcardCertificates != nil && !*r.AllowWildcardCertificates {
		return false
	}
	for _, local := range []string{"localhost", "localdomain"} {
		if r.Extra["allow_localhost"] != false && (name == local || r.AllowSubdomains && strings.HasSuffix(name, "."+local)) {
			return true
		}
	}
	for _, domain := range r.AllowedDomains {
		domain = strings.ToLower(domain)
		switch {
		case r.AllowBareDomains && name == domain,
			r.AllowSubdomains && strings.HasSuffix(name, "."+domain),
			r.AllowGlobDomains && strings.Contains(domain, "*") && glob(domain, name):
			return true
		}
	}
	return false
}

// glob reports whether a name fits a pattern in which * stands for any text.
func glob(pattern, name string) bool {
	text := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`)
	ok, err := regexp.MatchString("^"+text+"$", name)
	return err == nil && ok
}
