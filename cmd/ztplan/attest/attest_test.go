package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/evidencetest"
)

func write(t *testing.T, kind string, der []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// keys returns the files of a private key and of its public key.
func keys(t *testing.T, private crypto.Signer) (string, string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "PRIVATE KEY", der), write(t, "PUBLIC KEY", public)
}

func ed(t *testing.T) crypto.Signer {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ec(t *testing.T, c elliptic.Curve) crypto.Signer {
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signed(t *testing.T, name string, private crypto.Signer) (*evidence.Document, []byte, []byte, *attest.Key) {
	t.Helper()
	d, data := evidencetest.Read(t, name)
	priv, pub := keys(t, private)
	k, err := readPrivate(priv)
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := attest.Sign(t.Context(), d, data, k)
	if err != nil {
		t.Fatal(err)
	}
	p, err := readPublic(pub)
	if err != nil {
		t.Fatal(err)
	}
	return d, data, envelope, p
}

func TestSignAndVerify(t *testing.T) {
	for name, private := range map[string]crypto.Signer{"ed25519": ed(t), "p256": ec(t, elliptic.P256())} {
		t.Run(name, func(t *testing.T) {
			d, data, envelope, public := signed(t, "passed", private)
			if _, err := attest.Verify(t.Context(), d, data, envelope, public); err != nil {
				t.Error(err)
			}
			if _, err := attest.Verify(t.Context(), d, data, envelope, nil); err != nil {
				t.Errorf("without a key: %v", err)
			}
			_, _, _, other := signed(t, "passed", ed(t))
			if _, err := attest.Verify(t.Context(), d, data, envelope, other); err == nil {
				t.Error("another key verifies it")
			}
			if _, err := attest.Verify(t.Context(), d, append(data, '\n'), envelope, nil); err == nil || !strings.Contains(err.Error(), "SHA-256") {
				t.Errorf("other evidence: %v", err)
			}
		})
	}
}

// Whatever byte of the envelope is changed, it no longer verifies.
func TestEveryByteCounts(t *testing.T) {
	d, data, envelope, public := signed(t, "failed", ed(t))
	for i := range envelope {
		bad := bytes.Clone(envelope)
		bad[i] ^= 1
		if _, err := attest.Verify(t.Context(), d, data, bad, public); err == nil {
			t.Errorf("byte %d, %q, can be changed", i, envelope[max(0, i-10):min(len(envelope), i+10)])
		}
	}
}

// The statement has the form that in-toto tools read.
func TestStatement(t *testing.T) {
	_, data, envelope, _ := signed(t, "failed", ed(t))
	var e struct{ PayloadType, Payload string }
	if err := json.Unmarshal(envelope, &e); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(e.Payload)
	if err != nil {
		t.Fatal(err)
	}
	var s attest.Statement
	if err := json.Unmarshal(payload, &s); err != nil {
		t.Fatal(err)
	}
	if e.PayloadType != "application/vnd.in-toto+json" || s.Type != "https://in-toto.io/Statement/v1" ||
		s.PredicateType != "https://in-toto.io/attestation/test-result/v0.1" || s.Subject[0].Digest["sha256"] != evidence.Digest(data) ||
		s.Predicate.Result != "FAILED" || len(s.Predicate.Configuration) != 4 {
		t.Errorf("statement = %+v", s)
	}
	if got := strings.Join(s.Predicate.FailedTests, "; "); got != "rotation; rotation: no probe fails" {
		t.Errorf("failed tests: %s", got)
	}
}

// Only a proved run is PASSED.
func TestOnlyProvedIsPassed(t *testing.T) {
	for result, want := range map[engine.Result]string{
		engine.ResultProved: "PASSED", engine.ResultConverged: "WARNED", engine.ResultNotRun: "WARNED",
		engine.ResultAwaiting: "FAILED", engine.ResultDiffers: "FAILED", engine.ResultFailed: "FAILED", engine.ResultInterrupted: "FAILED",
	} {
		d, data := evidencetest.Read(t, "passed")
		d.Run.Result = string(result)
		if p := attest.StatementOf(d, data).Predicate; p.Result != want {
			t.Errorf("%s is %s, want %s", result, p.Result, want)
		}
	}
	d, data := evidencetest.Read(t, "passed")
	d.Steps[3].State, d.Steps[4].State = "skipped", "would"
	if p := attest.StatementOf(d, data).Predicate; strings.Join(p.WarnedTests, " ") != "site rotation" {
		t.Errorf("warned: %q", p.WarnedTests)
	}
}

// A signature of an older version still verifies: its statement is as it was.
func TestOldStatement(t *testing.T) {
	d, data := evidencetest.Read(t, "old-passed")
	if p := attest.StatementOf(d, data).Predicate; p.Result != "PASSED" || len(p.Configuration) != 3 {
		t.Errorf("predicate = %+v", p)
	}
	d.Steps[4].State = "would"
	if p := attest.StatementOf(d, data).Predicate; p.Result != "WARNED" || len(p.WarnedTests) != 1 {
		t.Errorf("predicate = %+v", p)
	}
}

// The values of the plan's variables are among the subjects of the statement.
func TestVariablesInTheStatement(t *testing.T) {
	d, data := evidencetest.Read(t, "passed")
	subject := func() string {
		for _, r := range attest.StatementOf(d, data).Predicate.Configuration {
			if r.Name == "evidence.json#subject" {
				return r.Digest["sha256"]
			}
		}
		t.Fatal("the statement has no subject")
		return ""
	}
	before := subject()
	d.Subject.Variables["domain"] = "other.local"
	if err := d.Seal(); err != nil {
		t.Fatal(err)
	}
	if subject() == before {
		t.Error("another value of a variable has the same digest")
	}
}

// A key whose private part is elsewhere signs as well, and the public key may
// be given as Vault exports it.
func TestKeyElsewhere(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := attest.NewKey(public, func(_ context.Context, data []byte) ([]byte, error) { return ed25519.Sign(private, data), nil })
	if err != nil {
		t.Fatal(err)
	}
	d, data := evidencetest.Read(t, "passed")
	envelope, err := attest.Sign(t.Context(), d, data, k)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "vault.pub")
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(public)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exported, err := readPublic(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attest.Verify(t.Context(), d, data, envelope, exported); err != nil {
		t.Error(err)
	}
	refusing, err := attest.NewKey(public, func(context.Context, []byte) ([]byte, error) { return nil, errors.New("sealed") })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attest.Sign(t.Context(), d, data, refusing); err == nil || !strings.Contains(err.Error(), "sealed") {
		t.Errorf("error is %v", err)
	}
}

func readPrivate(file string) (*attest.Key, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return attest.ParsePrivate(file, data)
}

func readPublic(file string) (*attest.Key, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return attest.ParsePublic(file, data)
}

func TestWrongKeys(t *testing.T) {
	private, public := keys(t, ed(t))
	big, _ := keys(t, ec(t, elliptic.P384()))
	for name, read := range map[string]func() (*attest.Key, error){
		"a public key to sign":    func() (*attest.Key, error) { return readPrivate(public) },
		"a private key to verify": func() (*attest.Key, error) { return readPublic(private) },
		"another curve":           func() (*attest.Key, error) { return readPrivate(big) },
		"garbage":                 func() (*attest.Key, error) { return readPublic(write(t, "PUBLIC KEY", []byte("x"))) },
	} {
		if _, err := read(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
