// Package attest signs evidence and verifies the signature: an in-toto
// Statement v1 with the predicate Test Result v0.1, in a DSSE envelope v1.
//
// The statement's subject is evidence.json by its SHA-256, so the signature
// holds for every byte of it. The file has one envelope in one line
// (evidence.intoto.jsonl), the form that in-toto tools read.
//
// Keys are PEM: PKCS#8 for a private key, SubjectPublicKeyInfo for a public
// one; Ed25519, or ECDSA on P-256 with SHA-256. A private key may also be where
// this program never sees it ([NewKey]). A key's id is the SHA-256 of its
// SubjectPublicKeyInfo in lower-case hexadecimal.
//
// Sources: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md,
// https://github.com/in-toto/attestation/tree/main/spec/v1 and
// spec/predicates/test-result.md there.
package attest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

// FileName is the name of the file beside evidence.json.
const FileName = "evidence.intoto.jsonl"

// Subject is the name of the statement's subject.
const Subject = "evidence.json"

const (
	payloadType   = "application/vnd.in-toto+json"
	statementType = "https://in-toto.io/Statement/v1"
	predicateType = "https://in-toto.io/attestation/test-result/v0.1"
)

// A Statement is an in-toto Statement v1 about a test result.
type Statement struct {
	Type          string     `json:"_type"`
	Subject       []Resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     Predicate  `json:"predicate"`
}

// A Resource is a ResourceDescriptor: a name and digests by algorithm.
type Resource struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// A Predicate is a Test Result.
type Predicate struct {
	Result        string     `json:"result"` // PASSED, WARNED or FAILED
	Configuration []Resource `json:"configuration"`
	PassedTests   []string   `json:"passedTests"`
	WarnedTests   []string   `json:"warnedTests"`
	FailedTests   []string   `json:"failedTests"`
}

// StatementOf returns the statement about evidence whose file has the bytes
// data. Tests are named by step, and by step and rule: "rotation: no probe
// fails". Only a run whose result is proved is PASSED. One that converged and
// left proofs out, or has none, and a dry run without differences are WARNED;
// proofs that were not run are among the warned tests. Everything else is FAILED.
func StatementOf(d *evidence.Document, data []byte) Statement {
	statement := NewStatement()
	p := &statement.Predicate
	old := d.Run.Result == "passed" // by a version that knew no other success
	switch r := d.Result(); {
	case r == engine.ResultProved, old:
		p.Result = "PASSED"
	case r == engine.ResultConverged, r == engine.ResultNotRun:
		p.Result = "WARNED"
	}
	p.Configuration = append(p.Configuration, SHA256(d.Plan.File, d.Plan.Digest))
	for _, f := range d.Plan.Files {
		p.Configuration = append(p.Configuration, SHA256(f.Name, f.Digest))
	}
	for _, c := range d.Charts {
		p.Configuration = append(p.Configuration, SHA256(c.Name+"-"+c.Version+".tgz", c.Digest))
	}
	for _, s := range d.Digests.Sections {
		if s.Name == "subject" {
			p.Configuration = append(p.Configuration, SHA256(Subject+"#subject", s.Digest))
		}
	}
	for _, s := range d.Steps {
		switch s.State {
		case "unchanged", "changed", "proved":
			p.PassedTests = append(p.PassedTests, s.ID)
		case "would":
			p.WarnedTests = append(p.WarnedTests, s.ID)
		case "skipped":
			if s.Proof {
				p.WarnedTests = append(p.WarnedTests, s.ID)
			}
		case "failed", "awaiting", "pending", "after":
			p.FailedTests = append(p.FailedTests, s.ID)
		}
		for _, f := range s.Findings {
			if f.Holds {
				p.PassedTests = append(p.PassedTests, s.ID+": "+f.Rule)
			} else {
				p.FailedTests = append(p.FailedTests, s.ID+": "+f.Rule)
			}
		}
	}
	if old && len(p.WarnedTests) > 0 {
		p.Result = "WARNED"
	}
	statement.Subject = []Resource{SHA256(Subject, evidence.Digest(data))}
	return statement
}

