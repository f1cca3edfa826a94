package pki

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// A Subject holds the optional parts of an authority's distinguished name
// (RFC 5280, section 4.1.2.4). Each may have several values.
type Subject struct {
	// Organization (O).
	Organization []string `yaml:"organization"`
	// OrganizationalUnit (OU).
	OrganizationalUnit []string `yaml:"organizationalUnit"`
	// Country (C), as two letters (ISO 3166).
	Country []string `yaml:"country"`
	// Province or state (ST).
	Province []string `yaml:"province"`
	// Locality or city (L).
	Locality []string `yaml:"locality"`
	// Street address, as the X.509 attribute street.
	StreetAddress []string `yaml:"streetAddress"`
	// Postal code.
	PostalCode []string `yaml:"postalCode"`
}

// SubjectOf returns the parts of a certificate's name.
func SubjectOf(c *x509.Certificate) Subject {
	return Subject{
		Organization: c.Subject.Organization, OrganizationalUnit: c.Subject.OrganizationalUnit,
		Country: c.Subject.Country, Province: c.Subject.Province, Locality: c.Subject.Locality,
		StreetAddress: c.Subject.StreetAddress, PostalCode: c.Subject.PostalCode,
	}
}

// parts lists the parts under Vault's names.
func (s Subject) parts() []part {
	return []part{
		{"organization", s.Organization},
		{"ou", s.OrganizationalUnit},
		{"country", s.Country},
		{"province", s.Province},
		{"locality", s.Locality},
		{"street_address", s.StreetAddress},
		{"postal_code", s.PostalCode},
	}
}

type part struct {
	name   string
	values []string
}

// An Authority is the wanted content of an authority's certificate.
type Authority struct {
	// CommonName (CN) of the authority: "Root CA Lab".
	CommonName string `yaml:"commonName" check:"required"`
	// Subject holds further parts of the authority's name.
	Subject Subject `yaml:"subject"`
	// TTL is the lifetime of the authority. That of an intermediate must not
	// reach beyond the end of its parent's.
	TTL engine.Duration `yaml:"ttl"`
	// KeyType is the algorithm of the authority's key.
	KeyType string `yaml:"keyType" check:"oneof=rsa|ec|ed25519"`
	// KeyBits is the size of the key: 2048, 3072, 4096 or 8192 for rsa, 224,
	// 256, 384 or 521 for ec. The default is Vault's: 2048 for rsa, 256 for ec.
	KeyBits int `yaml:"keyBits"`
}

// slack is how far the lifetime of a certificate may be from the one asked for.
// Vault sets the beginning 30 seconds back (not_before_duration).
const slack = 10 * time.Minute

// A Difference is one difference between a certificate and the plan.
type Difference struct {
	Field      string // as Vault names it: "common_name"
	Have, Want any
}

// Compare returns how c differs from a, in a fixed order. An end of life that
// was cut to that of an issuer (notAfter, zero for none) is no difference.
func (a Authority) Compare(c *x509.Certificate, cut time.Time) []Difference {
	var out []Difference
	add := func(field string, have, want any) {
		if !reflect.DeepEqual(have, want) {
			out = append(out, Difference{field, have, want})
		}
	}
	add("common_name", c.Subject.CommonName, a.CommonName)
	seen := SubjectOf(c).parts()
	for i, want := range a.Subject.parts() {
		have := slices.Sorted(slices.Values(seen[i].values))
		if !slices.Equal(have, slices.Sorted(slices.Values(want.values))) {
			out = append(out, Difference{want.name, have, want.values})
		}
	}
	keyType, bits := PublicKey(c.PublicKey)
	add("key_type", keyType, a.KeyType)
	if keyType == a.KeyType {
		add("key_bits", bits, a.Bits())
	}
	life := c.NotAfter.Sub(c.NotBefore)
	wasCut := !cut.IsZero() && c.NotAfter.Equal(cut) && life < a.TTL.Std()
	if off := life - a.TTL.Std(); !wasCut && (off > slack || off < -slack) {
		out = append(out, Difference{"ttl", engine.Duration(life.Truncate(time.Minute)).String(), a.TTL.String()})
	}
	return out
}

// Bits returns the size of the key that Vault makes for a
// (sdk/helper/certutil, defaultAlgorithmKeyBits).
func (a Authority) Bits() int {
	switch {
	case a.KeyBits != 0:
		return a.KeyBits
	case a.KeyType == "rsa":
		return 2048
	case a.KeyType == "ec":
		return 256
	}
	return 0
}

// Want describes the certificate as the difference shows it.
func (a Authority) Want() map[string]any {
	want := map[string]any{"common_name": a.CommonName, "ttl": a.TTL.String(), "key_type": a.KeyType}
	if bits := a.Bits(); bits != 0 {
		want["key_bits"] = bits
	}
	for _, p := range a.Subject.parts() {
		if len(p.values) > 0 {
			want[p.name] = p.values
		}
	}
	return want
}

// NameParameters are the request parameters that name the subject.
func (a Authority) NameParameters() map[string]any {
	// Vault would add a common name that looks like a host name to the subject
	// alternative names; an authority is no host.
	out := map[string]any{"common_name": a.CommonName, "exclude_cn_from_sans": true}
	for _, p := range a.Subject.parts() {
		if len(p.values) > 0 {
			out[p.name] = p.values
		}
	}
	return out
}

// Validate reports key sizes that Vault does not make; field is the path of the
// input that holds the size.
func (a Authority) Validate(p *engine.Problems, field string) {
	allowed := map[string][]int{"rsa": {2048, 3072, 4096, 8192}, "ec": {224, 256, 384, 521}, "ed25519": {}}
	sizes, known := allowed[a.KeyType]
	if !known || a.KeyBits == 0 || slices.Contains(sizes, a.KeyBits) {
		return
	}
	hint := "leave it out"
	if len(sizes) > 0 {
		hint = "use one of " + strings.Trim(fmt.Sprint(sizes), "[]")
	}
	p.AddProblem(engine.Problem{Field: field, Message: fmt.Sprintf("%d is not a size of %s keys", a.KeyBits, a.KeyType), Hint: hint})
}

// PublicKey returns Vault's name for the type of a public key, and its size in
// bits (0 for ed25519, whose size is fixed).
func PublicKey(key any) (kind string, bits int) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return "rsa", k.N.BitLen()
	case *ecdsa.PublicKey:
		return "ec", k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return "ed25519", 0
	}
	return fmt.Sprintf("%T", key), 0
}
