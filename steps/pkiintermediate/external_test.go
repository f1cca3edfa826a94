package pkiintermediate_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/pkiintermediate"
)

// An offline authority signs requests that come as files, as a person does with openssl.
type offline struct {
	key  crypto.Signer
	cert *x509.Certificate
}

const year = 365 * 24 * time.Hour

// template is an authority's certificate as openssl makes it.
func template(name pkix.Name, life time.Duration) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{
		SerialNumber: serial, Subject: name, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(life),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// newOffline makes an authority: a root, or one below another.
func newOffline(t *testing.T, name string, under *offline, change ...func(*x509.Certificate)) *offline {
	t.Helper()
	key, err := certs.NewKey("ec", 256)
	if err != nil {
		t.Fatal(err)
	}
	c := template(pkix.Name{CommonName: name}, 20*year)
	for _, f := range change {
		f(c)
	}
	by := &offline{key, c}
	if under != nil {
		by = under
	}
	return &offline{key, by.certify(t, c, key.Public())}
}

func (o *offline) certify(t *testing.T, c *x509.Certificate, key any) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, o.cert, key, o.key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// sign signs the request in a file.
func (o *offline) sign(t *testing.T, csr engine.File, change ...func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(csr.Path)
	if err != nil {
		t.Fatal(err)
	}
	request, err := certs.ParseRequest(string(text))
	if err != nil {
		t.Fatal(err)
	}
	c := template(request.Subject, 5*year)
	for _, f := range change {
		f(c)
	}
	return o.certify(t, c, request.PublicKey)
}

// An externalVault is a Vault without a parent, with an offline root beside the plan.
type externalVault struct {
	*parentVault
	dir  string
	root *offline
}

func newExternalVault(t *testing.T) *externalVault {
	t.Helper()
	v := vaulttest.Shared(t)
	w := &externalVault{parentVault: &parentVault{Server: v, mount: v.Mount(t, "")}, dir: t.TempDir(), root: newOffline(t, "Offline Root", nil)}
	w.put(t, "root.pem", w.root.cert)
	return w
}

func (w *externalVault) put(t *testing.T, name string, all ...*x509.Certificate) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(certs.Encode(all...)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *externalVault) spec(address string) *pkiintermediate.Spec {
	s := w.parentVault.spec(address)
	var inputs *engine.Inputs
	s.Parent = pkiintermediate.Parent{Mount: "pki", Issuer: "default", External: &pkiintermediate.External{
		CSRFile: inputs.File(w.dir, "ca.csr"), CertificateFile: inputs.File(w.dir, "ca.pem"), RootFile: inputs.File(w.dir, "root.pem"),
	}}
	return s
}

// awaits converges up to the signature, and returns the outputs that hold meanwhile.
func (w *externalVault) awaits(t *testing.T, s *pkiintermediate.Spec) pkiintermediate.Outputs {
	t.Helper()
	_, edits := inspect(t, s)
	if err := vaulttest.ApplyAll(t, slices.DeleteFunc(edits, func(e engine.Edit) bool { return e.Apply == nil })); err != nil {
		t.Fatal(err)
	}
	out, edits := inspect(t, s)
	if len(edits) == 0 {
		t.Fatal("awaits nothing")
	}
	for _, e := range edits {
		if want := "awaiting signature: sign ca.csr with your root and put the certificate at ca.pem, then run again"; e.Apply != nil || e.Awaiting() != want {
			t.Fatalf("%s: %s", e.Path, e.Awaiting())
		}
	}
	return out
}

func TestExternalContract(t *testing.T) {
	w := newExternalVault(t)
	p := vaulttest.NewProxy(t, w.Address)
	enginetest.Run(t, enginetest.Case{
		Kind:    pkiintermediate.Kind,
		Env:     vaulttest.Env(t),
		Spec:    func() any { return w.spec(p.Address) },
		Writes:  p.Writes,
		Secrets: []string{w.Token},
		Give: func(context.Context) error {
			w.put(t, "ca.pem", w.root.sign(t, w.spec("").Parent.External.CSRFile))
			return nil
		},
		Reset: func(context.Context) error {
			for _, name := range []string{"ca.csr", "ca.pem"} {
				if err := os.Remove(filepath.Join(w.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
			return w.Client(t).Sys().Unmount(w.mount)
		},
	})
	w.WantPKI(t, w.mount, 2, 1)
}

// The request is one for an authority, readable by all; the signed certificate makes
// Vault sign leaves whose chain is complete.
func TestExternalParent(t *testing.T) {
	w := newExternalVault(t)
	s := w.spec(w.Address)
	_, edits := inspect(t, s)
	var got []string
	for _, e := range vaulttest.Show(edits) {
		got = append(got, strings.ReplaceAll(e, w.mount, "MOUNT"))
	}
	signedBy := "Offline Root, SHA-256 " + certs.Fingerprint(w.root.cert)
	want := []string{
		"sys/mounts/MOUNT: <nil> -> map[max_lease_ttl:43800h type:pki]",
		"MOUNT/config/urls: <nil> -> map[crl_distribution_points:[http://vault.vault.svc.cluster.local:8200/v1/pki_int/crl] issuing_certificates:[http://vault.vault.svc.cluster.local:8200/v1/pki_int/ca]]",
		"MOUNT/issuer/intermediate-lab/csr: <nil> -> map[common_name:Intermediate CA Lab file:ca.csr key_bits:256 key_type:ec]",
		"MOUNT/issuer/intermediate-lab: <nil> -> map[common_name:Intermediate CA Lab key_bits:256 key_type:ec signed_by:" + signedBy + "]",
		"MOUNT/roles/example-dot-local: <nil> -> map[allow_bare_domains:true allow_subdomains:true allowed_domains:[example.local] max_ttl:24h require_cn:false]",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if out := w.awaits(t, s); out.Certificate != "" || out.IssuerName != "intermediate-lab" {
		t.Errorf("outputs without a certificate: %+v", out)
	}
	info, err := os.Stat(s.Parent.External.CSRFile.Path)
	if err != nil || info.Mode() != 0o644 {
		t.Errorf("the request: %v, %v", info, err)
	}
	text, _ := os.ReadFile(s.Parent.External.CSRFile.Path)
	request, err := certs.ParseRequest(string(text))
	if err != nil || request.Subject.CommonName != "Intermediate CA Lab" || !slices.ContainsFunc(request.Extensions, func(e pkix.Extension) bool {
		return e.Id.String() == "2.5.29.19" // basic constraints
	}) {
		t.Errorf("the request is for %v with %v: %v", request.Subject, request.Extensions, err)
	}

	signed := w.root.sign(t, s.Parent.External.CSRFile)
	w.put(t, "ca.pem", signed)
	out := converge(t, s)
	chain, err := certs.Parse(out.Chain)
	if err != nil || len(chain) != 2 || !chain[0].Equal(signed) || !chain[1].Equal(w.root.cert) {
		t.Errorf("the chain is %v: %v", len(chain), err)
	}
	leaf := w.Do(t, "POST", w.mount+"/issue/example-dot-local", `{"common_name":"hello.example.local","ttl":"1h"}`)
	if above := leaf["ca_chain"].([]any); len(above) != 2 || strings.TrimSpace(above[1].(string)) != strings.TrimSpace(certs.Encode(w.root.cert)) {
		t.Errorf("the chain over a leaf: %v", above)
	}
	w.WantPKI(t, w.mount, 2, 1)

	// Nothing of it is needed any more.
	for _, name := range []string{"ca.csr", "ca.pem"} {
		if err := os.Remove(filepath.Join(w.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, edits := inspect(t, s); len(edits) > 0 {
		t.Errorf("without the files: %v", vaulttest.Show(edits))
	}
}

// An authority between the root and the intermediate comes with the certificate; the
// mount gets it, and gets it again when it lost it.
func TestExternalChain(t *testing.T) {
	w := newExternalVault(t)
	policy := newOffline(t, "Policy CA", w.root)
	s := w.spec(w.Address)
	w.awaits(t, s)
	w.put(t, "ca.pem", policy.sign(t, s.Parent.External.CSRFile), policy.cert)
	if chain, err := certs.Parse(converge(t, s).Chain); err != nil || len(chain) != 3 || !chain[1].Equal(policy.cert) || !chain[2].Equal(w.root.cert) {
		t.Fatalf("the chain has %d certificates: %v", len(chain), err)
	}
	w.WantPKI(t, w.mount, 3, 1)
	for _, id := range w.Do(t, "LIST", w.mount+"/issuers", "")["keys"].([]any) {
		if i := w.Do(t, "GET", w.mount+"/issuer/"+id.(string), ""); i["key_id"] == "" {
			w.Do(t, "DELETE", w.mount+"/issuer/"+id.(string), "")
		}
	}
	if chain, err := certs.Parse(converge(t, s).Chain); err != nil || len(chain) != 3 {
		t.Errorf("afterwards the chain has %d certificates: %v", len(chain), err)
	}
}
