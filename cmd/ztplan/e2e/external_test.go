package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
)

// An offlineRoot is a root that is in no Vault.
type offlineRoot struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// newOfflineRoot makes a root and writes its certificate to a file.
func (w *world) newOfflineRoot(file string) *offlineRoot {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	r := &offlineRoot{key, authority(pkix.Name{CommonName: "Offline Root"}, 20)}
	r.cert = r.certify(w, r.cert, key.Public(), file)
	return r
}

// sign signs the request in a file as an intermediate, as a person with openssl does.
func (r *offlineRoot) sign(w *world, csr, file string) {
	w.t.Helper()
	text, err := os.ReadFile(csr)
	if err != nil {
		w.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		w.t.Fatal(err)
	}
	r.certify(w, authority(request.Subject, 5), request.PublicKey, file)
}

func authority(name pkix.Name, years int) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: name,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().AddDate(years, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

func (r *offlineRoot) certify(w *world, c *x509.Certificate, key any, file string) *x509.Certificate {
	w.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, r.cert, key, r.key)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		w.t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		w.t.Fatal(err)
	}
	return signed
}

const externalPlan = `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: external}
vars: {token: {secret: true, required: true}}
connections:
  vault: {service: {namespace: vault, name: vault}, token: "${vars.token}"}
steps:
  - id: ca
    uses: pkiIntermediate
    with:
      mount: pki_external
      commonName: Intermediate CA
      issuerName: external
      keyType: ec
      parent: {external: {csrFile: ext.csr, certificateFile: ext.pem, rootFile: ext-root.pem}}
      roles: [{name: web, allowedDomains: [example.local], allowSubdomains: true, keyType: ec, maxTTL: 24h, noStore: true}]
  - id: user
    uses: applyManifest
    with:
      manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: external-ca, namespace: default}, data: {chain: "${steps.ca.chain}"}}]
  - id: other
    uses: applyManifest
    with:
      manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: external-other, namespace: default}, data: {a: b}}]
  - id: site
    uses: curlTLS
    with:
      url: https://hello.example.local
      service: {namespace: ingress-apisix, name: apisix-gateway, port: 443}
      trustFile: ca.pem
      expect: {status: 200}
`

const externalAwaits = "awaiting signature: sign ext.csr with your root and put the certificate at ext.pem, then run again"

// A signing is a plan with an intermediate under an offline root, on a finished world.
type signing struct {
	w          *world
	mount, ext string // of the intermediate, and the beginning of its files
	root       *offlineRoot
}

// newSigning writes the plan, with a mount and files of its own.
func (w *world) newSigning(mount, ext string) *signing {
	w.t.Helper()
	s := &signing{w: w, mount: mount, ext: ext}
	w.writeProof("ca.pem", w.rootCertificate())
	w.writeProof("token.yaml", "token: "+w.vault().Token()+"\n")
	w.writeProof(ext+".yaml", strings.NewReplacer("pki_external", mount, "ext.csr", ext+".csr", "ext.pem", ext+".pem", "ext-root.pem", ext+"-root.pem").Replace(externalPlan))
	s.root = w.newOfflineRoot(s.in("-root.pem"))
	return s
}

// in returns the path of a file by its end.
func (s *signing) in(end string) string { return filepath.Join(s.w.work, "proof", s.ext+end) }

func (s *signing) do(each func(engine.Event, *os.Process), verb string, more ...string) *outcome {
	s.w.t.Helper()
	return s.w.do(each, append([]string{verb, "proof/" + s.ext + ".yaml", "--var-file", "proof/token.yaml"}, more...)...)
}

// run, status and sign leave out the proof, which writes.
func (s *signing) run(more ...string) *outcome {
	s.w.t.Helper()
	return s.do(nil, "run", append([]string{"--skip", "site"}, more...)...)
}

func (s *signing) status(more ...string) *outcome {
	s.w.t.Helper()
	return s.do(nil, "status", append([]string{"--skip", "site"}, more...)...)
}

