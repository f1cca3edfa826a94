package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"github.com/hashicorp/vault/api"
)

// A loneVault is a Vault without a cluster, new and empty.
type loneVault struct {
	address string
	answer  *api.InitResponse // the answer to init, if that was asked here
}

func startVault(t testing.TB, ztlab string) *loneVault {
	t.Helper()
	cmd := exec.Command(ztlab, "vault", "--data", t.TempDir())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var hello struct {
		Address string `json:"address"`
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(line), &hello)
	}
	if err != nil {
		t.Fatalf("ztlab vault: %v", err)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return &loneVault{address: hello.Address}
}

func (v *loneVault) client(t testing.TB) *api.Client {
	t.Helper()
	config := api.DefaultConfig()
	config.Address = v.address
	config.HttpClient = &http.Client{}
	c, err := api.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	c.SetToken("")
	return c
}

// init initialises it by hand and writes the key file.
func (v *loneVault) init(t *testing.T, file string) {
	t.Helper()
	answer, err := v.client(t).Sys().InitWithContext(t.Context(), &api.InitRequest{SecretShares: 5, SecretThreshold: 3})
	if err != nil {
		t.Fatal(err)
	}
	v.answer = answer
	text, err := json.Marshal(map[string]any{"unseal_keys_b64": answer.KeysB64, "unseal_shares": 5, "unseal_threshold": 3, "root_token": answer.RootToken})
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (v *loneVault) unseal(t *testing.T, shares []string) {
	t.Helper()
	for _, share := range shares {
		if _, err := v.client(t).Sys().UnsealWithContext(t.Context(), share); err != nil {
			t.Fatal(err)
		}
	}
}
