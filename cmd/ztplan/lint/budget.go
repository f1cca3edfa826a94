package lint

import (
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/versions"
	"github.com/ztplan/ztplan/engine"
)

// slack is the time that an issuance may take besides waiting.
const slack = 5 * time.Minute

// A Budget is the time that a Certificate leaves for repair when its renewal fails.
type Budget struct {
	Certificate string          `json:"certificate"` // namespace/name
	Step        string          `json:"step"`
	Position    string          `json:"position"`    // file:line:col of the field that sets the renewal
	Duration    engine.Duration `json:"duration"`    // of the certificate, after the role's limit
	RenewBefore engine.Duration `json:"renewBefore"` // its end
	Backoff     engine.Duration `json:"backoff"`     // from a failed signing to the next try
	Remains     engine.Duration `json:"remains"`     // after that; negative is an outage
}

// budgets returns the budget of each Certificate whose times cert-manager accepts.
func (f *facts) budgets() []Budget {
	var out []Budget
	backoff, version := f.certManager()
	for _, o := range f.objects {
		if o.kind != "Certificate" {
			continue
		}
		t, bad := timesOf(o, version)
		if len(bad) > 0 {
			continue
		}
		lifetime, _ := f.lifetime(o, t)
		renew := t.renewBefore(lifetime)
		if renew >= lifetime {
			renew = lifetime / 3 // cert-manager's own time, see renewal-loop
		}
		out = append(out, Budget{
			Certificate: o.id(), Step: o.step.ID, Position: o.place(t.field).String(), Duration: engine.Duration(lifetime),
			RenewBefore: engine.Duration(renew), Backoff: engine.Duration(backoff), Remains: engine.Duration(renew - backoff),
		})
	}
	return out
}

// certManager returns the version of the cert-manager of the plan, and its pause after a
// failed signing.
func (f *facts) certManager() (backoff time.Duration, version string) {
	c, ok := f.release("cert-manager")
	if !ok {
		return time.Hour, versions.NewestCertManager
	}
	d, err := time.ParseDuration(c.text("config.certificateRequestMinimumBackoffDuration"))
	if err != nil || !versions.BacksOffAsTold.Has(c.version) {
		return time.Hour, c.version
	}
	return d, c.version
}

// lifetime returns how long a certificate lives: no longer than the role allows.
// shortened is the role that shortens it, nil if none does.
func (f *facts) lifetime(o object, t times) (actual time.Duration, shortened *signer) {
	if r, ok := f.roleOf(o); ok && r.MaxTTL > 0 && r.MaxTTL.Std() < t.duration {
		return r.MaxTTL.Std(), &r
	}
	return t.duration, nil
}
