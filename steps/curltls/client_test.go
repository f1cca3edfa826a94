package curltls_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/curltls"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

// withClient gives a spec a client certificate in files.
func withClient(t *testing.T, s *curltls.Spec, pair *tlstest.Pair) {
	t.Helper()
	s.Client = &tlskit.ClientCertificate{CertificateFile: inFile(t, "client.crt", pair.CertPEM), KeyFile: inFile(t, "client.key", pair.KeyPEM)}
}

func TestClient(t *testing.T) {
	clients := tlstest.NewCA(t, "Clients")
	pair := clients.Issue(t, tlstest.Leaf{CommonName: "client", Client: true})
	for name, c := range map[string]struct {
		asks   bool // the server asks for a certificate
		status int  // with which it refuses
		pair   *tlstest.Pair
		want   string // of the error; "" if it is proved
	}{
		"right":             {true, 0, pair, ""},
		"right, nginx":      {true, 400, pair, ""},
		"foreign":           {true, 0, tlstest.NewCA(t, "Clients").Issue(t, tlstest.Leaf{CommonName: "client", Client: true}), "unknown certificate authority"},
		"none":              {true, 0, nil, "certificate required"},
		"nobody asks":       {false, 0, pair, "the server asks for the client certificate"},
		"nobody, none":      {false, 0, nil, ""},
		"none, with status": {true, 400, nil, "status is below 400"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newGateway(t)
			if c.asks {
				w.server = tlstest.NewServer(t, w.pair, nil)
				w.server.Clients, w.server.Status = clients, c.status
				w.address = w.server.Listen()
			}
			s := newSpec(w.root)
			s.Address = w.address
			if c.pair != nil {
				withClient(t, s, c.pair)
			}
			env, log := newEnv()
			var shaken []evidence.Handshake
			env.Record = func(_ string, data any) { shaken = append(shaken, data.(evidence.Handshake)) }
			_, findings, err := s.Prove(t.Context(), env)
			if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q; findings %v", err, c.want, violated(findings))
			}
			if err != nil && engine.HintOf(err) == "" && c.asks && c.status == 0 {
				t.Errorf("no hint: %v", err)
			}
			presented := c.asks && c.pair != nil
			if len(shaken) != 1 || (shaken[0].Client != nil) != presented {
				t.Fatalf("recorded %+v, want a client certificate: %t", shaken, presented)
			}
			if presented && (shaken[0].Client.Fingerprint != certs.Fingerprint(c.pair.Leaf()) || !strings.Contains(log(), "presented the client certificate of CN=client")) {
				t.Errorf("recorded %s; log:\n%s", shaken[0].Client.Fingerprint, log())
			}
			if c.pair != nil && strings.Contains(log(), string(c.pair.KeyPEM[30:60])) {
				t.Error("the key is in the log")
			}
		})
	}
}

// inFile writes a file as a plan names it.
func inFile(t *testing.T, name string, data []byte) engine.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return engine.File{Name: name, Path: path}
}
