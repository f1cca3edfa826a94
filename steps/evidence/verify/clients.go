package verify

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/ztplan/ztplan/steps/evidence"
)

// clientRefused judges the answers to a client with another certificate again: the
// controls around them must have been served, and the client's certificate must be of the
// recorded kind.
func (v *verifier) clientRefused(r evidence.DenialRecord) (bool, error) {
	d := r.Client
	if d == nil {
		return false, errors.New("the connections are missing")
	}
	if !allServed(d.Before) {
		return false, errors.New("the control does not hold: not every connection before the attempt was served")
	}
	if !allServed(d.After) {
		return false, errors.New("the control does not hold: not every connection after the attempt was served")
	}
	if err := v.clientCertificate(r); err != nil {
		return false, err
	}
	if len(d.Answers) == 0 {
		return false, errors.New("there is no attempt")
	}
	for _, a := range d.Answers {
		if a.Count < 1 {
			return false, fmt.Errorf("%s answered %d connections", a.Address, a.Count)
		}
		if !slices.ContainsFunc(d.Before, func(b evidence.ClientAnswer) bool { return b.Address == a.Address }) {
			return false, fmt.Errorf("%s has no control", a.Address)
		}
	}
	return !slices.ContainsFunc(d.Answers, func(a evidence.ClientAnswer) bool { return !a.Refused() }), nil
}

// allServed reports whether there are answers, each of them to requests that were served.
func allServed(list []evidence.ClientAnswer) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(a evidence.ClientAnswer) bool { return a.Count < 1 || !a.Served() })
}

// clientCertificate verifies that the certificate of the attempt differs from the
// legitimate one in the one thing that the record names.
func (v *verifier) clientCertificate(r evidence.DenialRecord) error {
	if r.ControlCertificate == nil {
		return errors.New("the legitimate certificate is missing")
	}
	right := v.certs[r.ControlCertificate.Fingerprint]
	if right == nil {
		return fmt.Errorf("the legitimate certificate %s %w", short(r.ControlCertificate.Fingerprint), errNotOnRecord)
	}
	if r.Client.Presents == evidence.PresentsNone {
		if r.Certificate != nil {
			return errors.New("there is a certificate, and the attempt was without one")
		}
		return nil
	}
	if r.Certificate == nil {
		return errors.New("the certificate that was presented is missing")
	}
	presented := v.certs[r.Certificate.Fingerprint]
	if presented == nil {
		return fmt.Errorf("the certificate that was presented, %s, %w", short(r.Certificate.Fingerprint), errNotOnRecord)
	}
	switch r.Client.Presents {
	case evidence.PresentsForeign:
		return v.foreign(presented, right, r.ControlCertificate.Chain)
	case evidence.PresentsExpired:
		return expired(presented, right, r.Client)
	case evidence.PresentsOther:
		if presented.Equal(right) {
			return errors.New("the certificate that was presented is the legitimate one")
		}
		return nil
	}
	return fmt.Errorf("nothing is called %q", r.Client.Presents)
}

// foreign verifies that a certificate has the names of the legitimate one, subject and
// issuer, and is not of its authority.
func (v *verifier) foreign(presented, right *x509.Certificate, chain []string) error {
	if !bytes.Equal(presented.RawSubject, right.RawSubject) || !bytes.Equal(presented.RawIssuer, right.RawIssuer) {
		return errors.New("the foreign certificate has other names than the legitimate one")
	}
	if bytes.Equal(presented.AuthorityKeyId, right.AuthorityKeyId) && len(right.AuthorityKeyId) > 0 {
		return errors.New("the foreign certificate names the authority of the legitimate one")
	}
	for _, f := range chain {
		if issuer := v.certs[f]; issuer != nil && presented.CheckSignatureFrom(issuer) == nil {
			return errors.New("the foreign certificate is signed by the authority of the legitimate one")
		}
	}
	return nil
}

// expired verifies that a certificate of the legitimate one's authority was accepted while
// it was valid, and presented again after its end.
func expired(presented, right *x509.Certificate, d *evidence.ClientDenial) error {
	if !bytes.Equal(presented.RawIssuer, right.RawIssuer) || !bytes.Equal(presented.AuthorityKeyId, right.AuthorityKeyId) {
		return errors.New("the expired certificate is not of the legitimate one's authority")
	}
	for _, a := range d.Before {
		if a.First.After(presented.NotAfter) {
			return errors.New("the expired certificate was not accepted while it was valid")
		}
	}
	for _, a := range d.Answers {
		if !a.First.After(presented.NotAfter) {
			return errors.New("the expired certificate was still valid when it was presented")
		}
	}
	return nil
}
