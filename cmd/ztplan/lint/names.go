package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/hosting"
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
			if name != "" && !allows(role.Role, name) {
				out = append(out, o.finding(field, "name-not-allowed", "", "Certificate %s: role %s does not allow the name %s", o.name, role.Name, name))
			}
		}
		names, _ := hosting.Dig(o.fields, "spec", "dnsNames").([]any)
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

// rolePatterns: a role for names that are not those of the plan's owner.
func rolePatterns(f *facts) []Finding {
	var out []Finding
	for _, r := range f.signers() {
		switch i := slices.IndexFunc(r.AllowedDomains, foreignPattern); {
		case r.Extra["allow_any_name"] == true:
			out = append(out, at(r.step, r.field+".extra.allow_any_name", "role-any-name", "", "%s is for any name", r.path))
		case r.AllowGlobDomains && i >= 0:
			out = append(out, at(r.step, fmt.Sprintf("%s.allowedDomains[%d]", r.field, i), "role-any-name", "",
				"%s is for every name that ends in %s", r.path, strings.TrimLeft(r.AllowedDomains[i], "*")))
		}
	}
	return out
}

// foreignPattern reports whether a pattern begins with * that no dot follows.
func foreignPattern(domain string) bool {
	return strings.HasPrefix(domain, "*") && !strings.HasPrefix(domain, "*.")
}
