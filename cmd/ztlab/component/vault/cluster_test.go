package vault_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// configured writes the server's configuration into the volume of a pod.
func configured(t *testing.T, spec container.Spec, config string) container.Spec {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "vault.hcl"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	spec.Mounts["/vault/config"] = dir
	return spec
}

// A server with raft storage whose key another Vault keeps: it initialises with shares
// of a recovery key, and unseals itself.
func TestTransitSealWithRaft(t *testing.T) {
	other := start(t, specFor(t))
	other.unseal(other.init())
	other.must("POST", "sys/mounts/transit", map[string]any{"type": "transit"})
	other.must("POST", "transit/keys/autounseal", nil)

	spec := configured(t, specFor(t), `
listener "tcp" {
  tls_disable     = 1
  address         = "[::]:8200"
  cluster_address = "[::]:8201"
}
storage "raft" {
  path    = "/vault/data"
  node_id = "vault-0"
}
seal "transit" {
  address    = "`+other.url[:len(other.url)-len("/v1/")]+`"
  token      = "`+other.token+`"
  key_name   = "autounseal"
  mount_path = "transit/"
}
`)
	spec.Env = map[string]string{"VAULT_API_ADDR": "http://127.0.0.1:8200", "VAULT_CLUSTER_ADDR": "https://127.0.0.1:8201"}
	s := start(t, spec)
	answer := s.must("PUT", "sys/init", map[string]any{"recovery_shares": 3, "recovery_threshold": 2})
	if got, _ := answer["recovery_keys"].([]any); len(got) != 3 {
		t.Errorf("the answer has %d recovery keys; want 3", len(got))
	}
	s.token = answer["root_token"].(string)
	s.awaitReady(true)
	status := s.must("GET", "sys/seal-status", nil)
	if status["type"] != "transit" || status["storage_type"] != "raft" || status["sealed"] != false || status["n"] != 3.0 {
		t.Errorf("seal-status = %v", status)
	}
}
