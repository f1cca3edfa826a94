package evidence

import (
	"slices"
	"strings"
	"time"
)

// A Denial is an attempt that had to be refused.
type Denial struct {
	What    string    `json:"what"`
	Refused bool      `json:"refused"` // for the reason for which it must be
	By      string    `json:"by"`      // who answered
	Answer  string    `json:"answer"`  // the refusal, word for word, redacted; or the grant
	At      time.Time `json:"at"`

	// Method is the kind of attempt: login, sign, access, dial or client. The rest depends on
	// it, and Refused follows from the rest. Without a method it is on record
	// only.
	Method string `json:"method,omitempty"`

	// Control is the request that was granted before under the same conditions, so that
	// nothing else can be the reason of the refusal.
	Control string `json:"control,omitempty"`

	Status   int       `json:"status,omitempty"`   // HTTP status of Vault's answer
	Expected []Refusal `json:"expected,omitempty"` // refusals of which the answer must be one

	// Certificate was signed (sign), shown by the server (dial), or presented by the
	// client (client; absent if it presented none).
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

	// ControlCertificate is the legitimate certificate of a client (client).
	ControlCertificate *Certificate `json:"controlCertificate,omitempty"`

	// Client holds the connections of an attempt to be served without the right
	// client certificate.
	Client *ClientDenial `json:"client,omitempty"`
}

// The values of ClientDenial.Presents.
const (
	PresentsNone    = "none"    // no certificate
	PresentsForeign = "foreign" // of another authority that has the names of the right one
	PresentsExpired = "expired" // of the right authority, and its time is over
	PresentsOther   = "other"   // one that the plan gives
)

// A ClientDenial is the outcome of new connections with a client certificate that the
// server must refuse, and of those of the legitimate client around them, to the same
// addresses.
type ClientDenial struct {
	Presents string `json:"presents"` // none, foreign, expired or other

	// Before are the answers to the control right before: to the legitimate
	// certificate, or to the very certificate that has expired since. All are served.
	Before []ClientAnswer `json:"before"`

	// After are the answers to the legitimate certificate right after. All are served.
	After []ClientAnswer `json:"after"`

	// Answers are those to the attempts. Each must be a refusal.
	Answers []ClientAnswer `json:"answers"`
}

// A ClientAnswer is one answer of a server, to some connections at one address.
type ClientAnswer struct {
	Address string    `json:"address"`
	Count   int       `json:"count"`            // connections
	First   time.Time `json:"first"`            // when the first of them was begun
	Asked   bool      `json:"asked"`            // the server asked for a client certificate
	Alert   string    `json:"alert,omitempty"`  // the TLS alert that ended the connection, as RFC 8446 calls it
	Closed  bool      `json:"closed,omitempty"` // the connection was closed without an alert or an answer
	Status  int       `json:"status,omitempty"` // of the answer to the request
}

// Served reports whether the request was answered as that of a client that is let in:
// with a status below 400.
func (a ClientAnswer) Served() bool {
	return a.Alert == "" && !a.Closed && a.Status > 0 && a.Status < 400
}

// Refused reports whether the answer is a refusal of the client's certificate, or of its
// lack: a TLS alert about the certificate, a connection that is closed after the server
// has asked for a certificate, or one of the HTTP statuses with which a server refuses a
// client that it let shake hands (400 by APISIX and nginx, 401, 403, and nginx's own 495
// and 496).
func (a ClientAnswer) Refused() bool {
	switch {
	case a.Alert != "":
		return slices.Contains(certificateAlerts, a.Alert)
	case a.Closed:
		return a.Asked
	}
	return slices.Contains([]int{400, 401, 403, 495, 496}, a.Status)
}

// certificateAlerts are the alerts by which servers refuse a client's certificate. Which
// one they choose differs: OpenSSL has certificate_required for none, unknown_ca and
// certificate_expired; with TLS 1.2 it has handshake_failure for none; others send
// bad_certificate or certificate_unknown for all of it.
var certificateAlerts = []string{
	"certificate_required", "handshake_failure", "bad_certificate", "unsupported_certificate", "certificate_revoked",
	"certificate_expired", "certificate_unknown", "unknown_ca", "access_denied", "decrypt_error",
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
