package evidence

import (
	"crypto/x509"
	"fmt"
	"slices"
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

	// ByOld and ByNew are what the two signed at the same time, in answer to the
	// same request: the overlap. Absent if it did not come to that.
	ByOld *Certificate `json:"byOld,omitempty"`
	ByNew *Certificate `json:"byNew,omitempty"`

	// Planned is how many other certificates had to be issued anew under the new
	// one, and Reissued are those that were.
	Planned  int        `json:"planned"`
	Reissued []Reissued `json:"reissued"`

	// Status and Answer are what the old one said to a request after it was
	// retired, Expected what it must be one of, and Control is what the new one
	// signed in answer to the same request.
	Status   int          `json:"status,omitempty"`
	Answer   string       `json:"answer,omitempty"`
	Expected []Refusal    `json:"expected"`
	Control  *Certificate `json:"control,omitempty"`
	Retired  time.Time    `json:"retired,omitzero"` // when; absent if it was not
}

// A Reissued is a certificate that was issued anew.
type Reissued struct {
	Namespace   string      `json:"namespace"`
	Name        string      `json:"name"` // of the cert-manager Certificate
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
	out := RolloverRecord{Step: step, Rollover: s, Reissued: []ReissuedRecord{}}
	var err error
	if out.Trust, err = c.certificates(s.Trust); err != nil {
		return err
	}
	if out.Old, err = c.presented(s.Old); err != nil {
		return err
	}
	if out.New, err = c.presented(s.New); err != nil {
		return err
	}
	for _, one := range []struct {
		from *Certificate
		to   **CertificateRef
	}{{s.ByOld, &out.ByOld}, {s.ByNew, &out.ByNew}, {s.Control, &out.Control}} {
		if one.from == nil {
			continue
		}
		ref, err := c.presented(*one.from)
		if err != nil {
			return err
		}
		*one.to = &ref
	}
	for _, r := range s.Reissued {
		ref, err := c.presented(r.Certificate)
		if err != nil {
			return err
		}
		r.Certificate, r.At = Certificate{}, r.At.UTC()
		out.Reissued = append(out.Reissued, ReissuedRecord{r, ref})
	}
	out.Rollover.Trust, out.Rollover.Old, out.Rollover.New = nil, Certificate{}, Certificate{}
	out.Rollover.ByOld, out.Rollover.ByNew, out.Rollover.Reissued, out.Rollover.Control = nil, nil, nil, nil
	out.Retired = s.Retired.UTC()
	c.doc.Rollovers = append(c.doc.Rollovers, out)
	return nil
}

func (v *verifier) rollovers() Check {
	c := Check{Name: "rollovers", Did: Count(len(v.doc.Rollovers), "new intermediate") + ": who signed what, that both led to the trust, and that the old one refused, computed again"}
	for i := range v.doc.Rollovers {
		r := &v.doc.Rollovers[i]
		at := fmt.Sprintf("step %s: new intermediate %d", r.Step, r.Rotation)
		v.known(&c, r.Step)
		used := []CertificateRef{r.Old, r.New}
		for _, ref := range []*CertificateRef{r.ByOld, r.ByNew, r.Control} {
			used = append(used, refs(ref)...)
		}
		for _, one := range r.Reissued {
			used = append(used, one.Certificate)
			v.within(&c, at, one.At)
		}
		v.mark(used, r.Trust)
		v.signers(&c, at, r)
	}
	return c
}

