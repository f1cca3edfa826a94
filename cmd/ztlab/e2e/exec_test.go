package e2e_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// exec runs a program in a pod as kubectl exec does, with standard input unless it
// is empty. A terminal has one output.
func (l *lab) exec(t *testing.T, namespace, pod, in string, tty bool, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	req := l.api.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: args, Stdin: in != "", Stdout: true, Stderr: !tty, TTY: tty}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(l.config, "GET", req.URL().String())
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	options := remotecommand.StreamOptions{Stdout: &out, Tty: tty}
	if !tty {
		options.Stderr = &errs
	}
	if in != "" {
		options.Stdin = strings.NewReader(in)
	}
	err = executor.StreamWithContext(t.Context(), options)
	if exit, ok := err.(utilexec.ExitError); ok && exit.Exited() {
		code = exit.ExitStatus()
	} else if err != nil {
		t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errs.String(), code
}

// vaultByCommands sets a new Vault up by the commands of a guide, as they are
// written there, and returns its unseal keys.
func (l *lab) vaultByCommands(t *testing.T) (unsealKeys []string) {
	t.Helper()
	var keys struct {
		Keys  []string `json:"unseal_keys_b64"`
		Token string   `json:"root_token"`
	}
	out, errs, code := l.exec(t, "vault", "vault-0", "", false, "vault", "operator", "init", "-key-shares=5", "-key-threshold=3", "-format=json")
	if err := json.Unmarshal([]byte(out), &keys); err != nil || code != 0 || len(keys.Keys) != 5 {
		t.Fatalf("vault operator init: exit status %d, %v, %d keys\n%s", code, err, len(keys.Keys), errs)
	}

	out, _, code = l.exec(t, "vault", "vault-0", "", false, "vault", "status")
	if code != 2 || !regexp.MustCompile(`(?m)^Key +Value\n--- +-----\nSeal Type +shamir\nInitialized +true\nSealed +true$`).MatchString(out) {
		t.Errorf("vault status of a sealed Vault: exit status %d\n%s", code, out)
	}
	for _, key := range keys.Keys[:3] {
		out, _, code := l.exec(t, "vault", "vault-0", key+"\r", true, "vault", "operator", "unseal")
		if code != 0 || !strings.HasPrefix(out, "Unseal Key (will be hidden): \r\nKey") || strings.Contains(out, key) {
			t.Fatalf("vault operator unseal: exit status %d\n%q", code, out)
		}
	}
	if _, errs, code := l.exec(t, "vault", "vault-0", "", false, "vault", "secrets", "list"); code != 2 || !strings.Contains(errs, "permission denied") {
		t.Errorf("without a login: exit status %d, %q", code, errs)
	}
	if out, _, code := l.exec(t, "vault", "vault-0", keys.Token+"\r", true, "vault", "login"); code != 0 || !strings.Contains(out, "You are now authenticated") {
		t.Fatalf("vault login: exit status %d\n%q", code, out)
	}
	for _, tt := range []struct {
		in   string
		args string
		want string // a pattern
	}{
		{"", "secrets enable pki", `^Success! Enabled the pki secrets engine at: pki/\n$`},
		{"", "secrets tune -max-lease-ttl=87600h pki", `^Success! Tuned the secrets engine at: pki/\n$`},
		{"", "write pki/config/urls issuing_certificates=http://vault.vault.svc.cluster.local:8200/v1/pki/ca",
			`(?m)^Key +Value\n--- +-----\n(.+\n)*issuing_certificates +\[http://vault\.vault\.svc\.cluster\.local:8200/v1/pki/ca\]$`},
		{"", "write -field=certificate pki/root/generate/internal common_name=Lab ttl=87600h", `^-----BEGIN CERTIFICATE-----`},
		{"", "read pki/roles/none", ``},
		{"", "auth enable kubernetes", `^Success! Enabled kubernetes auth method at: kubernetes/\n$`},
		{"", "write auth/kubernetes/config kubernetes_host=https://kubernetes.default.svc:443" +
			" kubernetes_ca_cert=@/var/run/secrets/kubernetes.io/serviceaccount/ca.crt" +
			" token_reviewer_jwt=@/var/run/secrets/kubernetes.io/serviceaccount/token",
			`^Success! Data written to: auth/kubernetes/config\n$`},
		{"", "read -field=kubernetes_ca_cert auth/kubernetes/config", `^-----BEGIN CERTIFICATE-----`},
		{`path "pki/sign/a" { capabilities = ["update"] }`, "policy write cert-manager-policy -", `^Success! Uploaded policy: cert-manager-policy\n$`},
		{"", "policy read cert-manager-policy", `capabilities = \["update"\]`},
		{"", "write pki/roles/a allowed_domains=example.local max_ttl=24h", `(?m)^max_ttl +24h$`},
		{"", "list pki/roles", `^Keys\n----\na\n$`},
		{"", "secrets list", `(?m)^pki/ +pki +pki_`},
	} {
		args := append([]string{"vault"}, strings.Fields(tt.args)...)
		out, errs, code := l.exec(t, "vault", "vault-0", tt.in, false, args...)
		if tt.want == "" {
			if code != 2 || !strings.HasPrefix(errs, "No value found at") {
				t.Errorf("vault %s: exit status %d\n%s%s", tt.args, code, out, errs)
			}
			continue
		}
		if code != 0 || !regexp.MustCompile(tt.want).MatchString(out) {
			t.Errorf("vault %s: exit status %d\n%s%s", tt.args, code, out, errs)
		}
	}
	for args, says := range map[string]string{
		"vault write pki/config/ca pem_bundle=@/etc/passwd": "only what is mounted",
		"vault agent": "has no command",
	} {
		if _, errs, code := l.exec(t, "vault", "vault-0", "", false, strings.Fields(args)...); code != 1 || !strings.Contains(errs, says) {
			t.Errorf("%s: exit status %d, %q", args, code, errs)
		}
	}
	return keys.Keys
}
