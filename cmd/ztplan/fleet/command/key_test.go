package command

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/engine"
)

// The key that a fleet names lies beside it; --sign-key comes first, and nothing is read
// without a report.
func TestFleetKey(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		var der []byte
		if err == nil {
			der, err = x509.MarshalPKCS8PrivateKey(private)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("a.pem")
	write("b.pem")
	named := &fleet.Document{Evidence: fleet.Evidence{Sign: "a.pem"}}
	ids := make(map[string]string)
	for name, a := range map[string]*commands{
		"named": {report: "r"}, "flag": {report: "r", signKey: filepath.Join(dir, "b.pem")}, "no report": {},
	} {
		a.Invocation = &cli.Invocation{Inputs: engine.NewInputs(t.Context())}
		key, err := a.key(filepath.Join(dir, "fleet.yaml"), named)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if key != nil {
			ids[name], _ = key.KeyID()
		}
	}
	if ids["named"] == "" || ids["flag"] == "" || ids["named"] == ids["flag"] || ids["no report"] != "" {
		t.Errorf("keys: %v", ids)
	}
	a := &commands{Invocation: &cli.Invocation{Inputs: engine.NewInputs(t.Context())}, report: "r"}
	if _, err := a.key(filepath.Join(dir, "fleet.yaml"), &fleet.Document{Evidence: fleet.Evidence{Sign: "none.pem"}}); cli.CodeOf(err) != cli.Invalid {
		t.Errorf("a key that is not there: %v", err)
	}
}
