package lint

import (
	"time"

	"github.com/ztplan/ztplan/engine"
)

// slack is what an issuance may take besides waiting.
const slack = 5 * time.Minute

// certificateTimes: cert-manager's own limits, and a failed signing that must
// not outlive the certificate.
func certificateTimes(f *facts) []Finding {
	var out []Finding
	backoff, cmVersion := time.Hour, "v1.21.0"
	if c, ok := f.release("cert-manager"); ok {
		cmVersion = c.version
		if s, _ := dig(c.values, "config", "certificateRequestMinimumBackoffDuration").(string); s != "" && !before(c.version, "v1.20.0") {
			if d, err := time.ParseDuration(s); err == nil {
				backoff = d
			}
		}
	}
	for _, o := range f.objects {
		if o.kind != "Certificate" {
			continue
		}
		duration, okD := durationOf(o.text("spec", "duration"), 90*24*time.Hour)
		renew, okR := durationOf(o.text("spec", "renewBefore"), duration/3)
		if !okD || !okR {
			continue
		}
		add := func(severity Severity, rule, hint, why, format string, args ...any) {
			out = append(out, at(o.step, "", severity, rule, hint, why, format, args...))
		}
		switch {
		case duration < time.Hour:
			add(Error, "certificate-duration", "", "cert-manager's webhook refuses less than 1h", "Certificate %s: duration %s is too short", o.name, engine.Duration(duration))
		case renew < 5*time.Minute || renew >= duration:
			add(Error, "certificate-renewal", "", "cert-manager's webhook wants renewBefore between 5m and duration", "Certificate %s: renewBefore %s does not fit duration %s", o.name, engine.Duration(renew), engine.Duration(duration))
		case renew <= backoff+slack:
			hint := "lengthen duration and renewBefore"
			if !before(cmVersion, "v1.20.0") {
				hint = "set config.certificateRequestMinimumBackoffDuration: 1m in cert-manager's values, or lengthen renewBefore"
			}
			add(Error, "renewal-backoff", hint,
				"after a failed signing cert-manager waits an hour before it tries again (cert-manager/cert-manager#6201, #7097); v1.20 made that configurable",
				"Certificate %s: one failed signing outlives it, since it is renewed only %s before its end and the next try comes after %s", o.name, engine.Duration(renew), engine.Duration(backoff))
		}
	}
	return out
}

// rotationPolicy: whether the key changes must not depend on the version.
func rotationPolicy(f *facts) []Finding {
	var out []Finding
	for _, o := range f.objects {
		if o.kind == "Certificate" && o.text("spec", "privateKey", "rotationPolicy") == "" {
			out = append(out, at(o.step, "", Warning, "rotation-policy", "set privateKey.rotationPolicy: Always",
				"the default is Never before cert-manager v1.18 and Always since", "Certificate %s does not say whether its key changes", o.name))
		}
	}
	return out
}

// lifetimeOrder: nothing may outlive what signed it; Vault shortens silently.
// That a mount's limit is long enough is checked by the kinds themselves.
func lifetimeOrder(f *facts) []Finding {
	var out []Finding
	for _, i := range f.inter {
		for _, r := range f.roots {
			if i.spec.TTL > r.spec.TTL && r.spec.TTL > 0 && (i.spec.Parent.Mount == r.spec.Mount || i.spec.Parent.Mount == "") {
				out = append(out, at(i.step, "ttl", Error, "lifetime-order", "shorten it", "Vault shortens it to the parent's, or refuses",
					"the intermediate's ttl %s is beyond the root's %s", i.spec.TTL, r.spec.TTL))
			}
		}
		for _, role := range i.spec.Roles {
			if role.MaxTTL > i.spec.TTL && i.spec.TTL > 0 {
				out = append(out, at(i.step, "roles", Error, "lifetime-order", "shorten it", "a certificate must not outlive its issuer",
					"role %s: maxTTL %s is beyond the intermediate's ttl %s", role.Name, role.MaxTTL, i.spec.TTL))
			}
			for _, o := range f.objects {
				d, ok := durationOf(o.text("spec", "duration"), 0)
				if o.kind == "Certificate" && ok && role.MaxTTL > 0 && d > role.MaxTTL.Std() {
					out = append(out, at(o.step, "", Error, "lifetime-order", "raise the role's maxTTL or shorten duration",
						"Vault shortens it silently and cert-manager ignores the warning; renewal then comes at another time than planned",
						"Certificate %s: duration %s is beyond maxTTL %s of role %s", o.name, engine.Duration(d), role.MaxTTL, role.Name))
				}
			}
		}
	}
	return out
}

func durationOf(s string, otherwise time.Duration) (time.Duration, bool) {
	if s == "" {
		return otherwise, true
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}
