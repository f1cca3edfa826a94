package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
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

// external takes an intermediate under an offline root through its life on a finished
// world: killed while the request is made, awaiting the signature, given a wrong and then the
// right certificate.
func (w *world) external(t *testing.T) {
	w.writeProof("ca.pem", w.rootCertificate())
	w.writeProof("external.yaml", externalPlan)
	in := func(name string) string { return filepath.Join(w.work, "proof", name) }
	root, report := w.newOfflineRoot(in("ext-root.pem")), filepath.Join(w.home, "external")
	w.writeProof("token.yaml", "token: "+w.vault().Token()+"\n")
	do := func(each func(engine.Event, *os.Process), verb string, more ...string) *outcome {
		return w.do(each, append([]string{verb, "proof/external.yaml", "--var-file", "proof/token.yaml"}, more...)...)
	}

	must(t, "dry run of an empty world", do(nil, "run", "--dry-run"), 2)
	killed := do(func(e engine.Event, p *os.Process) {
		if e.Action == engine.ActionApply && strings.HasSuffix(e.Path, "/csr") {
			_ = p.Kill()
		}
	}, "run")
	must(t, "a killed run", killed, -1)
	for _, verb := range []string{"run", "run", "status"} { // each says the same
		var more []string
		if verb == "run" {
			more = []string{"--report", report}
		}
		o := do(nil, verb, more...)
		must(t, verb+" without a signature", o, 2)
		s := o.summary()
		if s.Result != engine.ResultAwaiting || s.Outcome() != "awaiting signature" {
			t.Errorf("%s: %s", verb, s.Outcome())
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

	w.newOfflineRoot(in("ext-other.pem")).sign(w, in("ext.csr"), in("ext.pem"))
	wrong := do(nil, "run")
	must(t, "a certificate of another root", wrong, 1)
	if !strings.Contains(wrong.stderr, "does not lead to CN=Offline Root in ext-root.pem") {
		t.Error(wrong)
	}
	root.sign(w, in("ext.csr"), in("ext.pem"))
	signed := do(nil, "run")
	must(t, "the run with the certificate", signed, 0)
	if s := signed.summary(); s.Result != engine.ResultProved {
		t.Errorf("%s", s.Outcome())
	}
	must(t, "status afterwards", do(nil, "status"), 0)
	if again := do(nil, "run").summary(); again.Edits != 0 {
		t.Errorf("the next run made %d edits", again.Edits)
	}
}
