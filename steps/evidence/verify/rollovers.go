package verify

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

func (v *verifier) rollovers() Check {
	c := Check{Name: "rollovers", Did: display.Count(len(v.doc.Rollovers), "new intermediate") + ": who signed what, that both led to the trust, and that the old one refused, computed again"}
	for i := range v.doc.Rollovers {
		r := &v.doc.Rollovers[i]
		at := fmt.Sprintf("step %s: new intermediate %d", r.Step, r.Rotation)
		v.known(&c, r.Step)
		used := []evidence.CertificateRef{r.Old, r.New}
		for _, ref := range []*evidence.CertificateRef{r.ByOld, r.ByNew, r.Control} {
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

// signers verifies that the old and the new intermediate signed the certificates on
// record as theirs and, if the step is proved, that the new one took the old one's
// place.
func (v *verifier) signers(c *Check, at string, r *evidence.RolloverRecord) {
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
		name   string
		ref    *evidence.CertificateRef
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
			c.add("%s: %s %v", at, one.name, errNotOnRecord)
			continue
		}
		if err := leaf.CheckSignatureFrom(one.signer); err != nil {
			c.add("%s: %s: %v", at, one.name, err)
		}
		// Trial certificates live for a minute and begin a little before they
		// were asked for.
		if err := v.chain(*one.ref, r.Trust, r.Server, leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore)/2)); err != nil {
			c.add("%s: %s: %v", at, one.name, err)
		}
		if leaf.NotAfter.Before(rotation.Began) || leaf.NotBefore.After(rotation.Ended.Add(clockSlack)) || one.ref == r.Control && leaf.NotBefore.After(one.when.Add(clockSlack)) {
			c.add("%s: %s is not from the time of the rotation", at, one.name)
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

// tookOver verifies that a proved step has both overlap and refusal on record.
func (v *verifier) tookOver(c *Check, at string, r *evidence.RolloverRecord, rotation *evidence.RotationRecord, is *x509.Certificate) {
	if r.ByOld == nil || r.ByNew == nil || r.Control == nil {
		c.add("%s: the step is proved without overlap or control", at)
	}
	if !slices.ContainsFunc(r.Expected, func(e evidence.Refusal) bool { return e.Matches(r.Status, r.Answer) }) {
		c.add("%s: the step is proved, but the old one answered %d %q", at, r.Status, r.Answer)
	}
	if len(r.Reissued) != r.Planned {
		c.add("%s: the step is proved, but %d of %d certificates were issued anew", at, len(r.Reissued), r.Planned)
	}
	if len(rotation.Certs) > 1 {
		if leaf := v.certs[rotation.Certs[1].Fingerprint]; leaf != nil && leaf.CheckSignatureFrom(is) != nil {
			c.add("%s: the step is proved, but another authority signed the new certificate of rotation %d", at, r.Rotation)
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
		c.add("%s: %s planned, hop reissued: %t", at, display.Count(r.Planned, "certificate"), ok)
	}
}

// rotationOf finds the rotation in which the rollover took place.
func (v *verifier) rotationOf(r *evidence.RolloverRecord) *evidence.RotationRecord {
	for i := range v.doc.Rotations {
		if one := &v.doc.Rotations[i]; one.Step == r.Step && one.Number == r.Rotation {
			return one
		}
	}
	return nil
}

// rollover verifies that a new intermediate is on record if the rotation had one.
func (r *rotation) rollover() {
	there := slices.ContainsFunc(r.doc.Rollovers, func(s evidence.RolloverRecord) bool { return s.Step == r.Step && s.Rotation == r.Number })
	if want := r.Trigger == "intermediate"; r.proved && want != there {
		r.add("trigger %s, a new intermediate on record: %t", r.Trigger, there)
	}
}
