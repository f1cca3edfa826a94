// Package names knows which names the roles of a PKI engine sign for.
package names

import (
	"regexp"
	"strings"

	"github.com/ztplan/ztplan/steps/pkiintermediate"
)

// Surely reports whether a role signs for a name without any doubt.
func Surely(r pkiintermediate.Role, name string) bool {
	return r.Extra["allow_any_name"] == true || !extraDecides(r) && Allow(r, name)
}

func extraDecides(r pkiintermediate.Role) bool {
	for _, field := range []string{"allow_any_name", "allowed_domains", "allowed_domains_template", "allow_subdomains", "allow_bare_domains", "allow_glob_domains"} {
		if v, given := r.Extra[field]; given && v != false {
			return true
		}
	}
	return false
}

// Allow reports whether a role signs for a name
// (hashicorp/vault:builtin/logical/pki/issuing/issue_common.go, ValidateNames).
// Where fields of Extra decide, it does not judge.
func Allow(r pkiintermediate.Role, name string) bool {
	if extraDecides(r) {
		return true
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

// Foreign reports whether a pattern begins with * that no dot follows.
func Foreign(domain string) bool {
	return strings.HasPrefix(domain, "*") && !strings.HasPrefix(domain, "*.")
}
