package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"k8s.io/client-go/tools/clientcmd"
)

// existingVault takes plans/existing-vault.yaml through its life, with a Vault outside of
// the cluster that has a root CA and a role for a CI job: it has the rights in the
// comment above the plan, and no others.
func existingVault() galleryPlan {
	var device string
	return galleryPlan{
		vars: []string{"domain=team.example"},
		before: func(w *world) []string {
			v := startVaultOutside(w.t)
			device = v.audit()
			key := v.method(w)
			w.beside("ci-token.jwt", signToken(w.t, key, map[string]any{
				"iss": ciIssuer, "aud": "vault://ci", "sub": "repo:team/plans", "repository": "team/plans",
				"iat": time.Now().Unix(), "exp": time.Now().Add(30 * time.Minute).Unix(),
			}))
			cluster, err := clientcmd.BuildConfigFromFlags("", w.status.Kubeconfig)
			v.ok(err)
			ca, err := os.ReadFile(v.CAFile)
			v.ok(err)
			return []string{
				"vault=" + v.Address, "vaultCA=" + string(ca), "rootCA=" + v.root(),
				"apiServer=" + cluster.Host, "apiServerCA=" + string(cluster.CAData),
			}
		},
		lint: func(w *world) []string {
			ca := w.newIssuer("Any Root").pem
			return []string{
				"vault=https://vault.example.com:8200", "vaultCA=" + ca, "rootCA=" + ca,
				"apiServer=https://k8s.example.com:6443", "apiServerCA=" + ca,
			}
		},
		vaultLog: func(*world) string { return device },
	}
}

const ciIssuer = "https://ci.example.com"

// A vaultOutside is a Vault that a platform team runs, with its own view of it.
type vaultOutside struct {
	t       testing.TB
	dir     string
	client  *api.Client
	Address string `json:"address"`
	CAFile  string `json:"caFile"`
}

func (v *vaultOutside) ok(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// startVaultOutside runs an initialised Vault behind TLS until the test ends.
func startVaultOutside(t testing.TB) *vaultOutside {
	t.Helper()
	v := &vaultOutside{t: t, dir: t.TempDir()}
	cmd := exec.Command(binary(t, "ztlab"), "vault", "--data", v.dir, "--tls")
	in, err := cmd.StdinPipe()
	v.ok(err)
	out, err := cmd.StdoutPipe()
	v.ok(err)
	v.ok(cmd.Start())
	t.Cleanup(func() {
		_ = in.Close() // ends it
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	v.ok(err)
	v.ok(json.Unmarshal([]byte(line), v))
	config := api.DefaultConfig()
	config.Address = v.Address
	v.ok(config.ConfigureTLS(&api.TLSConfig{CACert: v.CAFile}))
	v.client, err = api.NewClient(config)
	v.ok(err)
	answer, err := v.client.Sys().Init(&api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	v.ok(err)
	_, err = v.client.Sys().Unseal(answer.Keys[0])
	v.ok(err)
	v.client.SetToken(answer.RootToken)
	return v
}

func (v *vaultOutside) write(path string, data map[string]any) {
	v.t.Helper()
	if _, err := v.client.Logical().Write(path, data); err != nil {
		v.t.Fatalf("%s: %v", path, err)
	}
}

// audit returns the file of an audit device.
func (v *vaultOutside) audit() string {
	v.t.Helper()
	v.write("sys/audit/e2e", map[string]any{"type": "file", "options": map[string]string{"file_path": "/vault/data/e2e-audit.log"}})
	return filepath.Join(v.dir, "data", "e2e-audit.log")
}

// root makes the root CA and returns its certificate.
func (v *vaultOutside) root() string {
	v.t.Helper()
	v.write("sys/mounts/pki", map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": "87600h"}})
	answer, err := v.client.Logical().Write("pki/root/generate/internal", map[string]any{"common_name": "Platform Root CA", "ttl": "87600h", "issuer_name": "platform"})
	v.ok(err)
	certificate, _ := answer.Data["certificate"].(string)
	return certificate
}

// method makes the role for the CI job, and returns the key that the CI system signs
// with.
func (v *vaultOutside) method(w *world) *ecdsa.PrivateKey {
	v.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.work, "plans", "existing-vault.yaml"))
	v.ok(err)
	var policy strings.Builder
	for line := range strings.Lines(string(text)) {
		if rule, ok := strings.CutPrefix(line, "#   path "); ok {
			policy.WriteString("path " + rule)
		}
	}
	v.write("sys/policies/acl/ci", map[string]any{"policy": policy.String()})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	v.ok(err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	v.ok(err)
	v.write("sys/auth/jwt", map[string]any{"type": "jwt"})
	v.write("auth/jwt/config", map[string]any{"bound_issuer": ciIssuer, "jwt_validation_pubkeys": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))})
	v.write("auth/jwt/role/ci", map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault://ci", "bound_claims": map[string]any{"repository": "team/plans"},
		"token_policies": "ci", "token_type": "batch", "token_ttl": "10m",
	})
	return key
}

// signToken returns a JSON web token (RFC 7515, ES256).
func signToken(t testing.TB, key *ecdsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}