// NewStatement returns a statement about nothing, whose result is FAILED.
func NewStatement() Statement {
	return Statement{Type: statementType, PredicateType: predicateType, Predicate: Predicate{
		Result: "FAILED", Configuration: []Resource{}, PassedTests: []string{}, WarnedTests: []string{}, FailedTests: []string{},
	}}
}

// SHA256 describes a resource by its digest, lower-case hexadecimal.
func SHA256(name, digest string) Resource {
	return Resource{name, map[string]string{"sha256": digest}}
}

// Sign returns the content of the file beside evidence with the bytes data.
func Sign(ctx context.Context, d *evidence.Document, data []byte, key *Key) ([]byte, error) {
	return SignStatement(ctx, StatementOf(d, data), key)
}

// SignStatement returns a signed statement: one line with one envelope.
func SignStatement(ctx context.Context, s Statement, key *Key) ([]byte, error) {
	payload, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	signer, err := dsse.NewEnvelopeSigner(key)
	if err != nil {
		return nil, err
	}
	envelope, err := signer.SignPayload(ctx, payloadType, payload)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	line, err := json.Marshal(envelope)
	return append(line, '\n'), err
}

// Verify checks that envelope, the content of the file beside evidence, is
// about that evidence and has the statement that follows from it, and, if key is not nil,
// that key signed it. It returns the ids of the keys that the envelope names.
//
// Without a key nothing is proved about who made it.
func Verify(ctx context.Context, d *evidence.Document, data, envelope []byte, key *Key) (ids []string, err error) {
	return VerifyStatement(ctx, StatementOf(d, data), envelope, key)
}

// VerifyStatement is Verify for a statement that follows from other files. The subject
// that comes first is the one that messages name.
func VerifyStatement(ctx context.Context, statement Statement, envelope []byte, key *Key) (ids []string, err error) {
	var e dsse.Envelope
	dec := json.NewDecoder(bytes.NewReader(envelope))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return nil, fmt.Errorf("the envelope: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("the envelope: there is something after it")
	}
	for _, s := range e.Signatures {
		ids = append(ids, s.KeyID)
	}
	if again, err := json.Marshal(e); err != nil || !bytes.Equal(append(again, '\n'), envelope) {
		return ids, errors.New("the envelope is not printed as ztplan prints it: it was edited")
	}
	if e.PayloadType != payloadType {
		return ids, fmt.Errorf("the payload is %q instead of %q", e.PayloadType, payloadType)
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(e.Payload)
	if err != nil {
		return ids, fmt.Errorf("the payload: %w", err)
	}
	for _, s := range e.Signatures {
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Sig); err != nil {
			return ids, fmt.Errorf("a signature: %w", err)
		}
	}
	if key != nil {
		verifier, err := dsse.NewEnvelopeVerifier(key)
		if err != nil {
			return ids, err
		}
		if _, err := verifier.Verify(ctx, &e); err != nil {
			return ids, fmt.Errorf("key %s did not sign it; it names %q", key.id, ids)
		}
		// One signature is asked for; another one that is not checked must not
		// ride along.
		if !slices.Equal(ids, []string{key.id}) {
			return ids, fmt.Errorf("the envelope names the keys %q, the key given is %s", ids, key.id)
		}
	}
	want, err := json.Marshal(statement)
	if err != nil {
		return ids, err
	}
	if !bytes.Equal(want, payload) {
		var s Statement
		have := statement.Subject[0].Digest["sha256"]
		if json.Unmarshal(payload, &s) == nil && len(s.Subject) > 0 && s.Subject[0].Digest["sha256"] != have {
			return ids, fmt.Errorf("the statement is about a file with SHA-256 %s, this one has %s", s.Subject[0].Digest["sha256"], have)
		}
		return ids, errors.New("the statement does not say what the evidence says")
	}
	return ids, nil
}
