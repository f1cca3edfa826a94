package engine

import (
	"crypto/subtle"
	"fmt"
	"io"
)

// Redacted stands wherever a secret would have been shown.
const Redacted = "(secret)"

// A Secret is a string that formats, marshals and logs as "(secret)". Only
// Reveal gives it away; a search for that word finds every place.
//
// It holds a pointer because package fmt does not call methods on unexported
// struct fields: it would print the text of a plain string, but only prints
// the address of a pointer.
type Secret struct{ p *string }

// NewSecret returns a Secret that holds s.
func NewSecret(s string) Secret { return Secret{&s} }

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p
}

// IsZero reports whether the secret is unset or empty.
func (s Secret) IsZero() bool { return s.p == nil || *s.p == "" }

// Equal compares in time that does not depend on where the texts differ.
func (s Secret) Equal(o Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(o.Reveal())) == 1
}

// String returns "(secret)".
func (s Secret) String() string { return Redacted }

// Format writes "(secret)" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalText returns "(secret)"; it serves JSON, YAML and log encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalYAML returns "(secret)".
func (s Secret) MarshalYAML() (any, error) { return Redacted, nil }

// GobEncode leaves the text out: a secret does not reach another process by
// accident.
func (s Secret) GobEncode() ([]byte, error) { return nil, nil }

// GobDecode leaves the secret unset.
func (s *Secret) GobDecode([]byte) error {
	*s = Secret{}
	return nil
}
