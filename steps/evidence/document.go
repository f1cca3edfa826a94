package evidence

import (
	"time"

	"github.com/ztplan/ztplan/engine"
)

// Schema is the value of Document.Schema that this package writes and reads.
const Schema = "ztplan.dev/evidence/v1"

// Passed was the only result without a failure until proofs that were skipped
// got one of their own. It is read and not written.
const Passed = "passed"

// The values of Run.Mode.
const (
	ModeApply  = "apply"
	ModeDryRun = "dry-run"
)

// A Document is the evidence of one run.
type Document struct {
	Schema       string              `json:"schema"`              // the form of the document; fields may be added to a version
	Plan         Plan                `json:"plan"`                // the plan that was run
	Run          Run                 `json:"run"`                 // when, how, with which result
	Subject      *Subject            `json:"subject,omitempty"`   // where it ran and who ran it; absent in evidence of older versions
	Charts       []ChartRecord       `json:"charts"`              // Helm charts that were installed
	Steps        []Step              `json:"steps"`               // in the order of the plan
	Timeline     []Moment            `json:"timeline"`            // the events in order
	Rotations    []RotationRecord    `json:"rotations"`           // measurements of assertRotation
	Rollovers    []RolloverRecord    `json:"rollovers"`           // intermediate authorities that were replaced
	Handshakes   []HandshakeRecord   `json:"handshakes"`          // observations of curlTLS
	Denials      []DenialRecord      `json:"denials"`             // attempts that had to be refused, with the refusals
	Records      []OtherRecord       `json:"records"`             // others of steps, as they are
	Certificates []CertificateRecord `json:"certificates"`        // every public certificate that appears, once; others refer to it by fingerprint
	Diagnosis    *Diagnosis          `json:"diagnosis,omitempty"` // the state of what had failed; absent without a failure
	Summary      engine.Summary      `json:"summary"`             // counts, duration and critical path
	Digests      Digests             `json:"digests"`
	Pages        []FileDigest        `json:"pages,omitempty"` // the renderings beside this file, which show all of it but this
}

// A Plan identifies the plan that was run.
type Plan struct {
	Name   string       `json:"name"`
	File   string       `json:"file"`   // as the user named it
	Digest string       `json:"digest"` // of the plan file
	Files  []FileDigest `json:"files"`  // others that the plan reads, sorted by name
}

// A FileDigest is a file and the digest of its content.
type FileDigest struct {
	Name   string `json:"name"` // as the plan writes it
	Digest string `json:"digest"`
}

// A Run describes the run of the plan.
type Run struct {
	Began    time.Time         `json:"began"`
	Ended    time.Time         `json:"ended"`
	Mode     string            `json:"mode"`   // apply or dry-run
	Result   string            `json:"result"` // proved, converged, awaiting, not-run, differs, failed or interrupted; of older versions also passed
	Remark   string            `json:"remark"` // a warning for the reader: that parts were stand-ins
	Version  string            `json:"version"`
	Platform string            `json:"platform"` // "linux/amd64"
	Versions map[string]string `json:"versions"` // of the components that the run met, as far as they are known
}

// A Step is the result of one step.
type Step struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Proof    bool      `json:"proof,omitempty"`
	Position string    `json:"position"` // file:line:column
	Needs    []string  `json:"needs"`
	State    string    `json:"state"`             // unchanged, changed, proved, awaiting, pending, after, would, skipped, failed
	Began    time.Time `json:"began,omitzero"`    // absent if it never started
	Seconds  float64   `json:"seconds"`           // duration
	Retries  int       `json:"retries"`           // how often it tried again
	Edits    []Edit    `json:"edits"`             // differences that were found
	Findings []Finding `json:"findings"`          // rules of a proof
	Would    []string  `json:"would,omitempty"`   // dry run: the intent of a proof
	Changes  []Change  `json:"changes,omitempty"` // dry run: the changes of a proof
	Warnings []string  `json:"warnings,omitempty"`
	Reason   string    `json:"reason,omitempty"` // why it was skipped, the steps that it waits for, or what it is awaiting
	Error    string    `json:"error,omitempty"`
	Hint     string    `json:"hint,omitempty"`
	Next     string    `json:"next,omitempty"` // the command that is to follow the failure
	Until    time.Time `json:"until,omitzero"` // until when the certificate is valid that clients were served when it failed
}

