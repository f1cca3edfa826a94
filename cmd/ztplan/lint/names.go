package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/names"
	"github.com/ztplan/ztplan/steps/hosting"
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
			if name != "" && !names.Allow(role.Role, name) {
				out = append(out, o.finding(field, "name-not-allowed", "", "Certificate %s: role %s does not allow the name %s", o.name, role.Name, name))
			}
		}
		list, _ := hosting.Dig(o.fields, "spec", "dnsNames").([]any)
		for _, n := range list {
			name, _ := n.(string)
			check("spec.dnsNames", name)
		}
		if cn := o.text("spec", "commonName"); role.Extra["cn_validations"] == nil && role.Extra["use_csr_common_name"] != false {
			check("spec.commonName", cn)
		}
	}
	return out
}

// rolePatterns: a role for names that are not those of the plan's owner.
func rolePatterns(f *facts) []Finding {
	var out []Finding
	for _, r := range f.signers() {
		switch i := slices.IndexFunc(r.AllowedDomains, names.Foreign); {
		case r.Extra["allow_any_name"] == true:
			out = append(out, at(r.step, r.field+".extra.allow_any_name", "role-any-name", "", "%s is for any name", r.path))
		case r.AllowGlobDomains && i >= 0:
			out = append(out, at(r.step, fmt.Sprintf("%s.allowedDomains[%d]", r.field, i), "role-any-name", "",
				"%s is for every name that ends in %s", r.path, strings.TrimLeft(r.AllowedDomains[i], "*")))
		}
	}
	return out
}
