package lint

import (
	"fmt"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/versions"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/hosting"
)

// certificateTimes: cert-manager's own limits, and a failed signing that must
// not outlive the certificate.
func certificateTimes(f *facts) []Finding {
	var out []Finding
	backoff, version := f.certManager()
	for _, o := range f.objects {
		if o.kind != "Certificate" {
			continue
		}
		t, bad := timesOf(o, version)
		if len(bad) > 0 {
			out = append(out, bad...)
			continue
		}
		actual, role := f.lifetime(o, t)
		renew := t.renewBefore(actual)
		switch {
		case t.duration < time.Hour:
			out = append(out, o.finding("spec.duration", "certificate-duration", "",
				"Certificate %s: duration %s is too short", o.name, engine.Duration(t.duration)))
		case t.renewBefore(t.duration) < 5*time.Minute || t.renewBefore(t.duration) >= t.duration:
			out = append(out, o.finding(t.field, "certificate-renewal", "",
				"Certificate %s: %s %s does not fit duration %s", o.name, t.name(), engine.Duration(t.renewBefore(t.duration)), engine.Duration(t.duration)))
		case renew >= actual:
			out = append(out, o.finding(t.field, "renewal-loop", "",
				"Certificate %s: role %s gives it %s, and renewBefore is %s", o.name, role.Name, engine.Duration(actual), engine.Duration(renew)))
		case renew <= backoff+slack:
			hint := ""
			if versions.BacksOffAsTold.Has(version) {
				hint = "set config.certificateRequestMinimumBackoffDuration: 1m in cert-manager's values, or lengthen renewBefore"
			}
			out = append(out, o.finding(t.field, "renewal-backoff", hint,
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
		v := hosting.Dig(o.fields, "spec", field)
		if v == nil {
			return otherwise
		}
		text, _ := v.(string)
		d, err := time.ParseDuration(text)
		if err != nil {
			hint := ""
			if days, err := engine.ParseDuration(text); err == nil {
				hint = fmt.Sprintf("write %gh", days.Std().Hours())
			}
			bad = append(bad, o.finding("spec."+field, "duration-format", hint,
				"Certificate %s: %s %v is not a duration", o.name, field, v))
		}
		return d
	}
	t.duration = read("duration", 90*24*time.Hour)
	t.before = read("renewBefore", 0)
	if t.before != 0 {
		t.field = "spec.renewBefore"
	}
	percentage := hosting.Dig(o.fields, "spec", "renewBeforePercentage")
	if percentage == nil {
		return t, bad
	}
	t.field = "spec.renewBeforePercentage"
	t.percentage, _ = percentage.(int)
	refuse := func(format string, args ...any) {
		bad = append(bad, o.finding(t.field, "certificate-renewal", "", "Certificate "+o.name+": "+format, args...))
	}
	switch {
	case t.percentage <= 0 || t.percentage >= 100:
		refuse("renewBeforePercentage %v is not a whole number from 1 to 99", percentage)
	case hosting.Dig(o.fields, "spec", "renewBefore") != nil:
		refuse("renewBefore and renewBeforePercentage exclude each other")
	case !versions.KnowsPercentage.Has(cmVersion):
		refuse("renewBeforePercentage is not known to cert-manager %s", cmVersion)
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
			out = append(out, o.finding("spec.secretName", "secret-conflict", "",
				"Certificates %s and %s (step %s, %s) have one Secret, %s", o.name, other.name, other.step.ID, other.place("spec.secretName"), key))
		}
	}
	return out
}

// rotationPolicy: whether the key changes must not depend on the version.
func rotationPolicy(f *facts) []Finding {
	var out []Finding
	c, installed := f.release("cert-manager")
	for _, o := range f.objects {
		if o.kind != "Certificate" || o.text("spec", "privateKey", "rotationPolicy") != "" {
			continue
		}
		switch {
		case !installed:
			out = append(out, o.finding("spec", "rotation-policy", "", "Certificate %s does not say whether its key changes", o.name))
		case versions.ChangesKeys.Has(c.version):
			out = append(out, o.finding("spec", "rotation-policy", "",
				"Certificate %s: its key changes, since cert-manager is %s; with another version it may stay", o.name, c.spec.Version).as(Note))
		default:
			out = append(out, o.finding("spec", "rotation-policy", "",
				"Certificate %s: every certificate has the same key, since cert-manager is %s", o.name, c.spec.Version))
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
			if i.spec.Parent.External == nil && i.spec.TTL > r.spec.TTL && r.spec.TTL > 0 && (i.spec.Parent.Mount == r.spec.Mount || i.spec.Parent.Mount == "") {
				out = append(out, at(i.step, "ttl", "lifetime-order", "shorten it",
					"the intermediate's ttl %s is beyond the root's %s", i.spec.TTL, r.spec.TTL))
			}
		}
		for _, role := range i.spec.Roles {
			if role.MaxTTL > i.spec.TTL && i.spec.TTL > 0 {
				out = append(out, at(i.step, "roles", "lifetime-order", "shorten it",
					"role %s: maxTTL %s is beyond the intermediate's ttl %s", role.Name, role.MaxTTL, i.spec.TTL))
			}
			for _, o := range f.objects {
				if signer, ok := f.roleOf(o); ok && signer.Name != role.Name {
					continue
				}
				d, err := time.ParseDuration(o.text("spec", "duration"))
				if o.kind == "Certificate" && err == nil && role.MaxTTL > 0 && d > role.MaxTTL.Std() {
					out = append(out, o.finding("spec.duration", "lifetime-order", "raise the role's maxTTL or shorten duration",
						"Certificate %s: duration %s is beyond maxTTL %s of role %s", o.name, engine.Duration(d), role.MaxTTL, role.Name))
				}
			}
		}
	}
	return out
}

// rsaBits: keys that nothing accepts.
func rsaBits(f *facts) []Finding {
	const most = 8192
	var out []Finding
	for _, r := range f.signers() {
		extra, _ := r.Extra["key_bits"].(int)
		if bits := max(r.KeyBits, extra); bits > most {
			out = append(out, at(r.step, r.field+".keyBits", "rsa-bits", "", "role %s wants keys of %d bits", r.Name, bits))
		}
	}
	for _, o := range f.objects {
		algorithm := o.text("spec", "privateKey", "algorithm")
		size, _ := hosting.Dig(o.fields, "spec", "privateKey", "size").(int)
		if o.kind == "Certificate" && size > most && (algorithm == "" || algorithm == "RSA") {
			out = append(out, o.finding("spec.privateKey.size", "rsa-bits", "", "Certificate %s: its key is to have %d bits", o.name, size))
		}
	}
	return out
}