// An Edit is a difference that was found, and whether it was removed.
type Edit struct {
	Path    string  `json:"path"`
	Have    any     `json:"have"`
	Want    any     `json:"want"`
	Note    string  `json:"note,omitempty"`
	Applied int     `json:"applied"`           // how often it was applied
	Unknown bool    `json:"unknown,omitempty"` // cut off: whether it took effect is not known
	Seconds float64 `json:"seconds"`           // duration of applying, all times together
}

// A Change is one that a proof of a dry run would make.
type Change struct {
	Path string `json:"path"`
	Want any    `json:"want"`
	Note string `json:"note,omitempty"`
}

// A Finding is the verdict on one rule of a proof.
type Finding struct {
	Rule   string `json:"rule"`
	Holds  bool   `json:"holds"`
	Have   any    `json:"have,omitempty"`
	Want   any    `json:"want,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// A Moment is one event of the run.
type Moment struct {
	Time    time.Time     `json:"time"`
	Step    string        `json:"step,omitempty"`
	Action  engine.Action `json:"action"`
	Path    string        `json:"path,omitempty"`
	Attempt int           `json:"attempt,omitempty"`
	Message string        `json:"message,omitempty"`
	Error   string        `json:"error,omitempty"`
	Seconds float64       `json:"seconds,omitempty"`
}

// A CertificateRef is a certificate as it was presented.
type CertificateRef struct {
	Fingerprint string   `json:"fingerprint"`
	Chain       []string `json:"chain"` // fingerprints of the certificates that came with it, in order
}

// A RotationRecord is a Rotation with references in place of certificates.
type RotationRecord struct {
	Step string `json:"step"`
	Rotation
	Trust   []string         `json:"trust"`             // fingerprints of the roots
	Certs   []CertificateRef `json:"certificates"`      // [0] old, [1] new, others that were seen after
	Clients []CertificateRef `json:"clients,omitempty"` // presented by the clients, in the order of their first use
}

// A HandshakeRecord is a Handshake with references in place of certificates.
type HandshakeRecord struct {
	Step string `json:"step"`
	Handshake
	Trust       []string        `json:"trust"`
	Certificate CertificateRef  `json:"certificate"`
	Client      *CertificateRef `json:"client,omitempty"` // presented by the client
}

// A DenialRecord is a Denial with references in place of certificates.
type DenialRecord struct {
	Step string `json:"step"`
	Denial
	Certificate  *CertificateRef `json:"certificate,omitempty"`  // signed, shown by the server, or presented by the client
	Trust        []string        `json:"trust,omitempty"`        // fingerprints of the roots that must not be led to
	ControlTrust []string        `json:"controlTrust,omitempty"` // fingerprints of the roots that are

	ControlCertificate *CertificateRef `json:"controlCertificate,omitempty"` // the legitimate certificate of a client
}

// A ChartRecord is a Chart and the step that put it on record.
type ChartRecord struct {
	Step string `json:"step"`
	Chart
}

// An OtherRecord is a record that this version knows no form for.
type OtherRecord struct {
	Step string    `json:"step"`
	Name string    `json:"name"`
	At   time.Time `json:"at"`
	Data any       `json:"data"`
}

// A CertificateRecord is a public certificate. The fields but PEM repeat its content,
// for readers that cannot parse it.
type CertificateRecord struct {
	Fingerprint string    `json:"fingerprint"` // SHA-256 of the DER
	Serial      string    `json:"serial"`      // colon-separated lower-case hexadecimal
	PublicKey   string    `json:"publicKey"`   // SHA-256 of the SubjectPublicKeyInfo
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	Names       []string  `json:"names"` // DNS names and IP addresses
	NotBefore   time.Time `json:"notBefore"`
	NotAfter    time.Time `json:"notAfter"`
	CA          bool      `json:"ca"`
	PEM         string    `json:"pem"`
}

// Digests are the digests of the sections and of the whole.
type Digests struct {
	Algorithm string          `json:"algorithm"` // "sha256"
	Sections  []SectionDigest `json:"sections"`  // in the order of the document
	Overall   string          `json:"overall"`
	Pages     string          `json:"pages,omitempty"` // of the section pages, which Overall does not cover: the pages show Overall
}

// A SectionDigest is the digest of one top-level field of the document.
type SectionDigest struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}
