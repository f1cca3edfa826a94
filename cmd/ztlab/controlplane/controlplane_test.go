package controlplane

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

func TestAuthorityIsKept(t *testing.T) {
	dir := t.TempDir()
	first, err := loadAuthority(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	second, err := loadAuthority(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	if !first.cert.Equal(second.cert) {
		t.Error("a second load made a second authority")
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadAuthority(dir, "ca"); err == nil || !strings.Contains(err.Error(), "ztlab down --purge") {
		t.Errorf("a damaged authority: %v, want what to do", err)
	}
}

func TestServerCertificateNames(t *testing.T) {
	id, err := prepareIdentity(t.TempDir(), "127.70.1.2")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(id.ca.cert)
	data, err := os.ReadFile(id.file("kube-apiserver.crt"))
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, data)
	// The names of the API server for pods and users.
	for _, name := range []string{"kubernetes.default.svc", "kubernetes.default", "127.70.1.2", "10.96.0.1", "192.0.2.1", "localhost"} {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("as %s: %v", name, err)
		}
	}
	client, err := os.ReadFile(id.file("kubelet-client.crt"))
	if err != nil {
		t.Fatal(err)
	}
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := parse(t, client).Verify(x509.VerifyOptions{Roots: roots, KeyUsages: usages}); err != nil {
		t.Errorf("the API server's client certificate: %v", err)
	}
}

// A certificate of the cluster's authority must not open the store.
func TestStoreTrustsItsOwnAuthorityOnly(t *testing.T) {
	id, err := prepareIdentity(t.TempDir(), "127.70.1.2")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(id.file("etcd-ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	store := x509.NewCertPool()
	store.AppendCertsFromPEM(data)
	client, err := os.ReadFile(id.file("kubelet-client.crt"))
	if err != nil {
		t.Fatal(err)
	}
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := parse(t, client).Verify(x509.VerifyOptions{Roots: store, KeyUsages: usages}); err == nil {
		t.Error("etcd would accept a client certificate of the cluster's authority")
	}
	if _, err := os.Stat(id.file("etcd-ca.key")); !os.IsNotExist(err) {
		t.Errorf("the store's authority key is on disk: %v", err)
	}
}

func TestKubeconfigIsPrivateAndComplete(t *testing.T) {
	id, err := prepareIdentity(t.TempDir(), "127.70.1.2")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := id.writeKubeconfig(file, "https://127.70.1.2:6443", leaf{name: "kubernetes-admin", organizations: []string{"system:masters"}}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig: %v, %v, want mode 600", info.Mode(), err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, config.CertData)
	if cert.Subject.CommonName != "kubernetes-admin" || config.Host != "https://127.70.1.2:6443" || len(config.CAData) == 0 {
		t.Errorf("kubeconfig: user %s, server %s, authority %d bytes", cert.Subject.CommonName, config.Host, len(config.CAData))
	}
}

func TestCanonicalNames(t *testing.T) {
	for _, name := range []string{"apiserver", "kube-apiserver"} {
		if got := canonical(name); got != APIServer {
			t.Errorf("canonical(%q) = %q, want %q", name, got, APIServer)
		}
	}
	for _, name := range []string{"controller-manager", "kube-controller-manager", "controllermanager"} {
		if got := canonical(name); got != ControllerManager {
			t.Errorf("canonical(%q) = %q, want %q", name, got, ControllerManager)
		}
	}
	if got := canonical("vault"); got != "vault" {
		t.Errorf("canonical(vault) = %q", got)
	}
}

func TestTailShowsWholeLines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, []byte(strings.Repeat("a long line of a log\n", 500)+"the end\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := tail(file)
	if len(got) > tailBytes || !strings.HasSuffix(got, "the end") || !strings.HasPrefix(got, "a long") {
		t.Errorf("tail = %d bytes, %q … %q", len(got), got[:10], got[len(got)-10:])
	}
}

func TestEtcdSettingsRoundTrip(t *testing.T) {
	want := etcdSettings{dataDir: "/d", listen: "127.0.0.1:1", cert: "c", key: "k", clientsCA: "a"}
	got, err := parseEtcdSettings(want.args())
	if err != nil || got != want {
		t.Errorf("parse(args) = %+v, %v, want %+v", got, err, want)
	}
}

func parse(t *testing.T, data []byte) *x509.Certificate {
	t.Helper()
	cert, err := parseCertificate(data)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
