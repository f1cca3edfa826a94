package tlskit_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

func poolOf(ca *tlstest.CA) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	return pool
}

func TestParseTrust(t *testing.T) {
	root, second := tlstest.NewCA(t, "Root CA Lab"), tlstest.NewCA(t, "Second")
	leaf := root.Issue(t, tlstest.Leaf{CommonName: "leaf", Names: []string{host}})
	tests := []struct {
		name, text string
		want       string // the trust's text
		err        string
	}{
		{"one", root.PEM(), "CN=Root CA Lab", ""},
		{"two", "a comment\n" + root.PEM() + "\n" + second.PEM(), "CN=Root CA Lab, CN=Second", ""},
		{"system", " system\n", "the system's roots", ""},
		{"empty", " \n", "", "empty"},
		{"no PEM", "hello", "", "no PEM certificate"},
		{"a leaf", string(leaf.CertPEM), "", "CN=leaf is not a CA certificate"},
		{"a key", string(leaf.KeyPEM), "", "PEM block 1 is a PRIVATE KEY"},
		{"damaged", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", "certificate 1"},
	}
	for _, tt := range tests {
		trust, err := tlskit.ParseTrust(tt.text)
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: error = %v, want %q", tt.name, err, tt.err)
			}
		case err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case trust.String() != tt.want:
			t.Errorf("%s: trust = %q, want %q", tt.name, trust, tt.want)
		}
	}
}

func TestTrustInput(t *testing.T) {
	root := tlstest.NewCA(t, "Root CA Lab")
	dir := t.TempDir()
	path := filepath.Join(dir, "root.pem")
	if err := os.WriteFile(path, []byte(root.PEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	file := engine.File{Name: "root.pem", Path: path}
	missing := engine.File{Name: "none.pem", Path: filepath.Join(dir, "none.pem")}
	tests := []struct {
		name  string
		input tlskit.TrustInput
		field string // of the problem; "" if there is none
	}{
		{"inline", tlskit.TrustInput{Trust: root.PEM()}, ""},
		{"file", tlskit.TrustInput{TrustFile: file}, ""},
		{"none", tlskit.TrustInput{}, "trust"},
		{"both", tlskit.TrustInput{Trust: root.PEM(), TrustFile: file}, "trustFile"},
		{"wrong", tlskit.TrustInput{Trust: "x"}, "trust"},
		{"both again", tlskit.TrustInput{Trust: root.PEM(), TrustFrom: &tlskit.TrustSource{}}, "trustFrom"},
		{"no source", tlskit.TrustInput{TrustFrom: &tlskit.TrustSource{}}, "trustFrom"},
		{"two sources", tlskit.TrustInput{TrustFrom: &tlskit.TrustSource{Secret: new(tlskit.ObjectKey), ConfigMap: new(tlskit.ObjectKey)}}, "trustFrom"},
		{"missing file", tlskit.TrustInput{TrustFile: missing}, "trustFile"},
	}
	for _, tt := range tests {
		var p engine.Problems
		tt.input.Validate(&p)
		got := ""
		if l := p.List(); len(l) > 0 {
			got = l[0].Field
		}
		if got != tt.field || len(p.List()) > 1 {
			t.Errorf("%s: problems %v, want one with %q", tt.name, p.List(), tt.field)
		}
		if tt.input.TrustFrom != nil {
			continue // it is in a cluster
		}
		_, err := tt.input.Load(t.Context(), new(engine.Env))
		if (err != nil) != (tt.field != "" && tt.name != "both") {
			t.Errorf("%s: Load: %v", tt.name, err)
		}
	}
}

func TestTarget(t *testing.T) {
	service := &tlskit.Service{Namespace: "ingress-apisix", Name: "apisix-gateway"}
	tests := []struct {
		target tlskit.Target
		where  string
		field  string
	}{
		{tlskit.Target{}, "the address of the name in the DNS", ""},
		{tlskit.Target{Endpoints: "all"}, "the address of the name in the DNS, every address", ""},
		{tlskit.Target{Address: "127.0.0.1:30443", Endpoints: "all"}, "127.0.0.1:30443", ""},
		{tlskit.Target{Service: service}, "the node port of service ingress-apisix/apisix-gateway", ""},
		{tlskit.Target{Service: &tlskit.Service{Namespace: "a", Name: "b", Via: "tunnel"}}, "service a/b through the API server", ""},
		{tlskit.Target{Endpoints: "all", Service: &tlskit.Service{Namespace: "a", Name: "b", Via: "tunnel"}}, "service a/b through the API server, every pod", ""},
		{tlskit.Target{Service: service, Address: "127.0.0.1:1"}, "127.0.0.1:1", "service"},
		{tlskit.Target{Address: "127.0.0.1"}, "127.0.0.1", "address"},
		{tlskit.Target{Address: "127.0.0.1:0"}, "127.0.0.1:0", "address"},
		{tlskit.Target{Address: "127.0.0.1:https"}, "127.0.0.1:https", "address"},
	}
	for _, tt := range tests {
		if got := tt.target.Where(); got != tt.where {
			t.Errorf("%+v: where = %q, want %q", tt.target, got, tt.where)
		}
		var p engine.Problems
		tt.target.Validate(&p)
		got := ""
		if l := p.List(); len(l) > 0 {
			got = l[0].Field
		}
		if got != tt.field {
			t.Errorf("%+v: problems %v, want one with %q", tt.target, p.List(), tt.field)
		}
	}
}

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"https://hello.example.local":            "https://hello.example.local/",
		"https://hello.example.local:8443/a?b=c": "https://hello.example.local:8443/a?b=c",
		"https://hello.example.local/#top":       "https://hello.example.local/",
	} {
		u, err := tlskit.ParseURL(text)
		if err != nil || u.String() != want {
			t.Errorf("ParseURL(%q) = %v, %v, want %s", text, u, err, want)
		}
	}
	for _, text := range []string{"http://a", "hello.example.local", "https://", "https://u:p@a", "https://a:0", "https://a:99999", "https://a b"} {
		if u, err := tlskit.ParseURL(text); err == nil {
			t.Errorf("ParseURL(%q) = %v, want an error", text, u)
		}
	}
}
