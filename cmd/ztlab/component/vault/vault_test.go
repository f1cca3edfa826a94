package vault_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztlab/component/vault"
	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// A server is a Vault that runs in this process.
type server struct {
	t       *testing.T
	url     string
	token   string
	reports chan container.Report
	stop    func()
}

// start runs the component with spec until the test ends or stop is called, and
// returns when it listens.
func start(t *testing.T, spec container.Spec) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &server{t: t, reports: make(chan container.Report, 16)}
	ended := make(chan error, 1)
	go func() { ended <- vault.Run(ctx, spec, func(r container.Report) { s.reports <- r }) }()
	stopped := false
	s.stop = func() {
		t.Helper()
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(s.stop)
	select {
	case r := <-s.reports:
		if r.Listen[8200] == "" || r.Ready == nil || *r.Ready {
			t.Fatalf("first report = %+v; want a listener for 8200, not ready", r)
		}
		s.url = "http://" + r.Listen[8200] + "/v1/"
	case err := <-ended:
		stopped = true
		t.Fatalf("Run: %v", err)
	}
	return s
}

// call sends a request and decodes the answer.
func (s *server) call(method, path string, body any) (int, map[string]any) {
	s.t.Helper()
	var payload io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		payload = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, payload)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", s.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := map[string]any{}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil && err != io.EOF {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, answer
}

// must sends a request that has to succeed and returns its data.
func (s *server) must(method, path string, body any) map[string]any {
	s.t.Helper()
	status, answer := s.call(method, path, body)
	if status >= 300 {
		s.t.Fatalf("%s %s: status %d: %v", method, path, status, answer["errors"])
	}
	if data, ok := answer["data"].(map[string]any); ok {
		return data
	}
	return answer
}

// init initialises the server and returns its unseal keys.
func (s *server) init() []any {
	s.t.Helper()
	answer := s.must("PUT", "sys/init", map[string]any{"secret_shares": 5, "secret_threshold": 3})
	s.token = answer["root_token"].(string)
	return answer["keys_base64"].([]any)
}

// unseal unseals with the first three keys and waits for the report.
func (s *server) unseal(keys []any) {
	s.t.Helper()
	for _, key := range keys[:3] {
		s.must("PUT", "sys/unseal", map[string]any{"key": key})
	}
	s.awaitReady(true)
}

// awaitReady returns when the component has reported readiness as wanted.
func (s *server) awaitReady(want bool) container.Report {
	s.t.Helper()
	for {
		select {
		case r := <-s.reports:
			if r.Ready != nil && *r.Ready == want {
				return r
			}
		case <-s.t.Context().Done():
			s.t.Fatalf("no report with ready=%v", want)
		}
	}
}

// specFor is a pod with a volume for /vault/data.
func specFor(t *testing.T) container.Spec {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	return container.Spec{
		Namespace: "vault", Pod: "vault-0", Name: "vault", Dir: dir,
		Mounts: map[string]string{"/vault/data": data},
	}
}

