package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
)

// realVault starts the lab's Vault alone and returns its address. It ends with
// the test: its standard input does.
func realVault(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a Vault server; skipped under -short")
	}
	bin := os.Getenv("ZTPLAN_BIN")
	if bin == "" {
		bin = "../../bin"
	}
	cmd := exec.Command(filepath.Join(bin, "ztlab"), "vault", "--data", t.TempDir())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: run make build; -short skips the tests that need it", err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	var ready struct{ Address string }
	if err := json.NewDecoder(stdout).Decode(&ready); err != nil {
		t.Fatal(err)
	}
	return ready.Address
}

const signPlan = `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: demo}
vars: {vault: {required: true}}
connections:
  vault: {address: "${vars.vault}", token: "${steps.init.rootToken}"}
steps:
  - {id: init, uses: vaultInit, with: {shares: 1, threshold: 1, keys: {file: keys.json}}}
  - {id: unseal, uses: vaultUnseal, needs: [init], with: {keys: {file: keys.json}}}
  - {id: root, uses: pkiRoot, needs: [unseal], with: {mount: pki, commonName: Demo, ttl: 24h, issuerName: demo}}
`

// The plan makes the Vault that signs its evidence. Until there is a key, the
// evidence is there without a signature and the run fails.
func TestSignWithVault(t *testing.T) {
	address, dir := realVault(t), t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("VAULT_TOKEN", "from-the-environment") // which nobody uses
	plan, report := filepath.Join(dir, "plan.yaml"), filepath.Join(dir, "report")
	if err := os.WriteFile(plan, []byte(signPlan), 0o600); err != nil {
		t.Fatal(err)
	}
	expect := func(code int, want string, args ...string) {
		t.Helper()
		if got, out := ztplan(args...); got != code || !strings.Contains(out, want) {
			t.Fatalf("ztplan %s: exit status %d, want %d with %q\n%s", strings.Join(args, " "), got, code, want, out)
		}
	}
	evidence, envelope := filepath.Join(report, "evidence.json"), filepath.Join(report, "evidence.intoto.jsonl")
	run := func(key string, more ...string) []string {
		return append([]string{"run", plan, "--var", "vault=" + address, "--report", report, "--sign-key", key}, more...)
	}
	expect(cli.Invalid, "hint: sign the evidence of a dry run with a key in a file", run("hashivault://evidence", "--dry-run")...)
	expect(cli.Invalid, "is not the name of a key in Vault", run("hashivault://a b")...)

	expect(cli.Failed, "the evidence is written and NOT signed: read transit/keys/evidence: vault answered", run("hashivault://evidence")...)
	expect(cli.OK, "unsigned: nothing tells who made this", "verify", evidence)
	if _, err := os.Stat(envelope); err == nil {
		t.Error("there is an envelope without a signature")
	}

	token := rootToken(t, filepath.Join(dir, "keys.json"))
	vault(t, token, address, "sys/mounts/ci", `{"type": "transit"}`)
	for _, kind := range []string{"ed25519", "ecdsa-p256"} {
		vault(t, token, address, "ci/keys/"+kind, `{"type": "`+kind+`"}`)
		key := vault(t, token, address, "ci/export/public-key/"+kind, "")["keys"].(map[string]any)["1"].(string)
		public := filepath.Join(dir, kind+".pub")
		if err := os.WriteFile(public, []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		expect(cli.OK, "report: ", run("hashivault://ci/"+kind)...)
		expect(cli.OK, "✓ signature     by key ", "verify", evidence, "--key", public)
	}
	expect(cli.Failed, "did not sign it", "verify", evidence, "--key", filepath.Join(dir, "ed25519.pub"))
	// The token's step is left out.
	expect(cli.Failed, "connections.vault.token: ${steps.init.rootToken}: step init has no outputs", run("hashivault://ci/ed25519", "--skip", "init")...)
}

// rootToken reads the file that vaultInit wrote.
func rootToken(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(data, &keys); err != nil {
		t.Fatal(err)
	}
	token, _ := keys["root_token"].(string)
	return token
}

// vault is a request of somebody at a terminal: a GET without a body.
func vault(t *testing.T, token, address, path, body string) map[string]any {
	t.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s: %s, %v\n%s", path, resp.Status, err, data)
	}
	var answer struct{ Data map[string]any }
	if len(data) > 0 {
		if err := json.Unmarshal(data, &answer); err != nil {
			t.Fatal(err)
		}
	}
	return answer.Data
}