// signers: who signed what is as the record says; and where the step is
// proved, the new intermediate took the old one's place.
func (v *verifier) signers(c *Check, at string, r *RolloverRecord) {
	was, is := v.certs[r.Old.Fingerprint], v.certs[r.New.Fingerprint]
	if was == nil || is == nil {
		c.add("%s: the old or the new one %v", at, errNotOnRecord)
		return
	}
	rotation := v.rotationOf(r)
	if rotation == nil {
		c.add("%s: rotation %d is not on record", at, r.Rotation)
		return
	}
	if r.Mount == "" || r.Issuer == "" || r.Role == "" {
		c.add("%s: mount, issuer or role is missing", at)
	}
	if string(was.RawSubject) != string(is.RawSubject) {
		c.add("%s: the subject changed from %s to %s", at, was.Subject, is.Subject)
	}
	if string(was.RawSubjectPublicKeyInfo) == string(is.RawSubjectPublicKeyInfo) {
		c.add("%s: old and new one have the same key", at)
	}
	if r.Server != rotation.Server || !slices.Equal(r.Trust, rotation.Trust) {
		c.add("%s: server or trust is not that of rotation %d", at, r.Rotation)
	}
	for _, one := range []struct {
		what   string
		ref    *CertificateRef
		signer *x509.Certificate
		when   time.Time
	}{
		{"what the old one signed", r.ByOld, was, rotation.Began},
		{"what the new one signed", r.ByNew, is, rotation.Began},
		{"what the new one signed in the end", r.Control, is, r.Retired},
	} {
		if one.ref == nil {
			continue
		}
		leaf := v.certs[one.ref.Fingerprint]
		if leaf == nil {
			c.add("%s: %s %v", at, one.what, errNotOnRecord)
			continue
		}
		if err := leaf.CheckSignatureFrom(one.signer); err != nil {
			c.add("%s: %s: %v", at, one.what, err)
		}
		// Trial certificates live for a minute and begin a little before they
		// were asked for.
		if err := v.chain(*one.ref, r.Trust, r.Server, leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore)/2)); err != nil {
			c.add("%s: %s: %v", at, one.what, err)
		}
		if leaf.NotAfter.Before(rotation.Began) || leaf.NotBefore.After(rotation.Ended.Add(clockSlack)) || one.ref == r.Control && leaf.NotBefore.After(one.when.Add(clockSlack)) {
			c.add("%s: %s is not from the time of the rotation", at, one.what)
		}
	}
	for _, one := range r.Reissued {
		leaf := v.certs[one.Certificate.Fingerprint]
		if leaf == nil || one.Namespace == "" || one.Name == "" {
			c.add("%s: a certificate that was issued anew is not on record or has no name", at)
		} else if err := leaf.CheckSignatureFrom(is); err != nil {
			c.add("%s: certificate %s/%s: %v", at, one.Namespace, one.Name, err)
		}
	}
	if v.states[r.Step] == "proved" {
		v.tookOver(c, at, r, rotation, is)
	}
}

// tookOver: a step that is proved has both overlap and refusal on record.
func (v *verifier) tookOver(c *Check, at string, r *RolloverRecord, rotation *RotationRecord, is *x509.Certificate) {
	if r.ByOld == nil || r.ByNew == nil || r.Control == nil {
		c.add("%s: the step is proved without overlap or control", at)
	}
	if !slices.ContainsFunc(r.Expected, func(e Refusal) bool { return e.Matches(r.Status, r.Answer) }) {
		c.add("%s: the step is proved, but the old one answered %d %q", at, r.Status, r.Answer)
	}
	if len(r.Reissued) != r.Planned {
		c.add("%s: the step is proved, but %d of %d certificates were issued anew", at, len(r.Reissued), r.Planned)
	}
	if len(rotation.Certs) > 1 {
		if leaf := v.certs[rotation.Certs[1].Fingerprint]; leaf != nil && leaf.CheckSignatureFrom(is) != nil {
			c.add("%s: the step is proved, but somebody else signed the new certificate of rotation %d", at, r.Rotation)
		}
	}
	when := make(map[string]time.Time)
	for _, h := range rotation.Hops {
		when[h.Name] = h.At
	}
	if !when["retired"].Equal(r.Retired) || r.Retired.IsZero() {
		c.add("%s: hop retired is at %s and the record says %s", at, when["retired"], r.Retired)
	}
	if _, ok := when["reissued"]; ok != (r.Planned > 0) {
		c.add("%s: %s planned, hop reissued: %t", at, Count(r.Planned, "certificate"), ok)
	}
}

// rotationOf finds the rotation in which the rollover took place.
func (v *verifier) rotationOf(r *RolloverRecord) *RotationRecord {
	for i := range v.doc.Rotations {
		if one := &v.doc.Rotations[i]; one.Step == r.Step && one.Number == r.Rotation {
			return one
		}
	}
	return nil
}

// inherited: a rotation that says that an intermediate changed has it on record.
func (v *verifier) inherited(c *Check, at string, r *RotationRecord, proved bool) {
	there := slices.ContainsFunc(v.doc.Rollovers, func(s RolloverRecord) bool { return s.Step == r.Step && s.Rotation == r.Number })
	if want := r.Trigger == "intermediate"; proved && want != there {
		c.add("%s: trigger %s, a new intermediate on record: %t", at, r.Trigger, there)
	}
}
