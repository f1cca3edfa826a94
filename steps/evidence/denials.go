package evidence

import (
	"strings"
	"time"
)

// A Denial is something that had to be refused.
type Denial struct {
	What    string    `json:"what"`
	Refused bool      `json:"refused"` // for the reason for which it must be
	By      string    `json:"by"`      // who answered
	Answer  string    `json:"answer"`  // the refusal, word for word, redacted; or the grant
	At      time.Time `json:"at"`

	// Method is the kind of attempt: login, sign, access, or dial. The rest depends on
	// it, and Refused follows from the rest. Without a method it is on record
	// only.
	Method string `json:"method,omitempty"`

	// Control is the request that was granted before under the same conditions, so that
	// nothing else can be the reason of the refusal.
	Control string `json:"control,omitempty"`

	Status   int       `json:"status,omitempty"`   // HTTP status of Vault's answer
	Expected []Refusal `json:"expected,omitempty"` // refusals of which the answer must be one

	// Certificate was signed (sign), or shown by the server (dial).
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
