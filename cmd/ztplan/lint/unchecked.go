package lint

import (
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
)

// checkedFields are the fields of objects that checks read, with the rules of these checks.
func checkedFields(o object) map[string][]string {
	switch {
	case o.isIssuer():
		return map[string][]string{
			"spec.vault.path":                                   {"issuer-path", "lifetime-order", "name-not-allowed"},
			"spec.vault.namespace":                              {"issuer-namespace"},
			"spec.vault.server":                                 {"issuer-login", "issuer-trust", "plaintext-listener"},
			"spec.vault.auth.kubernetes.mountPath":              {"issuer-login"},
			"spec.vault.auth.kubernetes.role":                   {"audience", "issuer-login", "service-account", "token-lifetime"},
			"spec.vault.auth.kubernetes.serviceAccountRef.name": {"service-account"},
		}
	case o.kind == "Certificate":
		return map[string][]string{
			"spec.secretName":     {"secret-conflict"},
			"spec.issuerRef.name": {"lifetime-order", "name-not-allowed"},
			"spec.duration":       {"lifetime-order", "renewal-backoff"},
			"spec.renewBefore":    {"renewal-backoff"},
			"spec.commonName":     {"name-not-allowed"},
			"spec.dnsNames":       {"name-not-allowed"},
		}
	}
	return nil
}

// unchecked: values that only a run knows, in fields that checks read. There is one
// finding for each object.
func unchecked(f *facts) []Finding {
	var out []Finding
	for _, o := range f.objects {
		_, pending := o.step.Draft()
		var fields, rules []string
		for field, of := range checkedFields(o) {
			if o.knows(field) {
				continue
			}
			fields = append(fields, field)
			rules = append(rules, of...)
		}
		if len(fields) == 0 {
			continue
		}
		slices.Sort(fields)
		slices.Sort(rules)
		var texts []string
		for _, field := range fields {
			texts = append(texts, field+" is "+strings.Join(referencesIn(o.step, o.field+"."+field, pending), " and "))
		}
		out = append(out, o.finding(fields[0], "unchecked-reference", "", "%s %s: %s, which only a run knows: not checked: %s",
			o.kind, o.name, strings.Join(texts, ", "), strings.Join(slices.Compact(rules), ", ")))
	}
	return out
}

// knows reports whether a field of the object does not wait for another step.
func (o object) knows(field string) bool {
	_, pending := o.step.Draft()
	return engine.Known(o.field+"."+field, pending)
}

// referencesIn returns the references, as written, that an input waits for.
func referencesIn(s *plan.Step, input string, pending []string) []string {
	var texts []string
	for _, r := range s.Refs {
		if slices.Contains(pending, r.Input) && !engine.Known(input, []string{r.Input}) && !slices.Contains(texts, r.Text) {
			texts = append(texts, r.Text)
		}
	}
	return texts
}