func TestRestartComesBackSealedWithItsData(t *testing.T) {
	spec := specFor(t)
	first := start(t, spec)
	status := first.must("GET", "sys/seal-status", nil)
	if status["initialized"] != false || status["sealed"] != true || status["version"] != vault.Version() {
		t.Fatalf("seal-status of a new server = %v", status)
	}
	keys := first.init()
	first.unseal(keys)
	first.must("POST", "sys/mounts/pki", map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": "87600h"}})
	root := first.must("POST", "pki/root/generate/internal", map[string]any{
		"common_name": "Root CA Lab", "ttl": "87600h", "issuer_name": "root-lab",
	})
	// The repeat must be refused as upstream refuses it: a plan relies on it.
	if code, answer := first.call("POST", "pki/root/generate/internal", map[string]any{"common_name": "x", "issuer_name": "root-lab"}); code != 400 {
		t.Errorf("second root with the same issuer name: status %d, %v; want 400", code, answer)
	}
	first.must("PUT", "sys/policies/acl/signer", map[string]any{"policy": `path "pki/sign/x" { capabilities = ["update"] }`})
	first.must("POST", "auth/token/revoke-self", nil)
	if code, _ := first.call("GET", "sys/mounts", nil); code != 403 {
		t.Errorf("revoked token: status %d; want 403", code)
	}
	first.stop()

	second := start(t, spec)
	status = second.must("GET", "sys/seal-status", nil)
	if status["initialized"] != true || status["sealed"] != true {
		t.Fatalf("seal-status after a restart = %v; want initialised and sealed", status)
	}
	if code, _ := second.call("GET", "pki/ca/pem", nil); code != 503 {
		t.Errorf("pki/ca/pem while sealed: status %d; want 503", code)
	}
	second.unseal(keys)
	again := second.must("GET", "pki/issuer/root-lab/json", nil)
	if got, want := again["certificate"], root["certificate"]; strings.TrimSpace(fmt.Sprint(got)) != strings.TrimSpace(fmt.Sprint(want)) {
		t.Errorf("issuer after restart = %v; want %v", got, want)
	}
}

func TestReadinessFollowsTheSeal(t *testing.T) {
	s := start(t, specFor(t))
	keys := s.init()
	if r := s.awaitReady(false); r.Message != "Vault is sealed" {
		t.Errorf("message after init = %q", r.Message)
	}
	s.unseal(keys)
	s.must("PUT", "sys/seal", nil)
	if r := s.awaitReady(false); r.Message != "Vault is sealed" {
		t.Errorf("message after seal = %q", r.Message)
	}
}

func TestAuditDeviceWritesIntoTheVolume(t *testing.T) {
	spec := specFor(t)
	s := start(t, spec)
	s.unseal(s.init())
	s.must("PUT", "sys/audit/file", map[string]any{"type": "file", "options": map[string]any{"file_path": "/vault/data/audit.log"}})
	s.must("GET", "sys/policies/acl/default", nil)
	log, err := os.ReadFile(filepath.Join(spec.Mounts["/vault/data"], "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(log, []byte(`"path":"sys/policies/acl/default"`)) {
		t.Errorf("audit log lacks the request:\n%s", log)
	}
	if bytes.Contains(log, []byte(s.token)) {
		t.Error("audit log holds the token in clear")
	}
}

func TestUnknownPluginsAreVaultsOwnError(t *testing.T) {
	s := start(t, specFor(t))
	s.unseal(s.init())
	code, answer := s.call("POST", "sys/mounts/aws", map[string]any{"type": "aws"})
	if code != 400 || !strings.Contains(fmt.Sprint(answer["errors"]), "plugin not found") {
		t.Errorf("mount of aws: status %d, %v; want 400, plugin not found", code, answer["errors"])
	}
}

func TestConfiguration(t *testing.T) {
	tests := map[string]struct {
		files   map[string]string
		args    []string
		wantErr string
	}{
		"chart": {files: map[string]string{"extraconfig-from-values.hcl": `
			disable_mlock = true
			ui = true
			listener "tcp" { tls_disable = 1, address = "[::]:8200", cluster_address = "[::]:8201" }
			storage "file" { path = "/vault/data" }`}},
		"dev":         {args: []string{"server -dev"}, wantErr: "server.dev.enabled=false"},
		"consul":      {files: map[string]string{"a.hcl": `listener "tcp" { tls_disable = 1, address = ":8200" }` + "\n" + `storage "consul" { path = "vault/" }`}, wantErr: `storage "consul": the lab has "raft"`},
		"auto_join":   {files: map[string]string{"a.hcl": `listener "tcp" { tls_disable = 1, address = ":8200" }` + "\n" + `storage "raft" { path = "/vault/data" retry_join { auto_join = "provider=aws tag_key=vault" } }`}, wantErr: "retry_join with leader_api_addr"},
		"seal":        {files: map[string]string{"a.hcl": `listener "tcp" { tls_disable = 1, address = ":8200" }` + "\n" + `storage "inmem" {}` + "\n" + `seal "awskms" { region = "eu-central-1" }`}, wantErr: `seal "awskms": the lab has key shares and transit`},
		"no storage":  {files: map[string]string{"a.hcl": `listener "tcp" { tls_disable = 1, address = ":8200" }`}, wantErr: "no storage stanza"},
		"no listener": {files: map[string]string{"a.hcl": `storage "inmem" {}`}, wantErr: "no listener stanza"},
		"empty":       {files: map[string]string{"README": "x"}, wantErr: "no *.hcl or *.json file"},
		"syntax":      {files: map[string]string{"a.hcl": `listener {`}, wantErr: "/vault/config/a.hcl"},
		"missing key": {files: map[string]string{"a.hcl": `listener "tcp" { address = ":8200", tls_cert_file = "/vault/tls/crt", tls_key_file = "/vault/tls/key" }` + "\n" + `storage "inmem" {}`}, wantErr: "no such file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			spec := specFor(t)
			spec.Args = tt.args
			if tt.files != nil {
				dir := t.TempDir()
				spec.Mounts["/vault/config"] = dir
				for file, text := range tt.files {
					if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			if tt.wantErr == "" {
				start(t, spec)
				return
			}
			err := vault.Run(t.Context(), spec, func(container.Report) {})
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("Run: error %v; want one with %q", err, tt.wantErr)
			}
		})
	}
}
