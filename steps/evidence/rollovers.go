package evidence

import (
	"time"
)

// A Rollover is a new intermediate authority that took the place of an old
// one while a rotation was measured.
type Rollover struct {
	Rotation int    `json:"rotation"` // number of the step's rotation
	Mount    string `json:"mount"`    // of Vault's PKI engine
	Issuer   string `json:"issuer"`   // the name in it that changed hands
	Role     string `json:"role"`     // under which certificates were signed
	Server   string `json:"server"`   // the name that the trial certificates are for

	Trust []string    `json:"trust"` // PEM of the roots that verification used
	Old   Certificate `json:"old"`
	New   Certificate `json:"new"`

	// ByOld and ByNew were signed by the two at the same time, in answer to the
	// same request: the overlap. Absent if it did not come to that.
	ByOld *Certificate `json:"byOld,omitempty"`
	ByNew *Certificate `json:"byNew,omitempty"`

	// Planned is how many other certificates had to be issued anew under the new
	// one, and Reissued are those that were.
	Planned  int        `json:"planned"`
	Reissued []Reissued `json:"reissued"`

	// Status and Answer are the old one's answer to a request after it was
	// retired, and Expected the refusals of which it must be one. The new one
	// signed Control in answer to the same request.
	Status   int          `json:"status,omitempty"`
	Answer   string       `json:"answer,omitempty"`
	Expected []Refusal    `json:"expected"`
	Control  *Certificate `json:"control,omitempty"`
	Retired  time.Time    `json:"retired,omitzero"` // when; absent if it was not
}

// A Reissued is a certificate that was issued anew.
type Reissued struct {
	Namespace   string      `json:"namespace"`
	Name        string      `json:"name"` // of cert-manager's object
	Certificate Certificate `json:"certificate"`
	At          time.Time   `json:"at"`
}

// A RolloverRecord is a Rollover with references in place of certificates.
type RolloverRecord struct {
	Step string `json:"step"`
	Rollover
	Trust    []string         `json:"trust"` // fingerprints of the roots
	Old      CertificateRef   `json:"old"`
	New      CertificateRef   `json:"new"`
	ByOld    *CertificateRef  `json:"byOld,omitempty"`
	ByNew    *CertificateRef  `json:"byNew,omitempty"`
	Reissued []ReissuedRecord `json:"reissued"`
	Control  *CertificateRef  `json:"control,omitempty"`
}

// A ReissuedRecord is a Reissued with a reference in place of the certificate.
type ReissuedRecord struct {
	Reissued
	Certificate CertificateRef `json:"certificate"`
}

func (c *Collector) rollover(step string, s Rollover) error {
	refs := references{c: c}
	out := RolloverRecord{
		Step: step, Rollover: s,
		Trust: refs.certificates(s.Trust), Old: refs.presented(s.Old), New: refs.presented(s.New),
		ByOld: refs.optional(s.ByOld), ByNew: refs.optional(s.ByNew), Control: refs.optional(s.Control),
	}
	for _, r := range s.Reissued {
		ref := refs.presented(r.Certificate)
		r.Certificate = Certificate{}
		out.Reissued = append(out.Reissued, ReissuedRecord{r, ref})
	}
	out.Rollover.Trust, out.Rollover.Old, out.Rollover.New = nil, Certificate{}, Certificate{}
	out.Rollover.ByOld, out.Rollover.ByNew, out.Rollover.Reissued, out.Rollover.Control = nil, nil, nil, nil
	if refs.err == nil {
		c.doc.Rollovers = append(c.doc.Rollovers, out)
	}
	return refs.err
}
