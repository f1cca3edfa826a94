package lint

import (
	"fmt"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// slack is the time that an issuance may take besides waiting.
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
		t, bad := timesOf(o, cmVersion)
		if len(bad) > 0 {
			out = append(out, bad...)
			continue
		}
		actual, role := t.duration, ""
		if r, ok := f.roleOf(o); ok && r.MaxTTL > 0 && r.MaxTTL.Std() < actual {
			actual, role = r.MaxTTL.Std(), r.Name
		}
		renew := t.renewBefore(actual)
		switch {
		case t.duration < time.Hour:
			out = append(out, o.finding(Error, "certificate-duration", "", "cert-manager's webhook refuses less than 1h", "spec.duration",
				"Certificate %s: duration %s is too short", o.name, engine.Duration(t.duration)))
		case t.renewBefore(t.duration) < 5*time.Minute || t.renewBefore(t.duration) >= t.duration:
			out = append(out, o.finding(Error, "certificate-renewal", "", "cert-manager's webhook wants renewBefore between 5m and duration", t.field,
				"Certificate %s: %s %s does not fit duration %s", o.name, t.name(), engine.Duration(t.renewBefore(t.duration)), engine.Duration(t.duration)))
		case renew >= actual:
			out = append(out, o.finding(Error, "renewal-loop", "raise the role's maxTTL, or give a renewBefore that is shorter than it",
				"Vault shortens the certificate without saying so to cert-manager, which renews it as soon as it is issued, or at a time of its own (cert-manager/cert-manager#4423)", t.field,
				"Certificate %s: role %s gives it %s, and renewBefore is %s", o.name, role, engine.Duration(actual), engine.Duration(renew)))
		case renew <= backoff+slack:
			hint := "lengthen duration and renewBefore"
			if !before(cmVersion, "v1.20.0") {
				hint = "set config.certificateRequestMinimumBackoffDuration: 1m in cert-manager's values, or lengthen renewBefore"
			}
			out = append(out, o.finding(Error, "renewal-backoff", hint,
				"after a failed signing cert-manager waits an hour before it tries again (cert-manager/cert-manager#6201, #7097); v1.20 made that configurable", t.field,
				"Certificate %s: one failed signing outlives it, since it is renewed only %s before its end and the next try comes after %s", o.name, engine.Duration(renew), engine.Duration(backoff)))
		}
	}
	return out
}

// times are the fields that set the time of a Certificate's renewal.
type times struct {
	duration   time.Duration
	before     time.Duration // spec.renewBefore; 0 if it is not given
	percentage int           // spec.renewBeforePercentage; 0 if it is not given
	field      string        // that sets it
}

// renewBefore returns how long before its end a certificate of this lifetime is
// renewed. Without such a field it is a third of the lifetime.
func (t times) renewBefore(lifetime time.Duration) time.Duration {
	switch {
	case t.before != 0:
		return t.before
	case t.percentage != 0:
		return lifetime * time.Duration(t.percentage) / 100
	}
	return lifetime / 3
}

func (t times) name() string {
	if t.percentage != 0 {
		return fmt.Sprintf("renewBeforePercentage %d, that is", t.percentage)
	}
	return "renewBefore"
}

// timesOf reads the times of a Certificate, or reports the value that cert-manager refuses.
func timesOf(o object, cmVersion string) (times, []Finding) {
	t := times{field: "spec.duration"}
	var bad []Finding
	read := func(field string, otherwise time.Duration) time.Duration {
		v := dig(o.fields, "spec", field)
		if v == nil {
			return otherwise
		}
		text, _ := v.(string)
		d, err := time.ParseDuration(text)
		if err != nil {
			hint := "write hours, such as 2160h for 90 days"
			if days, err := engine.ParseDuration(text); err == nil {
				hint = fmt.Sprintf("write %gh", days.Std().Hours())
			}
			bad = append(bad, o.finding(Error, "duration-format", hint,
				"cert-manager reads durations as Go does, with the units h, m and s; the API server refuses others", "spec."+field,
				"Certificate %s: %s %v is not a duration", o.name, field, v))
		}
		return d
	}
	t.duration = read("duration", 90*24*time.Hour)
	t.before = read("renewBefore", 0)
	if t.before != 0 {
		t.field = "spec.renewBefore"
	}
	percentage := dig(o.fields, "spec", "renewBeforePercentage")
	if percentage == nil {
		return t, bad
	}
	t.field = "spec.renewBeforePercentage"
	t.percentage, _ = percentage.(int)
	refuse := func(why, format string, args ...any) {
		bad = append(bad, o.finding(Error, "certificate-renewal", "", why, t.field, "Certificate "+o.name+": "+format, args...))
	}
	switch {
	case t.percentage <= 0 || t.percentage >= 100:
		refuse("cert-manager's webhook refuses it", "renewBeforePercentage %v is not a whole number from 1 to 99", percentage)
	case dig(o.fields, "spec", "renewBefore") != nil:
		refuse("cert-manager's webhook refuses both", "renewBefore and renewBeforePercentage exclude each other")
	case before(cmVersion, "v1.16.0"):
		refuse("cert-manager has it since v1.16.0", "renewBeforePercentage is not known to cert-manager %s", cmVersion)
	}
	return t, bad
}

// oneCertificatePerSecret: of two Certificates with one Secret, each finds the
// other's and issues again, without end.
func oneCertificatePerSecret(f *facts) []Finding {
	var out []Finding
	first := map[string]object{} // by namespace and Secret
	for _, o := range f.objects {
		secret := o.text("spec", "secretName")
		if o.kind != "Certificate" || secret == "" {
			continue
		}
		key := o.space + "/" + secret
		other, taken := first[key]
		switch {
		case !taken:
			first[key] = o
		case other.name != o.name:
			out = append(out, o.finding(Error, "secret-conflict", "give each Certificate a Secret of its own",
				"both write it: cert-manager holds one of them back, or they issue over each other again and again (cert-manager/cert-manager#6992)", "spec.secretName",
				"Certificates %s and %s (step %s, %s) have one Secret, %s", o.name, other.name, other.step.ID, other.position("spec.secretName"), key))
		}
	}
	return out
}

// rotationPolicy: whether the key changes must not depend on the version.
func rotationPolicy(f *facts) []Finding {
	var out []Finding
	for _, o := range f.objects {
		if o.kind == "Certificate" && o.text("spec", "privateKey", "rotationPolicy") == "" {
			out = append(out, o.finding(Warning, "rotation-policy", "set privateKey.rotationPolicy: Always",
				"the default is Never before cert-manager v1.18 and Always since", "spec", "Certificate %s does not say whether its key changes", o.name))
		}
	}
	return out
}

// lifetimeOrder: no certificate may outlive its issuer; Vault shortens it silently.
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
				if signer, ok := f.roleOf(o); ok && signer.Name != role.Name {
					continue
				}
				d, err := time.ParseDuration(o.text("spec", "duration"))
				if o.kind == "Certificate" && err == nil && role.MaxTTL > 0 && d > role.MaxTTL.Std() {
					out = append(out, o.finding(Error, "lifetime-order", "raise the role's maxTTL or shorten duration",
						"Vault shortens it silently and cert-manager ignores the warning; renewal then comes at another time than planned", "spec.duration",
						"Certificate %s: duration %s is beyond maxTTL %s of role %s", o.name, engine.Duration(d), role.MaxTTL, role.Name))
				}
			}
		}
	}
	return out
}
