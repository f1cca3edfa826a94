package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"filippo.io/age"
	"github.com/hashicorp/vault/api"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// An issuer signs certificates for a test: an authority that the plans do not make.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

// newIssuer makes a root.
func (w *world) newIssuer(name string) *issuer {
	w.t.Helper()
	i := &issuer{cert: &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(20, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}}
	i.key = w.newKey()
	i.cert, i.pem = w.sign(i, i.cert, &i.key.PublicKey)
	return i
}

func (w *world) newKey() *ecdsa.PrivateKey {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

func (w *world) sign(i *issuer, template *x509.Certificate, public any) (*x509.Certificate, string) {
	w.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, i.cert, public, i.key)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		w.t.Fatal(err)
	}
	return c, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// serverPair makes a server's certificate and its key, in PEM.
func (w *world) serverPair(i *issuer, names ...string) (cert, key string) {
	w.t.Helper()
	private := w.newKey()
	_, cert = w.sign(i, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: names[0]},
		DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &private.PublicKey)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		w.t.Fatal(err)
	}
	return cert, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// A production has the objects that the plan production.yaml expects.
type production struct{ root *issuer }

// before makes the Vault that unseals the plan's, the Secrets and the files.
func (p *production) before(w *world) []string {
	w.t.Helper()
	vars, listener := p.files(w)
	cert, key := w.serverPair(listener, "vault.vault.svc", "vault-active.vault.svc", "*.vault-internal")
	address, ca, token := w.transitVault()
	w.secret("vault", "vault-tls", map[string]any{"tls.crt": cert, "tls.key": key, "ca.crt": listener.pem})
	w.secret("vault", "vault-autounseal", map[string]any{"token": token, "ca.crt": ca})
	w.secret("cert-manager", "vault-ca", map[string]any{"ca.crt": listener.pem})
	return append(vars, "transitAddress="+address)
}

// offline makes the objects that the plan expects where there is no lab.
func (p *production) offline(w *world) []string {
	w.t.Helper()
	vars, _ := p.files(w)
	return append(vars, "transitAddress=https://vault.example.com:8200")
}

// files makes the offline root, the authority of Vault's listeners, and the identities of
// the custodians, whose recipients it returns as variables.
func (p *production) files(w *world) (vars []string, listener *issuer) {
	w.t.Helper()
	p.root, listener = w.newIssuer("Offline Root"), w.newIssuer("Listener CA")
	w.beside("vault-ca.pem", listener.pem)
	w.beside("offline-root.pem", p.root.pem)
	w.beside("one-node.yaml", "server: {affinity: \"\"}\n") // the lab has one node
	for _, name := range []string{"alice", "bob", "carol", "dave", "erin", "operator"} {
		identity, err := age.GenerateX25519Identity()
		if err != nil {
			w.t.Fatal(err)
		}
		vars = append(vars, name+"="+identity.Recipient().String())
		w.beside(name+".txt", identity.String()+"\n")
	}
	return vars, listener
}

// signed signs the request of the plan, as the holder of the offline root does.
func (p *production) signed(w *world) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.work, "plans", "intermediate.csr"))
	if err != nil {
		w.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		w.t.Fatalf("the request is no PEM: %s", text)
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		w.t.Fatal(err)
	}
	_, cert := w.sign(p.root, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: request.Subject, IsCA: true, BasicConstraintsValid: true,
		MaxPathLenZero: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(5, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, request.PublicKey)
	w.beside("intermediate.pem", cert)
}

// secret makes a Secret, and its namespace if it is not there.
func (w *world) secret(namespace, name string, data map[string]any) {
	w.t.Helper()
	ctx := w.t.Context()
	namespaces := w.kube().Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	if _, err := namespaces.Get(ctx, namespace, metav1.GetOptions{}); err != nil {
		_, err = namespaces.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace},
		}}, metav1.CreateOptions{})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	_, err := w.kube().Resource(resources["Secret"]).Namespace(namespace).Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": name}, "stringData": data,
	}}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
}

// transitVault runs another Vault, outside the cluster and behind TLS, that can unseal
// with the key autounseal. The token may do that and nothing else.
func (w *world) transitVault() (address, ca, token string) {
	w.t.Helper()
	cmd := exec.Command(w.ztlab, "vault", "--tls", "--data", w.t.TempDir())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	var hello struct{ Address, CAFile string }
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &hello)
	}
	if err != nil {
		w.t.Fatalf("ztlab vault: %v", err)
	}
	text, err := os.ReadFile(hello.CAFile)
	if err != nil {
		w.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	config := api.DefaultConfig()
	config.Address = hello.Address
	config.HttpClient = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	c, err := api.NewClient(config)
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := c.Sys().InitWithContext(w.t.Context(), &api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := c.Sys().UnsealWithContext(w.t.Context(), answer.Keys[0]); err != nil {
		w.t.Fatal(err)
	}
	c.SetToken(answer.RootToken)
	for _, write := range []struct {
		path string
		data fields
	}{
		{"sys/mounts/transit", fields{"type": "transit"}},
		{"transit/keys/autounseal", nil},
		{"sys/policies/acl/autounseal", fields{"policy": `path "transit/encrypt/autounseal" { capabilities = ["update"] }
path "transit/decrypt/autounseal" { capabilities = ["update"] }`}},
	} {
		if _, err := c.Logical().WriteWithContext(w.t.Context(), write.path, write.data); err != nil {
			w.t.Fatalf("%s: %v", write.path, err)
		}
	}
	made, err := c.Auth().Token().CreateOrphanWithContext(w.t.Context(), &api.TokenCreateRequest{Policies: []string{"autounseal"}, Period: "24h"})
	if err != nil {
		w.t.Fatal(err)
	}
	return hello.Address, string(text), made.Auth.ClientToken
}