// sign signs the request.
func (s *signing) sign() {
	s.w.t.Helper()
	s.root.sign(s.w, s.in(".csr"), s.in(".pem"))
}

// remove deletes files by their ends.
func (s *signing) remove(ends ...string) {
	s.w.t.Helper()
	for _, end := range ends {
		if err := os.Remove(s.in(end)); err != nil {
			s.w.t.Fatal(err)
		}
	}
}

// settled checks the state that has to hold after any number of kills.
func (s *signing) settled(t *testing.T) {
	t.Helper()
	must(t, "status afterwards", s.status(), 0)
	if again := s.run().summary(); again.Edits != 0 {
		t.Errorf("the next run made %d edits", again.Edits)
	}
	if keys := s.w.list(s.mount + "/keys"); len(keys) != 1 {
		t.Errorf("%s has %d keys", s.mount, len(keys))
	}
	if issuers := s.w.list(s.mount + "/issuers"); len(issuers) != 2 {
		t.Errorf("%s has %d issuers, want the intermediate and its root", s.mount, len(issuers))
	}
	for _, end := range []string{".csr", ".pem"} {
		if left, err := filepath.Glob(filepath.Join(filepath.Dir(s.in(end)), "."+s.ext+end+"-*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// crash kills runs at the edits of points until one awaits the signature, and then until
// one has imported it. It removes from points those at which a run was killed.
func (s *signing) crash(t *testing.T, points map[string]moment, took map[string]time.Duration, tb *table) {
	t.Helper()
	c := newChain(func(each func(engine.Event, *os.Process)) *outcome { return s.do(each, "run", "--skip", "site") }, points, took, tb)
	must(t, "the run after the kills", c.run(), 2)
	s.sign()
	must(t, "the run after the kills, with the certificate", c.run(), 0)
	s.settled(t)
	for at := range c.killed {
		delete(points, at)
	}
}

// crashExternal kills runs before, during and after each edit to an intermediate that an
// external parent signs.
func (w *world) crashExternal(t *testing.T, tb *table) {
	took := make(map[string]time.Duration)
	note := func(e engine.Event, _ *os.Process) {
		if e.Action == engine.ActionApplied && e.Step == "ca" {
			took[place(e)] = time.Duration(e.Seconds * float64(time.Second))
		}
	}
	whole := w.newSigning("pki_external", "ext")
	must(t, "a run that is not killed", whole.do(note, "run", "--skip", "site"), 2)
	whole.sign()
	must(t, "a run with the certificate that is not killed", whole.do(note, "run", "--skip", "site"), 0)
	for _, m := range []moment{before, during, after} {
		left := make(map[string]moment)
		for at := range took {
			left[at] = m
		}
		for n := 0; n < chains && len(left) > 0 && !t.Failed(); n++ {
			mount := fmt.Sprintf("pki_%s_%d", m, n)
			points, times := make(map[string]moment), make(map[string]time.Duration)
			for at := range left {
				own := strings.ReplaceAll(at, "pki_external", mount)
				points[own], times[own] = m, took[at]
			}
			w.newSigning(mount, mount).crash(t, points, times, tb)
			clear(left)
			for own := range points {
				left[strings.ReplaceAll(own, mount, "pki_external")] = m
			}
		}
		for at := range left {
			t.Errorf("no run was killed %s %s: has a path changed?", m, at)
		}
	}
}

// external takes an intermediate under an offline root through its life on a finished
// world: killed while the request is made, awaiting the signature, given a wrong and then the
// right certificate, killed while that is imported. Then others change its objects.
func (w *world) external(t *testing.T) {
	s := w.newSigning("pki_external", "ext")
	report := filepath.Join(w.home, "external")
	must(t, "dry run of an empty world", s.do(nil, "run", "--dry-run"), 2)
	points := map[string]moment{"ca pki_external/issuer/external/csr": before, "ca pki_external/issuer/external": after}
	kills := newChain(func(each func(engine.Event, *os.Process)) *outcome { return s.do(each, "run", "--report", report) }, points, nil, new(table))
	kills.run()
	for _, verb := range []string{"run", "status"} { // both have the same
		var more []string
		if verb == "run" {
			more = []string{"--report", report}
		}
		o := s.do(nil, verb, more...)
		must(t, verb+" without a signature", o, 2)
		if sum := o.summary(); sum.Result != engine.ResultAwaiting || sum.Outcome() != "awaiting signature" {
			t.Errorf("%s: %s", verb, sum.Outcome())
		}
		if !strings.Contains(o.stderr, externalAwaits) {
			t.Errorf("%s does not say what is to be done:\n%s", verb, o.stderr)
		}
		if verb == "run" {
			if d := cmp.Diff([]string{"awaiting", "skip behind ca", "proved"}, []string{o.state("ca"), o.state("user"), o.state("site")}); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		}
	}
	if keys := w.list("pki_external/keys"); len(keys) != 1 {
		t.Errorf("there are %d keys", len(keys))
	}
	for name, want := range map[string]string{"junit.xml": externalAwaits, "summary.md": "awaiting signature", "report.html": externalAwaits} {
		if text, err := os.ReadFile(filepath.Join(report, name)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s does not say what is awaited: %v", name, err)
		}
	}
	if out, err := w.bare(t.Context(), "verify", report).CombinedOutput(); err != nil || !strings.Contains(string(out), "awaiting signature") {
		t.Errorf("verify: %v\n%s", err, out)
	}
	if out, err := w.bare(t.Context(), "verify", report, "--require-proved").CombinedOutput(); err == nil || !strings.Contains(string(out), "the run is not proved: awaiting signature") {
		t.Errorf("verify --require-proved: %v\n%s", err, out)
	}
	w.driftExternal(t, s, true, new(table))

	w.newOfflineRoot(s.in("-other.pem")).sign(w, s.in(".csr"), s.in(".pem"))
	wrong := s.do(nil, "run")
	must(t, "a certificate of another root", wrong, 1)
	if !strings.Contains(wrong.stderr, "does not lead to CN=Offline Root in ext-root.pem") {
		t.Error(wrong)
	}
	s.sign()
	signed := kills.run()
	must(t, "the run with the certificate", signed, 0)
	if sum := signed.summary(); sum.Result != engine.ResultProved {
		t.Errorf("%s", sum.Outcome())
	}
	for at := range points {
		if !kills.killed[at] {
			t.Errorf("no run was killed at %s: has a path changed?", at)
		}
	}
	s.settled(t)
	w.driftExternal(t, s, false, new(table))
}

// driftExternal makes the drifts of a plan with an external parent: those while it awaits
// the signature, or those afterwards.
func (w *world) driftExternal(t *testing.T, s *signing, awaiting bool, tb *table) {
	w.signing = s
	for _, d := range externalDrifts {
		if d.awaiting == awaiting && (d.quick || full()) {
			w.sub(t, d.kind+"/"+d.name, func(t *testing.T) { w.alone(t, d, tb) })
		}
	}
}

// externalDrifts are the rows of the drift table about an intermediate that an external
// parent signs.
var externalDrifts = []drift{
	{
		kind: "pkiIntermediate", name: "awaiting: signing request deleted", quick: true, external: true, awaiting: true,
		make:  func(w *world) { w.signing.remove(".csr") },
		found: `^ca pki_external/issuer/external/csr`,
	},
	{
		kind: "pkiIntermediate", name: "awaiting: signing request of somebody else in its place", external: true, awaiting: true,
		make: func(w *world) {
			w.edit(w.signing.in(".csr"), func([]byte) []byte { return strangersRequest(w) })
		},
		refused: `^ca .*ext\.csr: holds the request of CN=Stranger, whose key is not in pki_external`,
		after:   func(w *world) { w.rename(w.signing.in(".csr")+".away", w.signing.in(".csr")) },
	},
	{
		kind: "pkiIntermediate", name: "awaiting: signing request cut off", external: true, awaiting: true,
		make: func(w *world) {
			w.edit(w.signing.in(".csr"), func(text []byte) []byte { return text[:len(text)/2] })
		},
		refused: `^ca .*ext\.csr: no PEM certificate request in it`,
		after:   func(w *world) { w.rename(w.signing.in(".csr")+".away", w.signing.in(".csr")) },
	},
	{
		kind: "pkiIntermediate", name: "awaiting: certificate of another request", external: true, awaiting: true,
		make: func(w *world) {
			if err := os.WriteFile(w.signing.in("-stranger.csr"), strangersRequest(w), 0o600); err != nil {
				w.t.Fatal(err)
			}
			w.signing.root.sign(w, w.signing.in("-stranger.csr"), w.signing.in(".pem"))
		},
		refused: `^ca .*ext\.pem: its first certificate, CN=Stranger, has another key than the request in ext\.csr`,
		after:   func(w *world) { w.signing.remove(".pem") },
	},
	{
		kind: "pkiIntermediate", name: "awaiting: key of the request deleted in Vault", external: true, awaiting: true,
		make: func(w *world) {
			for _, id := range w.list("pki_external/keys") {
				w.erase("pki_external/key/" + id)
			}
		},
		refused: `^ca .*ext\.csr: holds the request of CN=Intermediate CA, whose key is not in pki_external`,
		after:   func(w *world) { w.signing.remove(".csr"); must(w.t, "run", w.signing.run(), 2) },
	},
	{
		kind: "pkiIntermediate", name: "signed: issuer deleted, its key left", quick: true, external: true,
		make:  func(w *world) { w.erase("pki_external/issuer/external") },
		found: `^ca pki_external/issuer/external `,
	},
	{
		kind: "pkiIntermediate", name: "signed: certificate and request deleted", external: true,
		make:  func(w *world) { w.erase("pki_external/roles/web"); w.signing.remove(".csr", ".pem") },
		found: `^ca pki_external/roles/web`,
	},
	{
		kind: "pkiIntermediate", name: "signed: issuer renamed", external: true,
		make:    func(w *world) { w.write("pki_external/issuer/external", fields{"issuer_name": "renamed"}) },
		refused: `^ca .*under the name renamed, and the plan calls it external`,
		after:   func(w *world) { w.write("pki_external/issuer/renamed", fields{"issuer_name": "external"}) },
	},
	{
		kind: "pkiIntermediate", name: "signed: issuer forbidden to sign", external: true,
		make: func(w *world) {
			w.write("pki_external/issuer/external", fields{"issuer_name": "external", "usage": "read-only,crl-signing"})
		},
		found: `^ca pki_external/issuer/external/usage .*issuing-certificates`,
	},
	{
		kind: "pkiIntermediate", name: "signed: default issuer moved", external: true,
		make: func(w *world) {
			w.write("pki_external/root/generate/internal", fields{"common_name": "Stranger", "issuer_name": "stranger", "key_name": "stranger", "ttl": "100h"})
			w.write("pki_external/config/issuers", fields{"default": "stranger"})
		},
		found: `^ca pki_external/config/issuers.*external`,
		after: func(w *world) { w.erase("pki_external/issuer/stranger"); w.erase("pki_external/key/stranger") },
	},
	{
		kind: "pkiIntermediate", name: "signed: certificate of the root replaced by another root's", external: true,
		make: func(w *world) {
			w.rename(w.signing.in("-root.pem"), w.signing.in("-root.pem")+".away")
			w.newOfflineRoot(w.signing.in("-root.pem"))
		},
		found: `^ca pki_external/issuer/external/`, awaits: true,
		after: func(w *world) { w.rename(w.signing.in("-root.pem")+".away", w.signing.in("-root.pem")) },
	},
}

// strangersRequest is a signing request for a key that is in no Vault.
func strangersRequest(w *world) []byte {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	var der []byte
	if err == nil {
		der, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "Stranger"}}, key)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}
