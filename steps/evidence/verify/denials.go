package verify

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

// answered reports whether the answer on record is one of the refusals.
func answered(d evidence.DenialRecord) bool {
	return slices.ContainsFunc(d.Expected, func(r evidence.Refusal) bool { return r.Matches(d.Status, d.Answer) })
}

func (v *verifier) denials() Check {
	c := Check{Name: "denials", Did: display.Count(len(v.doc.Denials), "denial") + ": verdicts follow from answers, lifetimes and chains; the controls hold"}
	last := make(map[string]evidence.DenialRecord)
	for _, r := range v.doc.Denials {
		v.known(&c, r.Step)
		v.within(&c, "the denial "+r.What, r.At)
		v.mark(slices.Concat(refs(r.Certificate), refs(r.ControlCertificate)), slices.Concat(r.Trust, r.ControlTrust))
		if r.What == "" {
			c.add("step %s: a denial does not say of what", r.Step)
		}
		if r.Refused && r.Answer == "" {
			c.add("step %s: %s was refused without an answer", r.Step, r.What)
		}
		if refused, err := v.refused(r); err != nil {
			c.add("step %s: %s: %v", r.Step, r.What, err)
		} else if refused != r.Refused {
			c.add("step %s: %s was refused: %t, recorded %t", r.Step, r.What, refused, r.Refused)
		}
		last[r.Step+"\x00"+r.What] = r
	}
	for _, r := range last {
		if !r.Refused && v.states[r.Step] == "proved" {
			c.add("step %s is proved, but %s was not refused", r.Step, r.What)
		}
	}
	slices.Sort(c.Problems)
	return c
}

func refs(r *evidence.CertificateRef) []evidence.CertificateRef {
	if r == nil {
		return nil
	}
	return []evidence.CertificateRef{*r}
}

// refused computes the verdict again. An error means that the record lacks
// something that its method needs, or that the control does not hold.
func (v *verifier) refused(r evidence.DenialRecord) (bool, error) {
	if r.Method != "" && r.Control == "" {
		return false, errors.New("there is no control")
	}
	switch r.Method {
	case "":
		return r.Refused, nil
	case "login", "access":
		return answered(r), nil
	case "sign":
		return v.signRefused(r)
	case "dial":
		return v.dialRefused(r)
	case "client":
		return v.clientRefused(r)
	}
	return false, fmt.Errorf("there is no method %q", r.Method)
}

func (v *verifier) signRefused(r evidence.DenialRecord) (bool, error) {
	if r.Certificate == nil {
		return answered(r), nil
	}
	signed := v.certs[r.Certificate.Fingerprint]
	if signed == nil {
		return false, fmt.Errorf("certificate %s %w", short(r.Certificate.Fingerprint), errNotOnRecord)
	}
	return signed.NotAfter.Sub(signed.NotBefore).Seconds() <= r.MaxSeconds, nil
}

// dialRefused verifies as the client did: the control must be accepted, and the
// attempt refused because of the trust, or of the clock if only that differs.
func (v *verifier) dialRefused(r evidence.DenialRecord) (bool, error) {
	if r.Certificate == nil {
		return false, errors.New("what the server showed is missing")
	}
	if err := v.chain(*r.Certificate, r.ControlTrust, r.Server, r.At); err != nil {
		return false, fmt.Errorf("the control does not hold: %w", err)
	}
	err := v.chain(*r.Certificate, r.Trust, r.Server, r.Clock)
	if errors.Is(err, errNotOnRecord) {
		return false, err
	}
	if !slices.Equal(r.Trust, r.ControlTrust) {
		var unknown x509.UnknownAuthorityError
		return errors.As(err, &unknown), nil
	}
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired && r.Clock.After(r.At), nil
}
