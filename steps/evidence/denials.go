package evidence

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Denial is something that had to be refused.
type Denial struct {
	What    string    `json:"what"`
	Refused bool      `json:"refused"` // for the reason for which it must be
	By      string    `json:"by"`      // who answered
	Answer  string    `json:"answer"`  // the refusal, word for word, redacted; or what was granted
	At      time.Time `json:"at"`

	// Method is what was tried: login, sign, access, or dial. The rest depends on
	// it, and Refused follows from the rest. Without a method it is on record
	// only.
	Method string `json:"method,omitempty"`

	// Control says what was granted before under the same conditions, so that
	// nothing else can be the reason of the refusal.
	Control string `json:"control,omitempty"`

	Status   int       `json:"status,omitempty"`   // HTTP status of Vault's answer
	Expected []Refusal `json:"expected,omitempty"` // refusals of which the answer must be one

	// Certificate is what was signed (sign), or what the server showed (dial).
	Certificate *Certificate `json:"certificate,omitempty"`

	// MaxSeconds, of sign, is the longest life of Certificate, from notBefore to
	// notAfter, that is as good as a refusal; 0 means that none is.
	MaxSeconds float64 `json:"maxSeconds,omitempty"`

	// A dial's certificate was accepted with ControlTrust at At, and must be
	// refused with Trust at Clock. The two trusts are the same if only the clock
	// differs.
	Server       string    `json:"server,omitempty"`       // the name that was asked for
	Trust        []string  `json:"trust,omitempty"`        // PEM; none if it was the system's
	ControlTrust []string  `json:"controlTrust,omitempty"` // PEM
	Clock        time.Time `json:"clock,omitzero"`         // the client's
}

// A Refusal is an answer that a server has for one reason.
type Refusal struct {
	Status int    `json:"status"`
	Text   string `json:"text"`
}

// Matches reports whether an answer is the refusal: the status is the same, and
// the text is the whole answer, its end after a space, or its beginning before a
// colon.
func (r Refusal) Matches(status int, answer string) bool {
	if r.Text == "" || r.Status != status {
		return false
	}
	return answer == r.Text || strings.HasSuffix(answer, " "+r.Text) || strings.HasPrefix(answer, r.Text+": ")
}

// answered reports whether the answer on record is one of the refusals.
func (d Denial) answered() bool {
	return slices.ContainsFunc(d.Expected, func(r Refusal) bool { return r.Matches(d.Status, d.Answer) })
}

func (v *verifier) denials() Check {
	c := Check{Name: "denials", Did: Count(len(v.doc.Denials), "denial") + ": verdicts follow from answers, lifetimes and chains; the controls hold"}
	last := make(map[string]DenialRecord)
	for _, r := range v.doc.Denials {
		v.known(&c, r.Step)
		v.within(&c, "the denial "+r.What, r.At)
		v.mark(refs(r.Certificate), slices.Concat(r.Trust, r.ControlTrust))
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

func refs(r *CertificateRef) []CertificateRef {
	if r == nil {
		return nil
	}
	return []CertificateRef{*r}
}

// refused computes the verdict again. An error means that the record is not
// what its method needs, or that the control does not hold.
func (v *verifier) refused(r DenialRecord) (bool, error) {
	if r.Method != "" && r.Control == "" {
		return false, errors.New("there is no control")
	}
	switch r.Method {
	case "":
		return r.Refused, nil
	case "login", "access":
		return r.answered(), nil
	case "sign":
		return v.signRefused(r)
	case "dial":
		return v.dialRefused(r)
	}
	return false, fmt.Errorf("there is no method %q", r.Method)
}

func (v *verifier) signRefused(r DenialRecord) (bool, error) {
	if r.Certificate == nil {
		return r.answered(), nil
	}
	signed := v.certs[r.Certificate.Fingerprint]
	if signed == nil {
		return false, fmt.Errorf("certificate %s %w", short(r.Certificate.Fingerprint), errNotOnRecord)
	}
	return signed.NotAfter.Sub(signed.NotBefore).Seconds() <= r.MaxSeconds, nil
}

// dialRefused verifies as the client did: the control must be accepted, and the
// attempt refused because of the trust, or of the clock if that is what differs.
func (v *verifier) dialRefused(r DenialRecord) (bool, error) {
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
