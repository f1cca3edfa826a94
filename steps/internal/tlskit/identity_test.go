package tlskit_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

// A mutual is a server that asks clients for certificates of an authority.
type mutual struct {
	root, clients *tlstest.CA
	server        *tlstest.Server
}

func newMutual(t *testing.T, status int) *mutual {
	m := &mutual{root: tlstest.NewCA(t, "Root"), clients: tlstest.NewCA(t, "Clients")}
	m.server = tlstest.NewServer(t, m.root.Issue(t, tlstest.Leaf{CommonName: "a.test", Names: []string{"a.test"}}), nil)
	m.server.Clients, m.server.Status = m.clients, status
	return m
}

func credential(t *testing.T, ca *tlstest.CA, l tlstest.Leaf) *tlskit.Credential {
	l.CommonName, l.Client = "client", true
	p := ca.Issue(t, l)
	c, err := tlskit.ParseCredential(p.CertPEM, p.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A refusal shows in the handshake with TLS 1.2 and in place of the answer with TLS 1.3:
// both are failures of class tls with the alert.
func TestClientCertificate(t *testing.T) {
	m := newMutual(t, 0)
	address := tlskit.Address(m.server.Listen())
	trust, err := tlskit.NewTrust(m.root.Cert)
	if err != nil {
		t.Fatal(err)
	}
	right := credential(t, m.clients, tlstest.Leaf{})
	foreign := credential(t, tlstest.NewCA(t, "Clients"), tlstest.Leaf{})
	expired := credential(t, m.clients, tlstest.Leaf{NotBefore: time.Now().Add(-2 * time.Hour), Lifetime: time.Hour})
	h1, both := []string{tlskit.HTTP1}, []string{tlskit.HTTP2, tlskit.HTTP1}
	for name, c := range map[string]struct {
		offer   []string
		present *tlskit.Credential
		alert   string // none if the client is served
		late    bool   // the request is sent when the refusal has arrived
	}{
		"right":         {h1, right, "", false},
		"right h2":      {both, right, "", false},
		"none":          {h1, nil, "certificate_required", false},
		"none h2":       {both, nil, "certificate_required", false},
		"foreign":       {h1, foreign, "unknown_ca", false},
		"foreign h2":    {both, foreign, "unknown_ca", false},
		"expired":       {h1, expired, "certificate_expired", false},
		"none, late":    {h1, nil, "certificate_required", true},
		"none h2, late": {both, nil, "certificate_required", true},
	} {
		client := tlskit.NewClient("a.test", trust, nil, c.offer...)
		if c.present != nil {
			client.Presenting(tlskit.NewIdentity(c.present))
		}
		conn, err := client.Connect(t.Context(), address)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !conn.Asked || (len(conn.Presented) > 0) != (c.present != nil) {
			t.Errorf("%s: asked %t, presented %d certificates", name, conn.Asked, len(conn.Presented))
		}
		if c.late {
			m.server.Ended()
		}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.test/", nil)
		_, err = conn.Do(t.Context(), req)
		_ = conn.Close()
		if c.alert == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		f, ok := err.(*tlskit.Failure)
		if !ok || f.Class != tlskit.ClassTLS || f.Alert() != c.alert || f.Record() != "alert" || !f.Asked || f.Hint == "" || f.Closed() {
			t.Errorf("%s: %#v, want alert %s", name, err, c.alert)
		}
	}
}

// Each handshake presents the newest certificate.
func TestIdentityChanges(t *testing.T) {
	m := newMutual(t, 0)
	address := tlskit.Address(m.server.Listen())
	trust, _ := tlskit.NewTrust(m.root.Cert)
	identity := tlskit.NewIdentity(credential(t, m.clients, tlstest.Leaf{}))
	client := tlskit.NewClient("a.test", trust, nil, tlskit.HTTP1).Presenting(identity)
	for range 2 {
		conn, err := client.Connect(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if !conn.Presented[0].Equal(identity.Credential().Leaf()) {
			t.Error("not the present certificate was presented")
		}
		identity.Replace(credential(t, m.clients, tlstest.Leaf{}))
	}
}

func TestClientFiles(t *testing.T) {
	dir, ca := t.TempDir(), tlstest.NewCA(t, "Clients")
	pair, other := ca.Issue(t, tlstest.Leaf{CommonName: "client", Client: true}), ca.Issue(t, tlstest.Leaf{CommonName: "client", Client: true})
	file := func(name string, data []byte, mode os.FileMode) engine.File {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, mode); err != nil {
			t.Fatal(err)
		}
		return engine.File{Name: name, Path: path}
	}
	cert, key := file("client.crt", pair.CertPEM, 0o644), file("client.key", pair.KeyPEM, 0o600)
	for name, c := range map[string]struct {
		input  tlskit.ClientCertificate
		field  string
		detail string
	}{
		"right":       {tlskit.ClientCertificate{CertificateFile: cert, KeyFile: key}, "", ""},
		"nothing":     {tlskit.ClientCertificate{}, "client", "neither"},
		"both":        {tlskit.ClientCertificate{Secret: &tlskit.SecretRef{Namespace: "a", Name: "b"}, KeyFile: key}, "client.secret", "not both"},
		"no key":      {tlskit.ClientCertificate{CertificateFile: cert}, "client.keyFile", "missing"},
		"key alone":   {tlskit.ClientCertificate{KeyFile: key}, "client.certificateFile", "missing"},
		"open key":    {tlskit.ClientCertificate{CertificateFile: cert, KeyFile: file("open.key", pair.KeyPEM, 0o644)}, "client.keyFile", "open to others"},
		"another key": {tlskit.ClientCertificate{CertificateFile: cert, KeyFile: file("other.key", other.KeyPEM, 0o600)}, "client.keyFile", "does not fit"},
	} {
		p := &engine.Problems{}
		tlskit.ClientInput{Client: &c.input}.Validate(p)
		list := p.List()
		switch {
		case c.field == "" && len(list) > 0:
			t.Errorf("%s: %v", name, list)
		case c.field != "" && (len(list) != 1 || list[0].Field != c.field || !strings.Contains(list[0].Message, c.detail)):
			t.Errorf("%s: %v, want %s: %s", name, list, c.field, c.detail)
		}
	}
	var concealed []string
	env := &engine.Env{Conceal: func(secrets ...engine.Secret) {
		for _, s := range secrets {
			concealed = append(concealed, s.Reveal())
		}
	}}
	got, err := (&tlskit.ClientCertificate{CertificateFile: cert, KeyFile: key}).Load(t.Context(), env)
	if err != nil || !got.Leaf().Equal(pair.Leaf()) || len(concealed) != 1 || concealed[0] != string(pair.KeyPEM) {
		t.Errorf("loaded %v, %v; concealed %d secrets", got, err, len(concealed))
	}
}
