package certs_test

import (
	"crypto/x509"
	"math/big"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

func TestSerial(t *testing.T) {
	for n, want := range map[int64]string{0: "00", 7: "07", 0x0ae72a: "0a:e7:2a"} {
		if got := certs.Serial(&x509.Certificate{SerialNumber: big.NewInt(n)}); got != want {
			t.Errorf("%x: %q, want %q", n, got, want)
		}
	}
	if got := certs.Serial(nil); got != "" {
		t.Errorf("without a certificate: %q", got)
	}
	for _, s := range []string{"0a:e7:2a", "0AE72A", " ae72a", "00 0A E7 2A"} {
		if got, want := certs.NormalHex(s), "ae72a"; got != want {
			t.Errorf("NormalHex(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestIdentifiers(t *testing.T) {
	root, key := tlstest.NewCA(t, "Root CA Lab"), tlstest.NewKey(t)
	a, b := root.Issue(t, tlstest.Leaf{Key: key}).Leaf(), root.Issue(t, tlstest.Leaf{Key: key}).Leaf()
	if certs.KeyDigest(a) != certs.KeyDigest(b) || certs.Fingerprint(a) == certs.Fingerprint(b) {
		t.Error("two certificates of one key must differ in the fingerprint only")
	}
	if got, want := certs.KeyName(a), "ECDSA P-256"; got != want {
		t.Errorf("KeyName = %q, want %q", got, want)
	}
	if !certs.SelfSigned(root.Cert) || certs.SelfSigned(a) || !certs.Signs(root.Cert) || certs.Signs(a) {
		t.Error("the root alone is self-signed and signs")
	}
}

func TestParse(t *testing.T) {
	root, second := tlstest.NewCA(t, "Root CA Lab"), tlstest.NewCA(t, "Second")
	leaf := root.Issue(t, tlstest.Leaf{CommonName: "leaf"})
	both := certs.Encode(root.Cert, second.Cert)
	for name, c := range map[string]struct{ text, one, all string }{
		"one":     {"a comment\n" + root.PEM() + "another\n", "", ""},
		"two":     {both, "2 certificates where one is expected", ""},
		"empty":   {" \n", "empty", "empty"},
		"no PEM":  {"hello", "no PEM certificate", "no PEM certificate"},
		"cut off": {"-----BEGIN CERTIFICATE-----", "cut off", "cut off"},
		"folded":  {strings.ReplaceAll(root.PEM(), "\n", " "), "lost its line ends", "lost its line ends"},
		"half":    {root.PEM() + second.PEM()[:200], "cut off", "cut off"},
		"a key":   {root.PEM() + string(leaf.KeyPEM), "PEM block 2 is a PRIVATE KEY", "PEM block 2 is a PRIVATE KEY"},
		"damaged": {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1", "certificate 1"},
	} {
		_, one := certs.ParseOne(c.text)
		_, all := certs.Parse(c.text)
		for want, err := range map[string]error{c.one: one, c.all: all} {
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
	if all, err := certs.Parse(both); err != nil || len(all) != 2 || !all[0].Equal(root.Cert) || !all[1].Equal(second.Cert) {
		t.Errorf("%v, %v", all, err)
	}
}

func TestRequest(t *testing.T) {
	text, err := certs.NewRequest(tlstest.NewKey(t), "a.example.local", "b.example.local")
	if err != nil {
		t.Fatal(err)
	}
	r, err := certs.ParseRequest(text)
	if err != nil || r.Subject.CommonName != "a.example.local" || len(r.DNSNames) != 2 || r.CheckSignature() != nil {
		t.Errorf("%v, %+v", err, r)
	}
	if _, err := certs.ParseRequest(tlstest.NewCA(t, "Root").PEM()); err == nil {
		t.Error("a certificate was read as a request")
	}
}
